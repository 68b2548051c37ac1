"""The nearest windows or videos of a corpus: exact, streamed from the file, by cosine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..arguments import checked
from ..errors import ShapeError, VizError
from .listener import Vectors
from .table import length_of, parquet_file, rows_of

_MAX_K = 10_000


@dataclass(frozen=True)
class Neighbour:
    """A window, or a video, of the corpus.

    Attributes:
        cosine: likeness, -1 to 1.
        path, sha256: the video, as it was named when the table was made.
        start: the window's first frame; None of a whole video.
        query: which of the vectors that were asked for it is like.
        asked: first frame of that window of a clip that was looked up; None of a whole video, and
            where vectors were given.
    """

    cosine: float
    path: str
    sha256: str
    start: int | None
    query: int
    asked: int | None = None


@checked(VizError, "vectors")
def search(table: str | os.PathLike[str], vectors: Vectors, k: int = 9) -> list[Neighbour]:
    """The k rows of a table of ``c3d-viz features`` that are nearest to a vector, or one of some.

    Every row is compared, by cosine; memory holds a thousand rows, however long the table. A
    vector of zeros has no direction: nothing is like it, and a row of them has the cosine 0.

    Args:
        table: Parquet file with a row for each video, or for each window.
        vectors: (D,) or (N, D), made by the same network and layer: ``describe(...).vector``, or
            ``.windows``.

    Raises:
        ExportError: the file is missing, damaged, or no such table.
        ShapeError: the vectors have another length than the table's, are not finite, or all zero.
        VizError: k out of range.
    """
    try:
        given = np.asarray(vectors)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        given = np.zeros(0, object)
    if given.dtype.kind not in "fiu":
        raise ShapeError(f"vectors must be (D,) or (N, D) numbers, got {type(vectors).__name__}")
    with np.errstate(over="ignore"):
        rows = np.atleast_2d(given.astype(np.float32))
    return nearest_rows(Path(table), rows, k)


def nearest_rows(
    path: Path, rows: Vectors, k: int, size: int | None = None, part: slice = slice(None)
) -> list[Neighbour]:
    """The same for a part of each vector; ``size`` is the length that the file's must have."""
    check_k(k)
    if rows.ndim != 2 or not rows.size:
        raise ShapeError(f"vectors must be (D,) or (N, D) numbers, got shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise ShapeError("vectors hold NaN or infinity; check the clip and network they are of")
    unit = _unit(rows)
    zero = ~unit.any(axis=1)
    if zero.all():
        raise ShapeError(
            "a vector of zeros has no direction, so nothing is nearest to it; ask with another "
            "clip or layer"
        )
    best = np.zeros(0, np.float32)
    found: list[tuple[str, str, int | None, int]] = []
    with parquet_file(path) as stored:
        length = length_of(stored, path)
        if (size or length) != length or len(range(length)[part]) != rows.shape[1]:
            raise ShapeError(
                f"{path} has vectors of {length} numbers and was asked with {rows.shape[1]}; use "
                f"the network and layer that it was made with"
            )
        names = ["path", "sha256"]
        names += ["start"] if "start" in stored.schema_arrow.names else []
        for batch, values in rows_of(stored, path, names):
            likeness = (_unit(values[:, part]) @ unit.T).clip(-1, 1)  # rounding may go beyond
            likeness[:, zero] = -2  # below any cosine
            query = likeness.argmax(axis=1)
            best = np.concatenate([best, likeness.max(axis=1)])
            starts = batch["start"].to_pylist() if "start" in names else [None] * len(values)
            texts = (batch["path"].to_pylist(), batch["sha256"].to_pylist())
            rest = list(zip(*texts, starts, query.tolist(), strict=True))
            order = np.argsort(-best, kind="stable")[:k]
            found = [found[i] if i < len(found) else rest[i - len(found)] for i in order]
            best = best[order]
    return [Neighbour(float(c), *facts) for c, facts in zip(best, found, strict=True)]


def of_windows(found: Sequence[Neighbour], starts: npt.NDArray[np.int64]) -> list[Neighbour]:
    """The same, where the vectors are of the windows of a clip that begin at ``starts``."""
    return [replace(one, asked=int(starts[one.query])) for one in found]


def check_k(k: int) -> None:
    """Raises VizError where so many neighbours are too few or too many."""
    if not 1 <= k <= _MAX_K:
        raise VizError(f"k must be 1 to {_MAX_K} neighbours, got {k}")


def _unit(rows: Vectors) -> Vectors:
    """Rows of L2 norm 1; those of zeros stay zero."""
    norm = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return (rows / np.where(norm > 0, norm, 1)).astype(np.float32)
