"""How strongly every feature map answers to every window, as shards named by their windows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...clips import WindowStream
from ..descriptors import LENGTH
from ..listener import Listener
from ..pieces import Piece, Video, video_of
from ..shards import Batch, Shard, read_shard, write_shard
from .bench import Bench


def probe(bench: Bench, path: Path) -> Video:
    """Open a video.

    Raises:
        ClipError: it cannot be read, or is shorter than one window.
    """
    stream = WindowStream(path, bench.listener.input, bench.settings.stride)
    return video_of(path, stream, LENGTH)


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


def _rows(listener: Listener, stream: WindowStream, facts: dict[str, Any]) -> Iterator[Batch]:
    done = 0
    for answer in listener.vectors(stream):
        yield stream.starts[done : done + len(answer)], answer
        done += len(answer)
    facts["notes"], facts["flaws"] = stream.source_notes, stream.flaws
