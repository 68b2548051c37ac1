"""Frames of a video file, by number, decoded with PyAV (ffmpeg's containers and codecs).

A frame's number is its place in the order of display, counted from 0, whatever its time stamp:
in a file of variable frame rate neighbouring numbers may be unequally far apart in time.

Far into a file, decoding starts at the last keyframe before the frame asked for. That is done
only where it gives the same frames as decoding from the start: the packets' time stamps number
the frames, and every decoded frame is checked against that numbering. Otherwise the file is
decoded from its start, and frames nobody asked for are dropped without being converted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from ..errors import ClipError
from .frame import Frame, to_rgb, upright_size
from .opening import (
    Index,
    PathLike,
    check_size,
    fps_of,
    index_of,
    keyframe_before,
    opened,
    shown,
    undecodable,
)

SEEK_DISTANCE = 48  # frames ahead from which looking for a keyframe can pay


@dataclass(frozen=True)
class VideoInfo:
    """What a clip source says of itself. Width and height are those of the upright frames.

    Attributes:
        frames: number of frames: counted packets, or the index of an mp4 or mov file.
        fps: average frames per second.
        width, height: pixels, after the turn a phone's metadata asks for.
        duration: seconds.
    """

    frames: int
    fps: float
    width: int
    height: int
    duration: float


class _NotExactError(Exception):
    """A seek did not land where the index said; decode from the start instead."""


class VideoFile:
    """A video file as a source of numbered frames. Holds no open file between calls.

    Raises:
        ClipError: the file is not a video that can be decoded; one line says why.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        self.label = shown(path)
        if self.path.stat().st_size == 0:
            raise ClipError(f"{self.label} is empty (0 bytes); copy or download it again")

    def info(self) -> VideoInfo:
        """Size, rate and number of frames. Decodes one frame."""
        with opened(self.path, self.label) as (container, stream):
            fps = fps_of(stream)
            seconds = 0.0
            if stream.duration and stream.time_base:
                seconds = float(stream.duration * stream.time_base)
            elif container.duration:
                seconds = container.duration / 1_000_000
            count = stream.frames if "mp4" in container.format.name else 0
            try:
                first = next(container.decode(stream))
            except (StopIteration, av.FFmpegError) as error:
                raise undecodable(self.label, 0, error) from None
            height, width = upright_size(first)
            check_size(self.label, width, height)
        if count <= 0:
            count = index_of(self.path, self.label).count
        return VideoInfo(count, fps, width, height, seconds or count / fps)

    def fps(self) -> float:
        """Average frames per second."""
        with opened(self.path, self.label) as (_, stream):
            return fps_of(stream)

    def keyframes(self) -> npt.NDArray[np.int64] | None:
        """Numbers of the frames a decoder can start at; None where seeking is not exact."""
        index = index_of(self.path, self.label)
        return index.keys if index.exact else None

    def frames(
        self, numbers: Sequence[int], convert: Callable[[av.VideoFrame], Frame] | None = None
    ) -> Iterator[tuple[int, Frame]]:
        """Yield ``(number, frame)`` for ascending frame numbers, decoding no frame twice.

        ``convert`` turns a decoded frame into an array; by default (H, W, 3) RGB
        uint8, upright. Ends early, without an error, where the video does.
        """
        convert = convert or to_rgb
        wanted = list(numbers)
        if wanted and wanted[0] < SEEK_DISTANCE and _gaps(wanted) < SEEK_DISTANCE:
            yield from self._decode(wanted, convert, None)
            return
        index = index_of(self.path, self.label)
        if not index.exact:
            yield from self._decode(wanted, convert, None)
            return
        done = 0
        try:
            for item in self._decode(wanted, convert, index):
                done += 1
                yield item
        except _NotExactError:
            yield from self._decode(wanted[done:], convert, None)

    def _decode(
        self, wanted: list[int], convert: Callable[[av.VideoFrame], Frame], index: Index | None
    ) -> Iterator[tuple[int, Frame]]:
        size: tuple[int, int] | None = None
        with opened(self.path, self.label) as (container, stream):
            decoded: Iterator[av.VideoFrame] = container.decode(stream)
            position = 0  # number of the next decoded frame
            for number in wanted:
                key = keyframe_before(index, number)
                if index is not None and key is not None and key[0] >= position + SEEK_DISTANCE:
                    container.seek(key[1], stream=stream)
                    decoded = _from_pts(container.decode(stream), int(index.pts[key[0]]))
                    position = key[0]
                while True:
                    try:
                        frame = next(decoded, None)
                    except av.FFmpegError as error:
                        raise undecodable(self.label, position, error) from None
                    if frame is None:
                        return
                    if index is not None and (
                        position >= index.count or frame.pts != index.pts[position]
                    ):
                        raise _NotExactError
                    position += 1
                    if position > number:
                        break
                if frame.is_corrupt:
                    raise ClipError(
                        f"{self.label}: frame {number} is damaged; choose another start, or "
                        f"re-encode the file"
                    )
                check_size(self.label, frame.width, frame.height)
                if size is None:
                    size = (frame.width, frame.height)
                elif size != (frame.width, frame.height):  # a call that changed its resolution
                    frame = frame.reformat(*size)
                yield number, convert(frame)


def _gaps(numbers: Sequence[int]) -> int:
    return max((b - a for a, b in itertools.pairwise(numbers)), default=0)


def _from_pts(decoded: Iterator[av.VideoFrame], pts: int) -> Iterator[av.VideoFrame]:
    """Drop what a seek delivers before its keyframe (an earlier group, or leading frames)."""
    for frame in decoded:
        if frame.pts is None:
            raise _NotExactError
        if frame.pts >= pts:
            yield frame
