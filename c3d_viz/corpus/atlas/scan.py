"""How strongly every feature map answers to every window, as shards named by their windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...clips import WindowStream
from ...errors import ClipError
from ...files import sha256
from ..listener import Listener, Vectors
from ..shards import Shard, read_shard, write_shard
from .bench import Bench

RANGE = 64  # windows of a shard: what a process that is killed loses at most


@dataclass(frozen=True)
class Video:
    """A video that can be opened: SHA-256 of its file or files, number of frames and windows."""

    path: Path
    sha256: str
    frames: int
    windows: int


@dataclass(frozen=True)
class Piece:
    """Windows ``first`` to ``end - 1`` of a video, in the order of their first frames."""

    video: Video
    first: int
    end: int

    def file(self, parts: Path, key: str) -> Path:
        return parts / f"{key}-{self.video.sha256}-{self.first}-{self.end - 1}.parquet"


def pieces_of(video: Video) -> list[Piece]:
    starts = range(0, video.windows, RANGE)
    return [Piece(video, first, min(first + RANGE, video.windows)) for first in starts]


def probe(bench: Bench, path: Path) -> Video:
    """Open a video.

    Raises:
        ClipError: it cannot be read, or is shorter than one window.
    """
    stream = WindowStream(path, bench.listener.input, bench.settings.stride)
    try:
        digest = sha256(path)
    except OSError as error:
        raise ClipError(f"{stream.label} cannot be read: {error.strerror or error}") from None
    return Video(path, digest, stream.frames, len(stream.starts))


def scan(bench: Bench, piece: Piece) -> Shard:
    """Each window's vector: the peak of each feature map. Not computed where its file is whole.

    Raises:
        ClipError: a frame cannot be decoded.
        ExportError: the shard cannot be written.
        VizError: a layer answers NaN or infinity.
    """
    file, size = piece.file(bench.parts, bench.scan_key), bench.listener.size
    known = read_shard(file, size)
    if known is not None:
        return known
    part = slice(piece.first, piece.end)
    stream = WindowStream(piece.video.path, bench.listener.input, bench.settings.stride, part)
    facts: dict[str, Any] = {"frames": piece.video.frames, "windows": piece.video.windows}
    return write_shard(file, size, _rows(bench.listener, stream, facts), facts)


def _rows(
    listener: Listener, stream: WindowStream, facts: dict[str, Any]
) -> Iterator[tuple[Sequence[int], Vectors]]:
    done = 0
    for answer in listener.vectors(stream):
        yield stream.starts[done : done + len(answer)], answer
        done += len(answer)
    facts["notes"] = stream.notes
