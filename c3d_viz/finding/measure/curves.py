"""A(t), M(t), E(t), the contrast C and its parts P and K, on plain arrays (docs/finding.md, 1).

Nothing in here knows a network: back-projections come in as arrays. Everything that can be
undefined is NaN with a reason, see :data:`REASONS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...errors import ShapeError
from ...stats import (
    Floats,
    blur_and_sample,
    correlation,
    is_constant,
    partial,
    standard_ranks,
)
from .stimulus import Stimulus

Codes = npt.NDArray[np.int8]

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


@dataclass(frozen=True)
class Curves:
    """The curves of some units on one clip. U units, T frames (16).

    Attributes:
        A: (U, T) partial Spearman of R_t and S_t given D_t, NaN where undefined.
        M: (U, T) partial Spearman of R_t and D_t given S_t, NaN where undefined.
        E: (U, T) share of the map's |R| in each frame, rows sum to 1; NaN for an all-zero map.
        why_a, why_m: (U, T) int8, index into :data:`REASONS`.
    """

    A: Floats
    M: Floats
    E: Floats
    why_a: Codes
    why_m: Codes

    @property
    def delta(self) -> Floats:
        """(U, T): M - A."""
        return self.M - self.A


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
        size = ", ".join(map(str, stimulus.size))
        raise ShapeError(
            f"back-projections must be (units, 3, {size}) like the clip, got {values.shape}"
        )
    magnitude = np.abs(values).sum(1)  # (U, T, H, W)
    units, total = magnitude.shape[:2]
    frames = np.asarray(stimulus.frames)
    a_t, m_t = np.full((2, units, total), np.nan)
    why_a, why_m = np.full((2, units, total), BORDER, np.int8)
    r = blur_and_sample(magnitude[:, frames])  # (U, F, N)
    a_t[:, frames], m_t[:, frames], why_a[:, frames], why_m[:, frames] = _correlate(r, stimulus)
    return Curves(a_t, m_t, _energy(magnitude), why_a, why_m)


def _energy(magnitude: npt.NDArray[np.float32]) -> Floats:
    mass = magnitude.sum((2, 3), dtype=np.float64)  # (U, T)
    whole = mass.sum(1, keepdims=True)
    usable = np.isfinite(whole) & (whole > 0)
    return np.where(usable, mass, np.nan) / np.where(usable, whole, 1.0)


def _correlate(r: Floats, stimulus: Stimulus) -> tuple[Floats, Floats, Codes, Codes]:
    """A and M (U, F) with their reasons. r: (U, F, N); stimulus.S, D, valid: (F, N)."""
    valid = stimulus.valid
    s_rank, d_rank = stimulus.ranks()
    r_rank = standard_ranks(r, np.broadcast_to(valid, r.shape))
    rs, rd = correlation(r_rank, s_rank), correlation(r_rank, d_rank)  # (U, F)
    sd = np.broadcast_to(correlation(s_rank, d_rank), rs.shape)
    a, m = partial(rs, rd, sd), partial(rd, rs, sd)
    common = [
        (np.isnan(rs) | np.isnan(rd) | np.isnan(sd), NOT_FINITE),
        (is_constant(r_rank), NO_MAP),
        (valid.sum(-1) < MIN_POINTS, FEW_POINTS),
    ]
    why_a = _reason(a, [*common, (is_constant(s_rank), NO_TEXTURE)])
    why_m = _reason(m, [*common, (is_constant(d_rank), NO_MOTION)])
    return np.where(why_a == 0, a, np.nan), np.where(why_m == 0, m, np.nan), why_a, why_m


def _reason(value: Floats, cases: list[tuple[npt.NDArray[np.bool_], int]]) -> Codes:
    """The first case that holds; without one, a value that is still NaN is collinear."""
    code = np.where(np.isnan(value), COLLINEAR, DEFINED)
    for holds, why in reversed(cases):
        code = np.where(holds, why, code)
    return code.astype(np.int8)
