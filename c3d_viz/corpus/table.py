"""A table of vectors on disk, which may come from anybody: checked, and read piece by piece."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ExportError
from .listener import Vectors

_ROWS = 1024  # read at a time
_MAX_GROUP = 4 << 30  # bytes of a row group, unpacked
_ABOUT = b"c3d_viz"  # key of a table's own metadata


@contextmanager
def parquet_file(path: Path) -> Iterator[Any]:
    """A Parquet file from anybody, open.

    Raises:
        ExportError: it is missing, no ordinary or no Parquet file, damaged, or has a row group
            beyond 4 GiB.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.is_symlink() or not path.is_file():
            raise ExportError(f"{path} is missing, or no ordinary file")
        with path.open("rb") as file:
            if file.read(4) != b"PAR1":
                raise ExportError(f"{path} is no Parquet file, as c3d-viz features makes them")
            with pq.ParquetFile(file) as stored:
                groups = [stored.metadata.row_group(i) for i in range(stored.num_row_groups)]
                if any(not 0 <= group.total_byte_size <= _MAX_GROUP for group in groups):
                    raise ExportError(
                        f"{path} has groups of rows that are too large; make it again"
                    )
                yield stored
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:100]
        raise ExportError(f"{path} cannot be read ({reason}); make it again") from None


def length_of(stored: Any, path: Path) -> int:
    """Length of the vectors of a table of ``c3d-viz features``.

    Raises:
        ExportError: it has other columns.
    """
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


def rows_of(stored: Any, path: Path, names: Sequence[str]) -> Iterator[tuple[Any, Vectors]]:
    """Batches of a table with the columns ``names``, and the vectors (N, D) of each.

    Raises:
        ExportError: a row is without a value, or a vector not finite.
    """
    length = length_of(stored, path)
    for batch in stored.iter_batches(_ROWS, columns=[*names, "vector"]):
        if any(column.null_count for column in batch.columns):
            raise ExportError(f"{path} is damaged: it has rows without a value; make it again")
        flat = batch["vector"].flatten().to_numpy(zero_copy_only=False)
        if not np.isfinite(flat).all():
            raise ExportError(
                f"{path} is damaged: it has vectors with NaN or infinity; make it again"
            )
        yield batch, flat.reshape(-1, length)


def said_of(stored: Any) -> dict[str, Any]:
    """What a table says of itself; nothing where that is missing or damaged."""
    try:
        about = json.loads((stored.schema_arrow.metadata or {}).get(_ABOUT, b""))
    except (ValueError, RecursionError):
        about = None
    return about if isinstance(about, dict) else {}
