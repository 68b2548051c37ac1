"""A folder of numbered pictures as a source of frames, like a video file."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ..errors import ClipError
from .frame import Frame
from .opening import FALLBACK_FPS, MAX_FRAME_PIXELS, PathLike, shown
from .video import VideoInfo

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


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
        pictures = [n for n in names if n.lower().endswith(SUFFIXES) and not n.startswith(".")]
        if not pictures:
            raise ClipError(
                f"folder {self.label} holds no pictures; put frames of type "
                f"{', '.join(s[1:] for s in SUFFIXES)} in it"
            )
        self.files = [self.path / name for name in sorted(pictures, key=counting_order)]

    def info(self) -> VideoInfo:
        """Number and size of the frames. Reads one picture."""
        height, width = _read(self.files[0]).shape[:2]
        count = len(self.files)
        return VideoInfo(count, FALLBACK_FPS, width, height, count / FALLBACK_FPS)

    def fps(self) -> float:
        """25: pictures carry no frame rate."""
        return FALLBACK_FPS

    def frames(self, numbers: Sequence[int]) -> Iterator[tuple[int, Frame]]:
        """Yield ``(number, (H, W, 3) uint8 RGB)`` for ascending numbers; ends with the folder.

        Raises:
            ClipError: a picture is damaged, too large, or of another size than the others.
        """
        first: tuple[Path, tuple[int, ...]] | None = None
        for number in numbers:
            if number >= len(self.files):
                return
            file = self.files[number]
            frame = _read(file)
            if first is None:
                first = (file, frame.shape)
            elif frame.shape != first[1]:
                raise ClipError(
                    f"{self.label}: {shown(file.name)} is {frame.shape[1]} x {frame.shape[0]}, "
                    f"{first[0].name} is {first[1][1]} x {first[1][0]}; all frames of a folder "
                    f"must have one size"
                )
            yield number, frame


def counting_order(name: str) -> tuple[list[str | int], str]:
    """Sort key that reads runs of digits as numbers: frame2 < frame10, 02 beside 2."""
    parts: list[str | int] = list(re.split(r"([0-9]+)", name.casefold()))
    parts[1::2] = [int(part) for part in parts[1::2]]
    return parts, name


def _read(file: Path) -> Frame:
    """(H, W, 3) uint8 RGB, turned as a camera's EXIF note asks, alpha dropped."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own notes on size and palettes
            with Image.open(file) as picture:
                width, height = picture.size
                if width * height > MAX_FRAME_PIXELS:
                    raise _too_large(file, f"{width} x {height}")
                return _to_rgb(picture)
    except Image.DecompressionBombError:
        raise _too_large(file, "far too many") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or "damaged, truncated or not a picture"
        raise ClipError(f"{shown(file)} cannot be read ({reason}); replace or remove it") from None


def _to_rgb(picture: Image.Image) -> Frame:
    turned = ImageOps.exif_transpose(picture)
    if turned.mode.startswith("I"):  # 16-bit gray: Pillow's own conversion would clip it
        gray = (np.asarray(turned).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(gray[..., None], (*gray.shape, 3)))
    return np.array(turned.convert("RGB"))


def _too_large(file: Path, size: str) -> ClipError:
    return ClipError(
        f"{shown(file)} has {size} pixels; at most {MAX_FRAME_PIXELS // 1_000_000} million "
        f"pixels a frame are read: scale it down"
    )
