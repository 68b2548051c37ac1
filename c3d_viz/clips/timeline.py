"""A cheap look at a whole video: how much moves when, and small pictures along it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import ClipError
from .frame import Frame, SourceFrame, to_small_rgb
from .opening import PathLike, check_pixels, no_frames, shown
from .source import Source, open_source
from .video import VideoFile, VideoInfo

# Larger videos are sampled beside their keyframes instead of decoded whole, where they have
# enough of them. 600 million pixels decode in about two seconds on two cores.
DENSE_PIXELS = 600_000_000
ENOUGH_KEYFRAMES = 32
LARGE_SAMPLES = 60
_HEIGHT = 48


def motion_energy(path: PathLike, max_samples: int = 240) -> npt.NDArray[np.float32]:
    """How much changes between neighbouring frames along a video, for a timeline.

    Sample i of n stands for frames ``i * N / n`` to ``(i + 1) * N / n`` of the video's N: the
    mean absolute difference of two neighbouring frames in its middle, in grey levels 0..255,
    measured on pictures 48 pixels high. n is N or ``max_samples``, whichever is less. Large
    videos are measured beside their keyframes only, and interpolated in between.

    Raises:
        ClipError: the video cannot be read, or has fewer than two frames.
    """
    source = open_source(path)
    info = source.info()
    total = info.frames
    if total < 2 or max_samples < 1:
        raise ClipError(
            f"{shown(path)} has {total} frame(s) and {max_samples} sample(s) were asked for; "
            f"motion needs two frames and one sample"
        )
    count = min(total, max_samples)
    middles = np.minimum((np.arange(count) + 0.5) * total / count, total - 2).astype(int)
    first = _beside_keyframes(source, middles, info, after=1)
    first = np.unique(np.minimum(first, total - 2))
    found: list[tuple[int, float]] = []
    last: tuple[int, npt.NDArray[np.float32]] | None = None
    wanted = sorted({*first.tolist(), *(first + 1).tolist()})
    for number, frame, _ in _small(source, wanted, _HEIGHT):
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
        if last is not None and last[0] == number - 1:
            found.append((number - 1, float(np.abs(gray - last[1]).mean())))
        last = (number, gray)
    if not found:
        raise ClipError(f"{shown(path)} holds fewer than two readable frames; re-encode it")
    at, energy = zip(*found, strict=True)
    return np.asarray(np.interp(middles, at, energy), dtype=np.float32)


def read_thumbnails(
    path: PathLike,
    count: int = 12,
    *,
    every: int | None = None,
    height: int = 72,
) -> tuple[list[int], Frame]:
    """Small pictures along a video: ``(frame numbers, (n, height, w, 3) uint8 RGB)``.

    Args:
        count: how many, evenly spread (the middles of equal parts).
        every: instead of ``count``: frames 0, every, 2 * every, ...
        height: pixels of each picture.

    In a large video the nearest keyframe before each is taken; the numbers say which frames they
    are.

    Raises:
        ClipError: the video cannot be read, or ``count``, ``every`` or ``height`` is below 1.
    """
    if count < 1 or height < 1 or (every is not None and every < 1):
        raise ClipError(f"{shown(path)}: count, every and height of thumbnails must be at least 1")
    source = open_source(path)
    info = source.info()
    total = info.frames
    if every is None:
        count = min(count, total)
        numbers = ((np.arange(count) + 0.5) * total / count).astype(int)
    else:
        numbers = np.arange(0, total, every)
    numbers = np.unique(_beside_keyframes(source, numbers, info, after=0))
    width = max(2, round(info.width * height / info.height))
    check_pixels(shown(path), len(numbers), width, height)
    pictures = list(_small(source, numbers.tolist(), height))
    if not pictures:
        raise no_frames(shown(path))
    return [p.number for p in pictures], np.stack([p.frame for p in pictures])


def _beside_keyframes(
    source: Source, numbers: npt.NDArray[np.int64], info: VideoInfo, after: int
) -> npt.NDArray[np.int64]:
    """In a long video, the frame ``after`` places behind the last keyframe before each number."""
    small = info.frames * info.width * info.height <= DENSE_PIXELS
    keys = None if small or not isinstance(source, VideoFile) else source.keyframes()
    if keys is None or len(keys) < ENOUGH_KEYFRAMES:
        return numbers
    numbers = numbers[np.linspace(0, len(numbers) - 1, LARGE_SAMPLES).astype(int)]
    at = np.searchsorted(keys, numbers, side="right") - 1
    return np.asarray(keys[np.maximum(at, 0)] + after)


def _small(source: Source, numbers: Sequence[int], height: int) -> Iterator[SourceFrame]:
    """Frames scaled to ``height``; what is damaged is left out."""
    if isinstance(source, VideoFile):
        yield from source.frames(numbers, partial(to_small_rgb, height=height), skip_damaged=True)
    else:
        for number, frame, _ in source.frames(numbers, skip_damaged=True):
            yield SourceFrame(number, _shrunk(frame, height))


def _shrunk(frame: Frame, height: int) -> Frame:
    width = max(2, round(frame.shape[1] * height / frame.shape[0]))
    small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)
