"""A(t), M(t), E(t), the contrast C and its parts P and K, on plain arrays (docs/finding.md, 1).

Nothing in here knows a network: back-projections come in as arrays. Everything that can be
undefined is NaN with a reason, see :data:`REASONS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import ShapeError
from .stimulus import Floats, Stimulus, blur_and_sample

Ints = npt.NDArray[np.int8]

#: Why a value is undefined. Code 0 is "defined".
REASONS = (
    "defined",
    "not an interior frame",
    "the back-projection is constant on this frame",
    "no texture: the frame's gradient is constant",
    "no motion: the frames around this one do not differ",
    "NaN or infinite values",
    "one of the three maps is fully explained by another",
    "too few pixels are covered after camera motion was taken off",
)
DEFINED, BORDER, NO_MAP, NO_TEXTURE, NO_MOTION, NOT_FINITE, COLLINEAR, FEW_POINTS = range(8)
MIN_POINTS = 50
MIN_FRAMES = 4  # defined values of Delta each half must have


def ranks(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
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


def partial_spearman(
    a: npt.NDArray[np.floating], b: npt.NDArray[np.floating], given: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Spearman correlation of a and b after a regression of both on ``given``, along the last axis.

    r_ab.c = (r_ab - r_ac r_bc) / sqrt((1 - r_ac^2)(1 - r_bc^2)) on ranks. A constant ``given``
    explains nothing, so the result is then the plain Spearman correlation.

    Args:
        a, b, given: (..., N), leading axes broadcast.

    Returns:
        (...) in [-1, 1]; NaN where a or b is constant, anything is not finite, or ``given``
        explains a or b fully.
    """
    ra, rb, rc = (_standard(ranks(v), _finite(v)) for v in (a, b, given))
    value = _partial(_corr(ra, rb), _corr(ra, rc), _corr(rb, rc))
    return np.where(_flat(ra) | _flat(rb), np.nan, value)


def _finite(values: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    finite: npt.NDArray[np.bool_] = np.isfinite(values).all(-1, keepdims=True)
    return finite


def _standard(
    rank: npt.NDArray[np.float64],
    finite: npt.NDArray[np.bool_],
    weight: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.float64]:
    """Ranks centred and scaled to length 1 over the points with weight; NaN rows stay NaN.

    A constant row becomes all zeros.
    """
    if weight is None:
        weight = np.ones(rank.shape[-1:], bool)
    count = np.maximum(weight.sum(-1, keepdims=True), 1)
    centred = np.where(weight, rank, 0.0)
    centred = np.where(weight, centred - centred.sum(-1, keepdims=True) / count, 0.0)
    length = np.sqrt((centred**2).sum(-1, keepdims=True))
    unit = centred / np.where(length > 1e-9, length, 1.0) * (length > 1e-9)
    return np.where(finite, unit, np.nan)


def _corr(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Inner product; NaN where a row is NaN."""
    return np.asarray((a * b).sum(-1))


def _partial(
    ab: npt.NDArray[np.float64], ac: npt.NDArray[np.float64], bc: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    left = (1 - ac**2) * (1 - bc**2)
    clear = left > 1e-9
    value = (ab - ac * bc) / np.sqrt(np.where(clear, left, 1.0))
    return np.where(clear, np.clip(value, -1, 1), np.nan)


def _flat(standard: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Rows that were constant. They correlate 0 with everything, which means nothing."""
    return np.asarray((standard == 0).all(-1))


@dataclass(frozen=True)
class Curves:
    """The curves of some units on one clip. U units, T frames (16).

    Attributes:
        A: (U, T) partial Spearman of R_t and S_t given D_t, NaN where undefined.
        M: (U, T) partial Spearman of R_t and D_t given S_t, NaN where undefined.
        E: (U, T) share of the map's |R| in each frame, rows sum to 1; NaN for an all-zero map.
        why_A, why_M: (U, T) int8, index into :data:`REASONS`.
        lag: 1, or 2 when the clip holds duplicate frames.
    """

    A: Floats
    M: Floats
    E: Floats
    why_A: Ints
    why_M: Ints
    lag: int

    @property
    def delta(self) -> Floats:
        """(U, T): M - A."""
        return self.M - self.A

    def contrast(self) -> Floats:
        """(U,): C of every unit, NaN where undefined."""
        return contrast(self.delta)


def curves(values: npt.NDArray[np.floating], stimulus: Stimulus) -> Curves:
    """A, M and E of back-projections on a clip.

    Args:
        values: (U, 3, T, H, W), or (3, T, H, W) for one unit; signed, unnormalised.
        stimulus: of the same clip, T frames of H x W pixels.

    Raises:
        ShapeError: the back-projection is not 5-D or of other size than the clip.
    """
    values = np.asarray(values, np.float32)
    if values.ndim == 4:
        values = values[None]
    if values.ndim != 5 or values.shape[1] != 3 or values.shape[2:] != stimulus.size:
        raise ShapeError(
            f"back-projections must be (units, 3, {', '.join(map(str, stimulus.size))}) like "
            f"the clip, got {values.shape}"
        )
    magnitude = np.abs(values).sum(1)  # (U, T, H, W)
    return curves_of_magnitude(magnitude, stimulus)


def curves_of_magnitude(magnitude: npt.NDArray[np.float32], stimulus: Stimulus) -> Curves:
    """As :func:`curves`, for maps (U, T, H, W) whose colours are already summed, >= 0."""
    units, total = magnitude.shape[:2]
    mass = magnitude.sum((2, 3), dtype=np.float64)  # (U, T)
    whole = mass.sum(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        energy = np.where(np.isfinite(whole) & (whole > 0), mass, np.nan) / np.where(
            whole > 0, whole, 1.0
        )
    frames = np.asarray(stimulus.frames)
    a_t = np.full((units, total), np.nan)
    m_t = np.full((units, total), np.nan)
    why_a = np.full((units, total), BORDER, np.int8)
    why_m = why_a.copy()
    if frames.size:
        r = blur_and_sample(magnitude[:, frames])  # (U, F, N)
        a, m, code_a, code_m = _correlate(r, stimulus)
        a_t[:, frames], m_t[:, frames] = a, m
        why_a[:, frames], why_m[:, frames] = code_a, code_m
    return Curves(a_t, m_t, energy, why_a, why_m, stimulus.lag)


def _correlate(
    r: Floats, stimulus: Stimulus
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], Ints, Ints]:
    """A and M (U, F) with their reasons. r: (U, F, N); stimulus.S, D, valid: (F, N)."""
    valid = stimulus.valid
    s_std, d_std = stimulus.standard_ranks(_standard_ranks)
    r_std = _standard_ranks(r, np.broadcast_to(valid, r.shape))
    rs, rd, sd = _corr(r_std, s_std), _corr(r_std, d_std), _corr(s_std, d_std)

    no_map, no_texture, no_motion = _flat(r_std), _flat(s_std)[None], _flat(d_std)[None]
    not_finite = np.isnan(rs) | np.isnan(rd) | np.isnan(sd)[None]
    few = (valid.sum(-1) < MIN_POINTS)[None]
    a, m = _partial(rs, rd, sd[None]), _partial(rd, rs, sd[None])

    def reason(value: npt.NDArray[np.float64], texture: bool) -> Ints:
        missing = no_texture if texture else no_motion
        code = np.select(
            [not_finite, few & ~no_map, no_map, np.broadcast_to(missing, value.shape)],
            [NOT_FINITE, FEW_POINTS, NO_MAP, NO_TEXTURE if texture else NO_MOTION],
            default=DEFINED,
        ).astype(np.int8)
        code[(code == DEFINED) & np.isnan(value)] = COLLINEAR
        return code

    why_a, why_m = reason(a, True), reason(m, False)
    return np.where(why_a == 0, a, np.nan), np.where(why_m == 0, m, np.nan), why_a, why_m


def _standard_ranks(
    values: npt.NDArray[np.floating], valid: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Standardised ranks of the valid points; 0 for a constant row, NaN for one with NaN or inf.

    A spread below a millionth of the largest value is rounding, and counts as constant.
    """
    finite = (np.isfinite(values) | ~valid).all(-1, keepdims=True)
    used = np.where(valid & np.isfinite(values), values, 0.0)
    top = np.where(valid, used, -np.inf).max(-1, keepdims=True)
    bottom = np.where(valid, used, np.inf).min(-1, keepdims=True)
    spread = top - bottom > 1e-6 * np.maximum(np.abs(top), np.abs(bottom))
    rank = ranks(np.where(valid, used, np.inf))  # points left out sort behind all others
    return np.where(finite, _standard(rank, finite, valid) * spread, np.nan)


def contrast(delta: npt.NDArray[np.floating]) -> Floats:
    """C: mean of Delta over the later half minus its mean over the earlier half.

    Args:
        delta: (..., T), NaN where undefined. Frames 1..T/2-1 against T/2..T-2.

    Returns:
        (...); NaN where a half has fewer than :data:`MIN_FRAMES` defined values.
    """
    half = delta.shape[-1] // 2
    early, late = delta[..., 1:half], delta[..., half:-1]
    enough = (np.isfinite(early).sum(-1) >= MIN_FRAMES) & (np.isfinite(late).sum(-1) >= MIN_FRAMES)
    value = nanmean(late) - nanmean(early)
    return np.where(enough, value, np.nan)


def parts(forward: npt.ArrayLike, backward: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Positional part P and content part K of a contrast and that of the reversed clip."""
    f, b = np.asarray(forward, np.float64), np.asarray(backward, np.float64)
    return (f + b) / 2, (f - b) / 2


def nanmean(values: npt.ArrayLike, axis: int | tuple[int, ...] = -1) -> Floats:
    """Mean of the defined values; NaN, without a warning, where there is none."""
    array = np.asarray(values, np.float64)
    defined = np.isfinite(array)
    count = defined.sum(axis)
    total = np.where(defined, array, 0.0).sum(axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))
