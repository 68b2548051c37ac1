"""Frames of a video file, by number, decoded with PyAV (ffmpeg's containers and codecs).

A frame's number is its place in the order of display, counted from 0, whatever its time stamp:
in a file of variable frame rate neighbouring numbers may be unequally far apart in time.

Far into a file, decoding starts at the last keyframe before the frame asked for. That is done
only where it gives the same frames as decoding from the start: the packets' time stamps number
the frames, and every decoded frame is checked against that numbering. Otherwise the file is
decoded from its start, and frames nobody asked for are dropped without being converted.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from .errors import ClipError

Frame = npt.NDArray[np.uint8]

MAX_FRAME_PIXELS = 36_000_000  # 8K UHD is 33.2 million
FALLBACK_FPS = 25.0  # when a file does not state its rate
SEEK_DISTANCE = 48  # frames ahead from which looking for a keyframe can pay
# One packet is one frame in these codecs, so packets number frames. (A VP8 packet may be hidden.)
_COUNTABLE = {"h264", "hevc", "vp9", "av1", "libdav1d", "mjpeg", "prores", "gif", "ffv1"}
# Text that ffmpeg would take for pictures, and lists that would open further files.
_REFUSED = {"tty", "bin", "hls", "dash", "concat", "sdp", "imf", "ffmetadata", "lavfi"}


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


@dataclass(frozen=True)
class _Index:
    """Packets of one stream: ``pts`` in order of display, and ``exact`` if they number frames."""

    count: int
    exact: bool
    pts: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]  # display numbers of the keyframes
    key_dts: npt.NDArray[np.int64]


class _NotExactError(Exception):
    """A seek did not land where the index said; decode from the start instead."""


class VideoFile:
    """A video file as a source of numbered frames. Holds no open file between calls.

    Raises:
        ClipError: the file is not a video that can be decoded; one line says why.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.label = str(path)
        if self.path.stat().st_size == 0:
            raise ClipError(f"{self.label} is empty (0 bytes); copy or download it again")

    def info(self) -> VideoInfo:
        """Size, rate and number of frames. Decodes one frame."""
        with _opened(self.path, self.label) as (container, stream):
            fps = _fps(stream)
            seconds = 0.0
            if stream.duration and stream.time_base:
                seconds = float(stream.duration * stream.time_base)
            elif container.duration:
                seconds = container.duration / 1_000_000
            count = stream.frames if "mp4" in container.format.name else 0
            try:
                first = next(container.decode(stream))
            except (StopIteration, av.FFmpegError) as error:
                raise _undecodable(self.label, 0, error) from None
            height, width = _upright_size(first)
            _check_size(self.label, width, height)
        if count <= 0:
            count = _index(self.path, self.label).count
        return VideoInfo(count, fps, width, height, seconds or count / fps)

    def fps(self) -> float:
        """Average frames per second."""
        with _opened(self.path, self.label) as (_, stream):
            return _fps(stream)

    def keyframes(self) -> npt.NDArray[np.int64] | None:
        """Numbers of the frames a decoder can start at; None where seeking is not exact."""
        index = _index(self.path, self.label)
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
        index = _index(self.path, self.label)
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
        self, wanted: list[int], convert: Callable[[av.VideoFrame], Frame], index: _Index | None
    ) -> Iterator[tuple[int, Frame]]:
        size: tuple[int, int] | None = None
        with _opened(self.path, self.label) as (container, stream):
            decoded: Iterator[av.VideoFrame] = container.decode(stream)
            position = 0  # number of the next decoded frame
            for number in wanted:
                key = _keyframe_before(index, number)
                if index is not None and key is not None and key[0] >= position + SEEK_DISTANCE:
                    container.seek(key[1], stream=stream)
                    decoded = _from_pts(container.decode(stream), int(index.pts[key[0]]))
                    position = key[0]
                while True:
                    try:
                        frame = next(decoded, None)
                    except av.FFmpegError as error:
                        raise _undecodable(self.label, position, error) from None
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
                _check_size(self.label, frame.width, frame.height)
                if size is None:
                    size = (frame.width, frame.height)
                elif size != (frame.width, frame.height):  # a call that changed its resolution
                    frame = frame.reformat(*size)
                yield number, convert(frame)


def to_rgb(frame: av.VideoFrame) -> Frame:
    """(H, W, 3) uint8 RGB, upright. 8 bits whatever the source has; its own colour matrix."""
    return upright(np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8), frame)


def to_small_rgb(frame: av.VideoFrame, height: int) -> Frame:
    """(height, w, 3) uint8 RGB, upright, scaled down before it is converted: cheap."""
    tall, wide = _upright_size(frame)
    width = max(2, round(wide * height / tall))
    turned = _upright_size(frame) != (frame.height, frame.width)
    stored = (height, width) if turned else (width, height)
    small = frame.to_ndarray(format="rgb24", width=stored[0], height=stored[1])
    return upright(np.asarray(small, dtype=np.uint8), frame)


def upright(image: Frame, frame: av.VideoFrame) -> Frame:
    """Turn and mirror an image (H, W, ...) as the frame's display matrix asks."""
    matrix = _display_matrix(frame)
    if matrix is None:
        return image
    a, b, c, d = matrix  # display x = a x + c y, display y = b x + d y
    if abs(a) >= abs(b):
        mirror_x, mirror_y = a < 0, d < 0
    else:
        image = image.swapaxes(0, 1)
        mirror_x, mirror_y = c < 0, b < 0
    if mirror_x:
        image = image[:, ::-1]
    if mirror_y:
        image = image[::-1]
    return np.ascontiguousarray(image)


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int] | None:
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    a, b, _, c, d, *_ = np.frombuffer(data, dtype=np.int32).tolist()
    return a, b, c, d


def _upright_size(frame: av.VideoFrame) -> tuple[int, int]:
    matrix = _display_matrix(frame)
    if matrix is None or abs(matrix[0]) >= abs(matrix[1]):
        return frame.height, frame.width
    return frame.width, frame.height


class _opened:  # noqa: N801 - used as `with _opened(...)`
    """Open a container and its first real video stream; every failure is a ClipError."""

    def __init__(self, path: Path, label: str) -> None:
        try:
            # "file:" and the whitelist: a name is never a protocol, a playlist opens no network.
            self.container = av.open(
                f"file:{path.absolute()}", container_options={"protocol_whitelist": "file"}
            )
        except av.FFmpegError:
            raise ClipError(
                f"{label} is not a video file ffmpeg can open, or its start or index is "
                f"damaged or missing; check that it plays, or re-encode it"
            ) from None
        except OSError as error:
            raise ClipError(f"{label} cannot be opened: {error.strerror}") from None
        try:
            self.stream = self._video_stream(label)
        except BaseException:
            self.container.close()
            raise

    def _video_stream(self, label: str) -> av.VideoStream:
        if set(self.container.format.name.split(",")) & _REFUSED:
            raise ClipError(
                f"{label} is a text or playlist file, not a video; give the video file itself"
            )
        for stream in self.container.streams.video:
            if "attached_pic" in str(getattr(stream.disposition, "name", "")).lower():
                continue  # cover art of a music file
            context = stream.codec_context
            _check_size(label, context.width, context.height)
            stream.thread_type = "AUTO"
            context.thread_count = min(4, os.cpu_count() or 1)  # each thread holds frames
            return stream
        kinds = sorted({stream.type for stream in self.container.streams})
        only = f" (only {', '.join(kinds)})" if kinds else ""
        raise ClipError(f"{label} has no video stream{only}; give a file with pictures in it")

    def __enter__(self) -> tuple[av.container.InputContainer, av.VideoStream]:
        return self.container, self.stream

    def __exit__(self, *_: object) -> None:
        self.container.close()


def _fps(stream: av.VideoStream) -> float:
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate else FALLBACK_FPS


def _check_size(label: str, width: int, height: int) -> None:
    if width * height > MAX_FRAME_PIXELS:
        raise ClipError(
            f"{label} has frames of {width} x {height} pixels; at most "
            f"{MAX_FRAME_PIXELS // 1_000_000} million pixels a frame are decoded: scale it down"
        )


def _undecodable(label: str, number: int, error: Exception) -> ClipError:
    if isinstance(error, StopIteration):
        return ClipError(f"{label} holds no frame that can be decoded; re-encode it")
    return ClipError(
        f"{label} is damaged or truncated: frame {number} cannot be decoded; choose a window "
        f"before it, or re-encode the file"
    )


def _gaps(numbers: Sequence[int]) -> int:
    return max((b - a for a, b in itertools.pairwise(numbers)), default=0)


def _index(path: Path, label: str) -> _Index:
    stat = path.stat()
    return _cached_index(str(path.absolute()), label, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _cached_index(path: str, label: str, size: int, mtime: int) -> _Index:
    """Read every packet of the stream without decoding it."""
    rows: list[tuple[int | None, int | None, bool]] = []
    whole = True
    with _opened(Path(path), label) as (container, stream):
        try:
            for packet in container.demux(stream):
                if packet.size and not packet.is_discard:
                    rows.append((packet.pts, packet.dts, packet.is_keyframe))
        except av.FFmpegError:
            whole = False  # truncated: the frames before are still there
        countable = stream.codec_context.name in _COUNTABLE
    none = np.zeros(0, dtype=np.int64)
    if not (whole and countable and rows) or any(p is None or d is None for p, d, _ in rows):
        return _Index(len(rows), False, none, none, none)
    pts = np.array([row[0] for row in rows], dtype=np.int64)
    dts = np.array([row[1] for row in rows], dtype=np.int64)
    key = np.array([row[2] for row in rows])
    order = np.argsort(pts, kind="stable")
    ordered = pts[order]
    # Frames before the first keyframe would be dropped by some decoders, kept by others.
    exact = bool(key[0] and order[0] == 0 and np.all(np.diff(ordered) > 0))
    keys = np.flatnonzero(key[order]).astype(np.int64)
    return _Index(len(rows), exact, ordered, keys, dts[order][keys])


def _keyframe_before(index: _Index | None, number: int) -> tuple[int, int] | None:
    """Display number and decoding time stamp of the last keyframe at or before ``number``."""
    if index is None:
        return None
    at = int(np.searchsorted(index.keys, number, side="right")) - 1
    return None if at < 0 else (int(index.keys[at]), int(index.key_dts[at]))


def _from_pts(decoded: Iterator[av.VideoFrame], pts: int) -> Iterator[av.VideoFrame]:
    """Drop what a seek delivers before its keyframe (an earlier group, or leading frames)."""
    for frame in decoded:
        if frame.pts is None:
            raise _NotExactError
        if frame.pts >= pts:
            yield frame
