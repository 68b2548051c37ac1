"""Open a video file safely, and number its frames without decoding them."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.stream
import numpy as np
import numpy.typing as npt
from av.container import InputContainer

from ..errors import ClipError

PathLike = str | os.PathLike[str]

MAX_FRAME_PIXELS = 36_000_000  # 8K UHD is 33.2 million
FALLBACK_FPS = 25.0  # when a file does not state its rate
# One packet is one frame in these codecs, so packets number frames. (A VP8 packet may be hidden.)
_COUNTABLE = {"h264", "hevc", "vp9", "av1", "libdav1d", "mjpeg", "prores", "gif", "ffv1"}
# Text that ffmpeg would take for pictures, and lists that would open further files.
_REFUSED = {"tty", "bin", "hls", "dash", "concat", "sdp", "imf", "ffmetadata", "lavfi"}


def shown(path: PathLike) -> str:
    """The path as one printable line: a name may hold line breaks and control characters."""
    text = os.fspath(path)
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _lenient(version: str) -> dict[str, Any]:
    """What makes this PyAV take titles that are not UTF-8, as old cameras write; 19 always does."""
    return {"metadata_errors": "replace"} if int(version.split(".")[0]) < 19 else {}


@contextmanager
def opened(path: Path, label: str) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    """The open container and its first real video stream.

    Raises:
        ClipError: it cannot be opened, holds no pictures, or holds absurdly large ones.
    """
    try:
        # "file:" and the whitelist: a name is never a protocol, a playlist opens no network.
        container = av.open(
            f"file:{path.absolute()}",
            container_options={"protocol_whitelist": "file"},
            **_lenient(av.__version__),
        )
    except av.FFmpegError:
        raise ClipError(
            f"{label} is not a video file ffmpeg can open, or its start or index is "
            f"damaged or missing; check that it plays, or re-encode it"
        ) from None
    except (OSError, ValueError) as error:
        raise ClipError(
            f"{label} cannot be opened ({getattr(error, 'strerror', None) or error}); check the "
            f"name and that the file may be read"
        ) from None
    try:
        with container:
            yield container, _video_stream(container, label)
    except (av.FFmpegError, IndexError, ValueError, OverflowError) as error:
        raise ClipError(  # what a damaged header makes PyAV say, far from any frame
            f"{label} is damaged ({type(error).__name__} while reading it); re-encode it"
        ) from None


def _video_stream(container: InputContainer, label: str) -> av.VideoStream:
    if set(container.format.name.split(",")) & _REFUSED:
        raise ClipError(
            f"{label} is a text or playlist file, not a video; give the video file itself"
        )
    for stream in container.streams.video:
        if stream.disposition & av.stream.Disposition.attached_pic:
            continue  # cover art of a music file
        context: Any = stream.codec_context
        if context is None:
            raise ClipError(
                f"{label} holds video of a codec that ffmpeg does not know, or is damaged; "
                f"re-encode it as H.264"
            )
        check_size(label, context.width, context.height)
        stream.thread_type = "AUTO"
        context.thread_count = min(4, os.cpu_count() or 1)  # each thread holds frames
        return stream
    kinds = sorted({stream.type for stream in container.streams})
    only = f" (only {', '.join(kinds)})" if kinds else ""
    raise ClipError(f"{label} has no video stream{only}; give a file with pictures in it")


def fps_of(stream: av.VideoStream) -> float:
    """Average frames per second as the file states them, or 25 where that makes no sense."""
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate and 0 < rate < 1000 else FALLBACK_FPS


def check_size(label: str, width: int, height: int) -> None:
    """Raise ClipError for frames of more than MAX_FRAME_PIXELS."""
    if width * height > MAX_FRAME_PIXELS:
        raise ClipError(
            f"{label} has frames of {width} x {height} pixels; at most "
            f"{MAX_FRAME_PIXELS // 1_000_000} million pixels a frame are decoded: scale it down"
        )


def undecodable(label: str, number: int, error: Exception) -> ClipError:
    """The error for a frame that ffmpeg cannot decode, or (StopIteration) for none at all."""
    if isinstance(error, StopIteration):
        return ClipError(f"{label} holds no frame that can be decoded; re-encode it")
    return ClipError(
        f"{label} is damaged or truncated: frame {number} cannot be decoded; choose a window "
        f"before it, or re-encode the file"
    )


@dataclass(frozen=True)
class Index:
    """Packets of one stream: ``pts`` in order of display, and ``exact`` if they number frames."""

    count: int
    exact: bool
    pts: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]  # display numbers of the keyframes
    key_dts: npt.NDArray[np.int64]


def index_of(path: Path, label: str) -> Index:
    """The file's Index, kept while the file does not change. Reads all of it, decodes nothing."""
    stat = path.stat()
    return _cached_index(str(path.absolute()), label, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _cached_index(path: str, label: str, size: int, mtime: int) -> Index:
    """Read every packet of the stream without decoding it."""
    rows: list[tuple[int | None, int | None, bool]] = []
    whole = True
    with opened(Path(path), label) as (container, stream):
        try:
            for packet in container.demux(stream):
                if packet.size and not packet.is_discard:
                    rows.append((packet.pts, packet.dts, packet.is_keyframe))
        except av.FFmpegError:
            whole = False  # truncated: the frames before are still there
        countable = stream.codec_context.name in _COUNTABLE
    none = np.zeros(0, dtype=np.int64)
    if not (whole and countable and rows) or any(p is None or d is None for p, d, _ in rows):
        return Index(len(rows), False, none, none, none)
    pts = np.array([row[0] for row in rows], dtype=np.int64)
    dts = np.array([row[1] for row in rows], dtype=np.int64)
    key = np.array([row[2] for row in rows])
    order = np.argsort(pts, kind="stable")
    ordered = pts[order]
    # Frames before the first keyframe would be dropped by some decoders, kept by others.
    exact = bool(key[0] and order[0] == 0 and np.all(np.diff(ordered) > 0))
    keys = np.flatnonzero(key[order]).astype(np.int64)
    return Index(len(rows), exact, ordered, keys, dts[order][keys])


def keyframe_before(index: Index | None, number: int) -> tuple[int, int] | None:
    """Display number and decoding time stamp of the last keyframe at or before ``number``."""
    if index is None:
        return None
    at = int(np.searchsorted(index.keys, number, side="right")) - 1
    return None if at < 0 else (int(index.keys[at]), int(index.key_dts[at]))
