"""Vectors of one video in a file of their own, and many such files as one table.

A shard is a Parquet file with a row for each vector: its window's first frame and the vector.
It appears whole or not at all, so a run that is killed loses no video that was finished.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..files import whole_file
from .descriptors import Vectors

ROWS = 1024  # of a row group: what a reader and we hold at a time
_ABOUT = b"c3d_viz"  # key of a file's own metadata
_NAMES = ["path", "sha256"]  # columns that repeat


@dataclass(frozen=True)
class Shard:
    """What a shard says of its video.

    Attributes:
        frames, windows: their number.
        rows: number of vectors: 1, or one for each window.
        notes: what is known of the frames, a line each.
    """

    frames: int
    windows: int
    rows: int
    notes: tuple[str, ...] = ()


def write_shard(
    path: Path, size: int, vectors: Iterable[tuple[Sequence[int], Vectors]], about: dict[str, Any]
) -> Shard:
    """Write batches of (first frames, (B, ``size``) float32) as they come.

    ``about`` (frames, windows, notes) is read when the last batch has come.

    Raises:
        ExportError: the file cannot be written.
    """
    import pyarrow as pa

    schema = pa.schema([("start", pa.int64()), ("vector", pa.list_(pa.float32(), size))])
    rows = 0
    with _writer(path, schema) as writer:
        for starts, values in vectors:
            columns = [pa.array(starts, pa.int64()), _column(values)]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            rows += len(values)
        shard = Shard(**about, rows=rows)
        writer.add_key_value_metadata({_ABOUT: _json(vars(shard))})
    return shard


def read_shard(path: Path, size: int) -> Shard | None:
    """What a shard says of its video; None where it is missing, damaged or of another size."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file, pq.ParquetFile(file) as stored:
            about = json.loads(stored.metadata.metadata[_ABOUT])
            shard = Shard(**{**about, "notes": tuple(about["notes"])})
            fits = stored.schema_arrow.field("vector").type == pa.list_(pa.float32(), size)
            return shard if fits and stored.metadata.num_rows == shard.rows else None
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None


def merge(
    out: Path,
    videos: Iterable[tuple[str, str, Path, Shard]],
    size: int,
    *,
    each_window: bool,
    about: dict[str, Any],
) -> int:
    """Write the table of (path, SHA-256, shard's file, shard) in their order; its number of rows.

    Row groups are cut by number of rows alone, so equal vectors give equal bytes.

    Raises:
        ExportError: it cannot be written, or a shard is gone.
    """
    import pyarrow as pa

    numbers = ("frames", "start") if each_window else ("frames", "windows")
    schema = pa.schema(
        [
            ("path", pa.string()),
            ("sha256", pa.string()),
            *((name, pa.int64()) for name in numbers),
            ("vector", pa.list_(pa.float32(), size)),
            ("notes", pa.string()),
        ],
        metadata={_ABOUT: _json(about)},
    )
    total, held, room = 0, list[Any](), ROWS
    with _writer(out, schema) as writer:
        for batch in _rows(videos, schema, each_window):
            total += batch.num_rows
            while batch.num_rows:
                held.append(batch.slice(0, room))
                room -= held[-1].num_rows
                batch = batch.slice(held[-1].num_rows)
                if not room:
                    writer.write_table(pa.Table.from_batches(held, schema))
                    held, room = [], ROWS
        if held:
            writer.write_table(pa.Table.from_batches(held, schema))
    return total


def _rows(
    videos: Iterable[tuple[str, str, Path, Shard]], schema: Any, each_window: bool
) -> Iterator[Any]:
    """Record batches of the table, from shards read piece by piece."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path, digest, file, shard in videos:
        with file.open("rb") as data, pq.ParquetFile(data) as stored:
            for piece in stored.iter_batches(ROWS):
                many = piece.num_rows
                number = piece["start"] if each_window else _repeated(shard.windows, many)
                columns = [
                    _repeated(path, many),
                    _repeated(digest, many),
                    _repeated(shard.frames, many),
                    number,
                    piece["vector"],
                    _repeated("; ".join(shard.notes), many),
                ]
                yield pa.record_batch(columns, schema=schema)


@contextmanager
def _writer(path: Path, schema: Any) -> Iterator[Any]:
    import pyarrow.parquet as pq

    # a file object: Arrow itself takes no names that are not UTF-8
    with (
        whole_file(path) as part,
        part.open("wb") as file,
        pq.ParquetWriter(file, schema, use_dictionary=_NAMES) as writer,
    ):
        yield writer


def _column(vectors: Vectors) -> Any:
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])


def _repeated(value: str | int, count: int) -> Any:
    import pyarrow as pa

    return pa.array([value] * count, pa.string() if isinstance(value, str) else pa.int64())


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode()
