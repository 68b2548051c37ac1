"""Means that leave out what is undefined, and linear correlation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def nanmean(values: npt.ArrayLike, axis: int | tuple[int, ...] = -1) -> Floats:
    """Mean of the defined values; NaN, without a warning, where there is none."""
    array = np.asarray(values, np.float64)
    defined = np.isfinite(array)
    count = defined.sum(axis)
    total = np.where(defined, array, 0.0).sum(axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def pearson(first: Floats, second: Floats) -> Floats:
    """Pearson correlation per column; 0 for a column that does not vary."""
    a, b = (np.asarray(v, np.float64) - np.asarray(v, np.float64).mean(0) for v in (first, second))
    size = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    return np.asarray(np.where(size > 1e-12, (a * b).sum(0) / np.where(size > 1e-12, size, 1), 0.0))
