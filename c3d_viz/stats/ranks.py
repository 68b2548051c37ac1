"""Rank statistics of maps, vectorised: blur and subsample first, then one sort for all rows.

Ranks of full-size maps cost more than the back-projection they belong to. Numpy only.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from .moments import Floats

Mask = npt.NDArray[np.bool_]

BLUR_SIGMA = 2.0  # pixels
SAMPLE_STEP = 4  # every fourth pixel, from the third on


def blur_and_sample(maps: npt.NDArray[np.floating]) -> Floats:
    """Gaussian blur, then every fourth pixel: (..., H, W) -> (..., N), N = (H/4) (W/4).

    Both at once, as a product with two small matrices. Kernels that reach over the border are
    renormalised. Exact zeros stay exact zeros.
    """
    rows, columns = _sampler(maps.shape[-2]), _sampler(maps.shape[-1])
    out = rows @ maps.astype(np.float64) @ columns.T
    return out.reshape(*maps.shape[:-2], -1)


@functools.cache
def _sampler(length: int) -> Floats:
    """(n, length): row i is the Gaussian around sample i, sum 1, cut at four sigma."""
    centres = np.arange(SAMPLE_STEP // 2, length, SAMPLE_STEP)[:, None]
    distance = np.arange(length)[None] - centres
    kernel = np.exp(-(distance**2) / (2 * BLUR_SIGMA**2)) * (np.abs(distance) <= 4 * BLUR_SIGMA)
    return np.asarray(kernel / kernel.sum(1, keepdims=True))


def ranks(values: npt.NDArray[np.floating]) -> Floats:
    """Ranks along the last axis, from 0, ties share their mean rank; any leading shape.

    The same as ``scipy.stats.rankdata(values, axis=-1) - 1``, for all rows in one sort.
    """
    n = values.shape[-1]
    rows = np.ascontiguousarray(values).reshape(-1, n)
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    new_run = np.ones(ordered.shape, bool)
    new_run[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    starts = np.flatnonzero(new_run)  # every row starts a run, so runs never cross rows
    lengths = np.diff(np.append(starts, ordered.size))
    mean_rank = (starts % n) + (lengths - 1) / 2
    out = np.empty(ordered.shape, np.float64)
    np.put_along_axis(out, order, np.repeat(mean_rank, lengths).reshape(ordered.shape), axis=1)
    return out.reshape(values.shape)


def standard_ranks(values: npt.NDArray[np.floating], valid: Mask | None = None) -> Floats:
    """Ranks of the valid points along the last axis, centred, of length 1.

    The inner product of two such rows is their Spearman correlation. Points left out are 0. A
    constant row is all 0 (a spread below a millionth of the largest value is rounding and counts
    as constant); a row with NaN or infinite values is all NaN.
    """
    if valid is None:
        valid = np.ones(values.shape, bool)
    finite = (np.isfinite(values) | ~valid).all(-1, keepdims=True)
    used = np.where(valid & np.isfinite(values), values, 0.0)
    top = np.where(valid, used, -np.inf).max(-1, keepdims=True)
    bottom = np.where(valid, used, np.inf).min(-1, keepdims=True)
    spread = top - bottom > 1e-6 * np.maximum(np.abs(top), np.abs(bottom))
    rank = ranks(np.where(valid, used, np.inf))  # points left out sort behind all others
    count = np.maximum(valid.sum(-1, keepdims=True), 1)
    centred = np.where(valid, rank, 0.0)
    centred = np.where(valid, centred - centred.sum(-1, keepdims=True) / count, 0.0)
    length = np.sqrt((centred**2).sum(-1, keepdims=True))
    unit = np.where(spread, centred / np.where(length > 0, length, 1.0), 0.0)
    return np.where(finite, unit, np.nan)


def is_constant(standard: Floats) -> Mask:
    """Rows of ``standard_ranks`` that were constant: they correlate 0 with all, meaning nothing."""
    return np.asarray((standard == 0).all(-1))


def correlation(first: Floats, second: Floats) -> Floats:
    """Spearman correlation of two ``standard_ranks``, along the last axis; NaN stays NaN."""
    return np.asarray((first * second).sum(-1))


def partial(ab: Floats, ac: Floats, bc: Floats) -> Floats:
    """r_ab.c = (r_ab - r_ac r_bc) / sqrt((1 - r_ac^2)(1 - r_bc^2)); NaN if c explains a or b."""
    left = (1 - ac**2) * (1 - bc**2)
    clear = left > 1e-9
    value = (ab - ac * bc) / np.sqrt(np.where(clear, left, 1.0))
    return np.where(clear, np.clip(value, -1, 1), np.nan)


def spearman(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> Floats:
    """Spearman correlation along the last axis; NaN where a row is constant or not finite."""
    ra, rb = standard_ranks(a), standard_ranks(b)
    return np.where(is_constant(ra) | is_constant(rb), np.nan, correlation(ra, rb))


def partial_spearman(
    a: npt.NDArray[np.floating], b: npt.NDArray[np.floating], given: npt.NDArray[np.floating]
) -> Floats:
    """Spearman correlation of a and b after a regression of both on ``given``, along the last axis.

    A constant ``given`` explains nothing, so the result is then the plain Spearman correlation.

    Args:
        a, b, given: (..., N), leading axes broadcast.

    Returns:
        (...) in [-1, 1]; NaN where a or b is constant, anything is not finite, or ``given``
        explains a or b fully.
    """
    ra, rb, rc = standard_ranks(a), standard_ranks(b), standard_ranks(given)
    value = partial(correlation(ra, rb), correlation(ra, rc), correlation(rb, rc))
    return np.where(is_constant(ra) | is_constant(rb), np.nan, value)
