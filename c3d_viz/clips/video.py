"""Frames of a video file, by number, decoded with PyAV (ffmpeg's containers and codecs).

A frame's number is its place in the order of display, counted from 0, whatever its time stamp:
in a file of variable frame rate neighbouring numbers may be unequally far apart in time.

Far into a file, decoding starts at the last keyframe before the frame asked for. That is done
only where it gives the same frames as decoding from the start: the packets' time stamps number
the frames, and every decoded frame is checked against that numbering. Otherwise the file is
decoded from its start, and frames nobody asked for are dropped without being converted.

Where a decoder meets damage, the file is decoded again with care: by one thread, so that it is
known which packet is the faulty one, and the frames behind it keep their numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer

from ..errors import ClipError
from .frame import Frame, SourceFrame, Turn, let_go, to_rgb, turn_of, upright_size
from .index import (
    Index,
    becomes_frame,
    first_frame,
    index_of,
    keyframe_before,
    packets,
)
from .opening import PathLike, check_size, fps_of, notes_on, opened, shown

SEEK_DISTANCE = 48  # frames ahead from which looking for a keyframe can pay
CONCEALED = "damaged in the file, filled in by the decoder"
DOUBTFUL = "decoded from damaged frames, may show their traces"

Convert = Callable[[av.VideoFrame, Turn], Frame]


@dataclass(frozen=True)
class VideoInfo:
    """What a clip source says of itself. Width and height are those of the upright frames.

    Attributes:
        frames: number of frames that can be decoded, whatever a header states.
        fps: average frames per second.
        width, height: pixels, after the turn a phone's metadata asks for.
        duration: seconds.
        notes: what people should know who look at it, a line each.
    """

    frames: int
    fps: float
    width: int
    height: int
    duration: float
    notes: tuple[str, ...] = ()


class _NotExactError(Exception):
    """A seek did not land where the index said; decode from the start instead."""


class _DamagedError(Exception):
    """The decoder met damage, or an end before the last frame; decode with care instead."""


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
        """Size, rate and number of frames. Decodes one frame, a few more where packets mislead."""
        with opened(self.path, self.label) as (container, stream):
            fps, notes, stated = fps_of(stream), notes_on(container, stream), stream.frames
            seconds = 0.0
            if stream.duration and stream.time_base:
                seconds = float(stream.duration * stream.time_base)
            elif container.duration:
                seconds = container.duration / 1_000_000
            first, count = first_frame(container, stream, self.label)
            height, width = upright_size(first, turn_of(first))
            del first
            let_go(height * width)
            check_size(self.label, width, height)
        if count is None:
            index = index_of(self.path, self.label)
            count = index.count
            if index.cut:
                of = f" of {stated}" if stated > count else ""
                notes += (f"the file is cut short: {count}{of} frames can be read",)
                seconds = count / fps
        return VideoInfo(count, fps, width, height, seconds or count / fps, notes)

    def about(self) -> tuple[float, tuple[str, ...]]:
        """Average frames per second, and VideoInfo's notes but for the one on a cut."""
        with opened(self.path, self.label) as (container, stream):
            return fps_of(stream), notes_on(container, stream)

    def keyframes(self) -> npt.NDArray[np.int64] | None:
        """Numbers of the frames a decoder can start at; None where seeking is not exact."""
        index = index_of(self.path, self.label)
        return index.keys if index.exact else None

    def frames(
        self, numbers: Sequence[int], convert: Convert = to_rgb, *, skip_damaged: bool = False
    ) -> Iterator[SourceFrame]:
        """Yield a SourceFrame for each of the ascending frame numbers, decoding none twice.

        ``convert`` turns a decoded frame into an array. Ends early, without an error, where the
        video does. With ``skip_damaged``, frames that cannot be decoded are left out.

        Raises:
            ClipError: a frame asked for cannot be decoded; the line names it.
        """
        wanted = numbers if isinstance(numbers, range) else list(numbers)  # a range takes no room
        picture = _alike(self.label, convert)
        index: Index | None = None
        if wanted and (wanted[0] >= SEEK_DISTANCE or _gaps(wanted) >= SEEK_DISTANCE):
            index = index_of(self.path, self.label)
        done = 0
        for way in (index, None) if index and index.exact else (None,):
            try:
                for number, frame in self._decode(wanted[done:], way):
                    yield SourceFrame(number, picture(frame))
                    done += 1
                return
            except _NotExactError:
                continue
            except _DamagedError:
                break
        for number, frame, flaw in self._decode_with_care(wanted[done:], skip_damaged):
            yield SourceFrame(number, picture(frame), flaw)

    def _decode(
        self, wanted: Sequence[int], index: Index | None
    ) -> Iterator[tuple[int, av.VideoFrame]]:
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
                    except av.FFmpegError:
                        raise _DamagedError from None
                    if frame is None:
                        if number < index_of(self.path, self.label).count:
                            raise _DamagedError
                        return
                    if index is not None and (
                        position >= index.count or frame.pts != index.pts[position]
                    ):
                        raise _NotExactError
                    position += 1
                    if position > number:
                        break
                if frame.is_corrupt:
                    raise _DamagedError
                yield number, frame

    def _decode_with_care(
        self, wanted: Sequence[int], skip_damaged: bool
    ) -> Iterator[tuple[int, av.VideoFrame, str]]:
        index = index_of(self.path, self.label)
        todo = [number for number in wanted if number < index.count]
        with opened(self.path, self.label, threads=1) as (container, stream):
            key = keyframe_before(index, todo[0]) if index.exact and todo else None
            if key is not None and key[0] >= SEEK_DISTANCE:
                container.seek(key[1], stream=stream)
            else:
                key = None
            decoded = _with_flaws(container, stream, index, key[0] if key else 0)
            item = next(decoded, None)
            for number in todo:
                while item is not None and item[0] < number:
                    item = next(decoded, None)
                if item is not None and item[0] == number:
                    yield item
                elif not skip_damaged:
                    raise ClipError(
                        f"{self.label} is damaged or truncated: frame {number} cannot be decoded; "
                        f"choose a window that ends before it or starts after it, or re-encode "
                        f"the video without it"
                    )


def _with_flaws(
    container: InputContainer, stream: av.VideoStream, index: Index, start: int
) -> Iterator[tuple[int, av.VideoFrame, str]]:
    """Number, frame and flaw of all that can be decoded from here, by a decoder of one thread."""
    codec = stream.codec_context.name
    position = start  # where time stamps do not number the frames
    broken, key_pts = False, None
    doubtful: set[int | None] = set()
    for packet in packets(container, stream):
        if broken and packet.is_keyframe and key_pts is None:
            key_pts = packet.pts
        # what a keyframe precedes in the file and follows on the screen may use what was before
        if broken and (not packet.is_keyframe and (key_pts is None or _less(packet.pts, key_pts))):
            doubtful.add(packet.pts)
        try:
            frames = stream.decode(packet)
        except av.FFmpegError:
            frames = []
            broken, key_pts = True, None
            position += becomes_frame(packet, codec) and position > start
        for frame in frames:
            number = index.number(frame.pts) if len(index.pts) else position
            if frame.is_corrupt:
                broken, key_pts = True, None
            if frame.key_frame:
                doubtful.discard(None)
            if number is not None and number >= start:
                doubt = DOUBTFUL if frame.pts in doubtful else ""
                yield number, frame, CONCEALED if frame.is_corrupt else doubt
                position = number + 1


def _less(pts: int | None, other: int) -> bool:
    return pts is None or pts < other


def _alike(label: str, convert: Convert) -> Callable[[av.VideoFrame], Frame]:
    """``convert`` with the turn and the size of the first frame for all: a call may change both."""
    first: list[tuple[Turn, int, int]] = []
    given = itertools.count()

    def picture(frame: av.VideoFrame) -> Frame:
        check_size(label, frame.width, frame.height)
        if not first:
            first.append((turn_of(frame), frame.width, frame.height))
        turn, width, height = first[0]
        if next(given) == 1:  # the first frame has been left by now
            let_go(width * height)
        if (frame.width, frame.height) != (width, height):
            frame = frame.reformat(width, height)
        return convert(frame, turn)

    return picture


def _gaps(numbers: Sequence[int]) -> int:
    return max((b - a for a, b in itertools.pairwise(numbers)), default=0)


def _from_pts(decoded: Iterator[av.VideoFrame], pts: int) -> Iterator[av.VideoFrame]:
    """Drop what a seek delivers before its keyframe (an earlier group, or leading frames)."""
    for frame in decoded:
        if frame.pts is None:
            raise _NotExactError
        if frame.pts >= pts:
            yield frame
