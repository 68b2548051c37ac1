"""A folder of numbered pictures as a source of frames, like a video file."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import ClipError
from .frame import Frame, SourceFrame
from .opening import FALLBACK_FPS, MAX_FRAME_PIXELS, PathLike, shown
from .suffixes import PICTURE_SUFFIXES
from .tiff import Samples, samples_of
from .video import VideoInfo


class FrameFolder:
    """Pictures of one folder in the order people count: ``2.png`` before ``10.png``.

    Other files, hidden files and sub-folders are ignored. A folder has no frame rate; 25 a
    second are assumed.

    Raises:
        ClipError: the folder cannot be read or holds no picture.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        self.label = shown(path)
        try:
            names = [entry.name for entry in os.scandir(self.path) if entry.is_file()]
        except OSError as error:
            raise ClipError(f"{self.label} cannot be read: {error.strerror}") from None
        pictures = [
            n for n in names if n.lower().endswith(PICTURE_SUFFIXES) and not n.startswith(".")
        ]
        if not pictures:
            raise ClipError(
                f"folder {self.label} holds no pictures; put frames of type "
                f"{', '.join(s[1:] for s in PICTURE_SUFFIXES)} in it"
            )
        self.files = [self.path / name for name in sorted(pictures, key=counting_order)]

    def info(self) -> VideoInfo:
        """Number and size of the frames. Reads one picture."""
        height, width = _read(self.files[0]).shape[:2]
        count = len(self.files)
        return VideoInfo(count, FALLBACK_FPS, width, height, count / FALLBACK_FPS)

    def about(self) -> tuple[float, tuple[str, ...]]:
        """25 frames per second, for pictures carry no rate, and no notes."""
        return FALLBACK_FPS, ()

    def keyframes(self) -> Sequence[int]:
        """Every number: pictures owe nothing to each other."""
        return range(len(self.files))

    def frames(
        self, numbers: Sequence[int], *, skip_damaged: bool = False
    ) -> Iterator[SourceFrame]:
        """Yield a SourceFrame for each of the ascending numbers; ends with the folder.

        With ``skip_damaged``, pictures that cannot be read are left out.

        Raises:
            ClipError: a picture is damaged, too large, or of another size than the others.
        """
        first: tuple[Path, tuple[int, ...]] | None = None
        for number in numbers:
            if number >= len(self.files):
                return
            file = self.files[number]
            try:
                frame = _read(file)
            except ClipError:
                if skip_damaged:
                    continue
                raise
            if first is None:
                first = (file, frame.shape)
            elif frame.shape != first[1]:
                raise ClipError(
                    f"{self.label}: {shown(file.name)} is {frame.shape[1]} x {frame.shape[0]}, "
                    f"{first[0].name} is {first[1][1]} x {first[1][0]}; all frames of a folder "
                    f"must have one size"
                )
            yield SourceFrame(number, frame)


def counting_order(name: str) -> tuple[list[str | int], str]:
    """Sort key that reads runs of digits as numbers: frame2 < frame10, 02 beside 2."""
    parts: list[str | int] = list(re.split(r"([0-9]+)", name.casefold()))
    parts[1::2] = [int(part) for part in parts[1::2]]
    return parts, name


def _read(file: Path) -> Frame:
    with opened_picture(file, shown(file)) as picture:
        return rgb_of(picture, shown(file))


@contextmanager
def opened_picture(file: Path, label: str) -> Iterator[Image.Image]:
    """A picture that Pillow has opened and not yet decoded.

    Raises:
        ClipError: it is no picture, too large, or (inside the block) damaged.
    """
    samples = None
    try:
        with _quiet():
            samples = samples_of(file)
            if samples is not None and samples.misread:
                raise _not_read(label, samples)
            picture = Image.open(file)
        with picture:
            width, height = picture.size
            if width * height > MAX_FRAME_PIXELS:
                raise _too_large(label, f"{width} x {height}")
            yield picture
    except Image.DecompressionBombError:
        raise _too_large(label, "far too many") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        if samples is not None and (samples.planar or isinstance(error, UnidentifiedImageError)):
            raise _not_read(label, samples) from None
        reason = getattr(error, "strerror", None) or "damaged, truncated or not a picture"
        raise ClipError(f"{label} cannot be read ({reason}); replace or remove it") from None


def rgb_of(picture: Image.Image, label: str) -> Frame:
    """(H, W, 3) uint8 RGB, turned as a camera's EXIF note asks, alpha dropped.

    Floating-point grey is scaled from 0..1; wide integers are read by their upper 8 bits.

    Raises:
        ClipError: numbers of which nobody says what white is.
    """
    turned = ImageOps.exif_transpose(picture)
    if turned.mode == "F":
        values = np.asarray(turned)
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):  # not: NaN too
            raise ClipError(
                f"{label} holds floating-point values from {low:.4g} to {high:.4g}, and nothing "
                f"says which is white; save frames as 8 or 16 bits, or floating point from 0 to 1"
            )
        gray = np.rint(values * 255).astype(np.uint8)
    elif turned.mode.startswith("I"):  # 16-bit gray: Pillow's own conversion would clip it
        tags: Any = getattr(picture, "tag_v2", {})
        bits = tags.get(258, (16,))[0]  # 12 in some TIFFs
        gray = (np.asarray(turned).astype(np.int64) >> bits - 8).clip(0, 255).astype(np.uint8)
    else:
        with _quiet():
            return np.array(turned.convert("RGB"))
    return np.ascontiguousarray(np.broadcast_to(gray[..., None], (*gray.shape, 3)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's own notes on sizes and palettes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _not_read(label: str, samples: Samples) -> ClipError:
    return ClipError(f"{label} holds {samples}, which are not read; save frames as 8 or 16 bits")


def _too_large(label: str, size: str) -> ClipError:
    return ClipError(
        f"{label} has {size} pixels; at most {MAX_FRAME_PIXELS // 1_000_000} million "
        f"pixels a frame are read: scale it down"
    )
