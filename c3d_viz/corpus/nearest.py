"""The nearest windows or videos of a corpus: exact, streamed from the file, by cosine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import checked
from ..errors import ExportError, ShapeError, VizError
from .listener import Vectors

_ROWS = 4096  # compared at a time
_MAX_K = 10_000
_MAX_GROUP = 4 << 30  # bytes of a row group, unpacked


@dataclass(frozen=True)
class Neighbour:
    """A window, or a video, of the corpus.

    Attributes:
        cosine: likeness, -1 to 1.
        path, sha256: the video, as it was named when the table was made.
        start: the window's first frame; None of a whole video.
        query: which of the vectors that were asked for it is like.
    """

    cosine: float
    path: str
    sha256: str
    start: int | None
    query: int


@checked(VizError, "vectors")
def search(table: str | os.PathLike[str], vectors: Vectors, k: int = 9) -> list[Neighbour]:
    """The k rows of a table of ``c3d-viz features`` that are nearest to a vector, or one of some.

    Every row is compared, by cosine; memory holds a few thousand rows, however long the table.

    Args:
        table: Parquet file with a row for each video, or for each window.
        vectors: (D,) or (N, D), made by the same network and layer: ``describe(...).vector``, or
            ``.windows``.

    Raises:
        ExportError: the file is missing, damaged, or no such table.
        ShapeError: the vectors have another length than the table's, or are not finite.
        VizError: k below 1.
    """
    try:
        rows = np.atleast_2d(np.asarray(vectors, np.float32))
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise ShapeError(
            f"vectors must be (D,) or (N, D) numbers, got {type(vectors).__name__}"
        ) from None
    return nearest_rows(Path(table), rows, k)


def nearest_rows(
    path: Path, rows: Vectors, k: int, size: int | None = None, part: slice = slice(None)
) -> list[Neighbour]:
    """The same for a part of each vector; ``size`` is the length that the file's must have."""
    if not 1 <= k <= _MAX_K:
        raise VizError(f"k must be 1 to {_MAX_K} neighbours, got {k}")
    if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all():
        raise ShapeError(f"vectors must be (D,) or (N, D) finite numbers, got {rows.shape}")
    unit = _unit(rows)
    best = np.zeros(0, np.float32)
    found: list[tuple[str, str, int | None, int]] = []
    with parquet_file(path) as stored:
        length = _length(stored, path)
        if (size or length) != length or len(range(length)[part]) != rows.shape[1]:
            raise ShapeError(
                f"{path} has vectors of {length} numbers and was asked with {rows.shape[1]}; use "
                f"the network and layer that it was made with"
            )
        names = ["path", "sha256", "vector"]
        names += ["start"] if "start" in stored.schema_arrow.names else []
        for batch in stored.iter_batches(_ROWS, columns=names):
            if any(column.null_count for column in batch.columns):
                raise ExportError(f"{path} is damaged: it has rows without a value; make it again")
            flat = batch["vector"].flatten().to_numpy(zero_copy_only=False)
            values = flat.reshape(-1, length)[:, part]
            likeness = _unit(values) @ unit.T
            query = likeness.argmax(axis=1)
            best = np.concatenate([best, likeness.max(axis=1)])
            starts = batch["start"].to_pylist() if "start" in names else [None] * len(values)
            texts = (batch["path"].to_pylist(), batch["sha256"].to_pylist())
            rest = list(zip(*texts, starts, query.tolist(), strict=True))
            order = np.argsort(-best, kind="stable")[:k]
            found = [found[i] if i < len(found) else rest[i - len(found)] for i in order]
            best = best[order]
    return [Neighbour(float(c), *facts) for c, facts in zip(best, found, strict=True)]


def _unit(rows: Vectors) -> Vectors:
    """Rows of L2 norm 1; those of zeros, and what is not finite, stay zero."""
    norm = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    sound = np.isfinite(norm) & (norm > 0)
    return np.where(sound, rows / np.where(sound, norm, 1), 0).astype(np.float32)


def _length(stored: Any, path: Path) -> int:
    import pyarrow as pa

    schema = stored.schema_arrow
    kinds = {column.name: column.type for column in schema}
    vector: Any = kinds.get("vector")
    fits = kinds.get("path") == kinds.get("sha256") == pa.string()
    fits = fits and len(kinds) == len(schema)  # no two columns of one name
    fits = fits and kinds.get("start", pa.int64()) == pa.int64()
    fits = fits and vector is not None and pa.types.is_fixed_size_list(vector)
    if not fits or vector.value_type != pa.float32():
        raise ExportError(f"{path} is no table of features; make one with c3d-viz features")
    return int(vector.list_size)


@contextmanager
def parquet_file(path: Path) -> Iterator[Any]:
    """A Parquet file from anybody, open.

    Raises:
        ExportError: it is missing, no ordinary file, damaged, or has a row group beyond 4 GiB.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.is_symlink() or not path.is_file():
            raise ExportError(f"{path} is missing, or no ordinary file")
        with path.open("rb") as file, pq.ParquetFile(file) as stored:
            groups = [stored.metadata.row_group(i) for i in range(stored.num_row_groups)]
            if any(not 0 <= group.total_byte_size <= _MAX_GROUP for group in groups):
                raise ExportError(f"{path} has groups of rows that are too large; make it again")
            yield stored
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:100]
        raise ExportError(f"{path} cannot be read ({reason}); make it again") from None
