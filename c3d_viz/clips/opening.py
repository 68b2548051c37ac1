"""Open a video file safely: no other file, no network, no absurd size, the track people mean."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import av.stream
import cv2
from av.container import InputContainer

from ..errors import ClipError, printable

PathLike = str | os.PathLike[str]

# The one cap, of a clip whatever its number of frames, and of a frame: a sixteenth. 4K has 8.3.
MAX_CLIP_PIXELS = 300_000_000
MAX_FRAME_PIXELS = MAX_CLIP_PIXELS // 16
FALLBACK_FPS = 25.0  # when a file does not state its rate
# Text that ffmpeg would take for pictures, and lists that would open further files.
_REFUSED = {"tty", "bin", "hls", "dash", "concat", "sdp", "imf", "ffmetadata", "lavfi"}
_STILLS = {"mjpeg", "png", "webp", "bmp", "tiff"}
_HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics, ITU-T H.273


def shown(path: PathLike) -> str:
    """The path as one printable line: a name may hold line breaks and control characters."""
    return printable(os.fspath(path))


def _lenient(version: str) -> dict[str, Any]:
    """What makes this PyAV take titles that are not UTF-8, as old cameras write; 19 always does."""
    return {"metadata_errors": "replace"} if int(version.split(".")[0]) < 19 else {}


@contextmanager
def opened(
    path: Path, label: str, threads: int | None = None
) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    """The open container and the video stream that a player shows.

    ``threads`` decode; by default as many as OpenCV may use (one a core; one in all within
    ``one_thread_each``), up to 4. With one, an error is the error of the packet that was given
    last.

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
            stream = _video_stream(container, label, threads)
            try:
                yield container, stream
            finally:
                # Decoding threads come to rest while Python's lock is free. PyAV may hold it as it
                # frees them, and one that logs to Python (torchvision asks for it) waits for it.
                stream.codec_context.flush_buffers()
    except (av.FFmpegError, IndexError, ValueError, OverflowError) as error:
        raise ClipError(  # what a damaged header makes PyAV say, far from any frame
            f"{label} is damaged ({type(error).__name__} while reading it); re-encode it"
        ) from None


def _video_stream(container: InputContainer, label: str, threads: int | None) -> av.VideoStream:
    if set(container.format.name.split(",")) & _REFUSED:
        raise ClipError(
            f"{label} is a text or playlist file, not a video; give the video file itself"
        )
    streams = _tracks(container)
    if not streams:
        # not the streams' own ``type``: PyAV 16 reads past its end where a damaged file has none
        kinds = [
            kind for kind in ("audio", "subtitles", "data") if getattr(container.streams, kind)
        ]
        only = f" (only {', '.join(kinds)})" if kinds else ""
        raise ClipError(f"{label} has no video stream{only}; give a file with pictures in it")
    stream = min(streams, key=_unlike_a_film)
    context: Any = stream.codec_context
    if context is None:
        raise ClipError(
            f"{label} holds video of a codec that ffmpeg does not know, or is damaged; "
            f"re-encode it as H.264"
        )
    check_size(label, context.width, context.height)
    stream.thread_type = "AUTO"
    context.thread_count = threads or min(4, cv2.getNumThreads())  # each thread holds frames
    return stream


def _tracks(container: InputContainer) -> list[av.VideoStream]:
    """Video streams without the cover art of music files."""
    return [stream for stream in container.streams.video if not _marked(stream, "attached_pic")]


def _marked(stream: av.VideoStream, mark: str) -> bool:
    """Whether the file marks a track so."""
    return bool(stream.disposition & av.stream.Disposition[mark])


def _unlike_a_film(stream: av.VideoStream) -> tuple[bool, ...]:
    """Sorts the track that a player shows first: known, moving, marked as the default."""
    context: Any = stream.codec_context
    still = context is not None and context.name in _STILLS
    return context is None, stream.frames == 1, still, not _marked(stream, "default")


def notes_on(container: InputContainer, stream: av.VideoStream) -> tuple[str, ...]:
    """What people should know who look at this file's frames, a line each."""
    notes = []
    tracks = _tracks(container)
    if len(tracks) > 1:
        notes.append(f"video track {tracks.index(stream) + 1} of {len(tracks)} is read")
    curve = _HDR.get(int(stream.codec_context.color_trc or 0))
    if curve:
        notes.append(f"high dynamic range ({curve}), shown without tone mapping: colours are dull")
    return tuple(notes)


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


def check_pixels(label: str, count: int, width: int, height: int) -> None:
    """Raise ClipError for more than MAX_CLIP_PIXELS in ``count`` frames together."""
    if count * width * height > MAX_CLIP_PIXELS:
        raise ClipError(
            f"{label}: {count} frames of {width} x {height} are more than the "
            f"{MAX_CLIP_PIXELS // 1_000_000} million pixels a clip may have; scale it down"
        )


def no_frames(label: str) -> ClipError:
    """The error for a file of which nothing can be decoded."""
    return ClipError(f"{label} holds no frame that can be decoded; re-encode it")
