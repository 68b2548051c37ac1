"""Vectors of a piece of a video in a file of their own, and many such files as one table.

A shard is a Parquet file with a row for each vector: its window's first frame and the vector.
It appears whole or not at all, so a run that is killed loses no video that was finished.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..clips import Flaw, add_flaw, flaw_notes
from ..files import whole_file
from .descriptors import Sums, Vectors

ROWS = 1024  # of a row group: what a reader and we hold at a time
_ABOUT = b"c3d_viz"  # key of a file's own metadata
_NAMES = ["path", "sha256"]  # columns that repeat


Batch = tuple[Any, Vectors | Sums]  # whole numbers, and a vector for each


@dataclass(frozen=True)
class Entry:
    """Rows of a table that are of one video."""

    path: str
    sha256: str
    frames: int
    notes: tuple[str, ...]
    batches: Iterable[Batch]


@dataclass(frozen=True)
class Shard:
    """What a shard says of its video.

    Attributes:
        frames, windows: their number.
        rows: number of vectors: 1, or one for each window.
        notes: what is known of the video, a line each.
        flaws: what is known of the frames that were read.
    """

    frames: int
    windows: int
    rows: int
    notes: tuple[str, ...] = ()
    flaws: tuple[Flaw, ...] = ()


def notes_of(shards: Iterable[Shard]) -> tuple[str, ...]:
    """What is known of a video, a line each, by the shards of its pieces in order."""
    notes, flaws = tuple[str, ...](), list[Flaw]()
    for shard in shards:
        notes = shard.notes
        for flaw in shard.flaws:
            add_flaw(flaws, *flaw)
    return (*notes, *flaw_notes(flaws))


def write_shard(
    path: Path, size: int, batches: Iterable[Batch], about: dict[str, Any], *, exact: bool = False
) -> Shard:
    """Write batches of ``size`` numbers a row as they come: float32, or where ``exact``, float64.

    ``about`` (frames, windows, notes, flaws) is read when the last batch has come.

    Raises:
        ExportError: the file cannot be written.
    """
    import pyarrow as pa

    schema = pa.schema([("start", pa.int64()), ("vector", _kind(size, exact))])
    rows = 0
    with _writer(path, schema) as writer:
        for starts, values in batches:
            columns = [pa.array(starts, pa.int64()), _column(values)]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            rows += len(values)
        shard = Shard(**about, rows=rows)
        writer.add_key_value_metadata({_ABOUT: _json(vars(shard))})
    return shard


def read_shard(path: Path, size: int, *, exact: bool = False) -> Shard | None:
    """What a shard says of its video; None where it is missing, damaged or of another size."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file, pq.ParquetFile(file) as stored:
            about = json.loads(stored.metadata.metadata[_ABOUT])
            several = {name: tuple(about[name]) for name in ("notes", "flaws")}
            shard = Shard(**{**about, **several})
            fits = stored.schema_arrow.field("vector").type == _kind(size, exact)
            return shard if fits and stored.metadata.num_rows == shard.rows else None
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None


def read_batches(files: Iterable[Path]) -> Iterator[Batch]:
    """The rows of shards, one after the other, some at a time."""
    import pyarrow.parquet as pq

    for path in files:
        with path.open("rb") as file, pq.ParquetFile(file) as stored:
            for piece in stored.iter_batches(ROWS):
                flat = piece["vector"].flatten().to_numpy()
                yield piece["start"], flat.reshape(piece.num_rows, -1)


def merge(
    out: Path, entries: Iterable[Entry], size: int, number: str, about: dict[str, Any]
) -> int:
    """Write the table of all rows of the entries, in their order; its number of rows.

    Row groups are cut by number of rows alone, so equal vectors give equal bytes.

    Args:
        number: name of the column of the batches' own numbers: start, or windows.
        about: what the file says of itself.

    Raises:
        ExportError: it cannot be written, or a shard is gone.
    """
    import pyarrow as pa

    schema = pa.schema(
        [
            ("path", pa.string()),
            ("sha256", pa.string()),
            ("frames", pa.int64()),
            (number, pa.int64()),
            ("vector", _kind(size)),
            ("notes", pa.string()),
        ],
        metadata={_ABOUT: _json(about)},
    )
    total, held, room = 0, list[Any](), ROWS
    with _writer(out, schema) as writer:
        for batch in _rows(entries, schema):
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


def _rows(entries: Iterable[Entry], schema: Any) -> Iterator[Any]:
    """Record batches of the table."""
    import pyarrow as pa

    for entry in entries:
        for numbers, vectors in entry.batches:
            many = len(numbers)
            columns = [
                _repeated(entry.path, many),
                _repeated(entry.sha256, many),
                _repeated(entry.frames, many),
                pa.array(numbers, pa.int64()),
                _column(vectors),
                _repeated("; ".join(entry.notes), many),
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


def _kind(size: int, exact: bool = False) -> Any:
    import pyarrow as pa

    return pa.list_(pa.float64() if exact else pa.float32(), size)


def _column(vectors: Vectors | Sums) -> Any:
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])


def _repeated(value: str | int, count: int) -> Any:
    import pyarrow as pa

    return pa.array([value] * count, pa.string() if isinstance(value, str) else pa.int64())


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode()
