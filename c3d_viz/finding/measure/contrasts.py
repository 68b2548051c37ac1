"""From curves to the contrast C, and to its positional part P and content part K.

docs/finding.md, sections 1 and 6.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...stats import Floats, nanmean
from ..types import DECIDING, Arrays

MIN_FRAMES = 4  # defined values of Delta each half must have


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
    return np.where(enough, nanmean(late) - nanmean(early), np.nan)


def parts(forward: npt.ArrayLike, backward: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Positional part P and content part K of a contrast and that of the reversed clip."""
    f, b = np.asarray(forward, np.float64), np.asarray(backward, np.float64)
    return (f + b) / 2, (f - b) / 2


def positional(arrays: Arrays, methods: Sequence[str] = DECIDING) -> dict[str, tuple[float, float]]:
    """P and K of a clip by method: means over the units that have one."""
    found = {}
    for number, method in enumerate(methods):
        c = contrast(np.float64(arrays["M"][:, number]) - arrays["A"][:, number])  # (G, U)
        p, k = parts(c[0], c[1])
        found[method] = (float(nanmean(p)), float(nanmean(k)))
    return found


def paired_positional(arrays: Arrays, methods: Sequence[str] = DECIDING) -> dict[str, float]:
    """P by pairing every frame with its mirror image on the reversed clip, mean over units.

    Q(t) = (Delta(t) - Delta_reversed(T - 1 - t)) / 2, and P = mean of Q over the later frames
    minus mean over the earlier ones. Where both halves are defined this is the P of
    :func:`positional`. A unit of the 2D twin sees its own half of the clip only; the half it is
    blind to counts as 0.
    """
    found = {}
    for number, method in enumerate(methods):
        delta = np.float64(arrays["M"][:, number]) - arrays["A"][:, number]  # (G, U, T)
        q = (delta[0] - delta[1][:, ::-1]) / 2
        half = q.shape[-1] // 2
        early, late = q[:, 1:half], q[:, half:-1]
        seen = [np.isfinite(part).sum(-1) >= MIN_FRAMES for part in (early, late)]
        ends = [
            np.where(ok, nanmean(part), 0.0) for ok, part in zip(seen, (early, late), strict=True)
        ]
        p = np.where(seen[0] | seen[1], ends[1] - ends[0], np.nan)
        found[method] = float(nanmean(p))
    return found


def single_contrast(arrays: Arrays, number: int) -> float:
    """C of a clip measured forward only (shuffled): mean over its units."""
    c = contrast(np.float64(arrays["M"][0, number]) - arrays["A"][0, number])
    return float(nanmean(c))


def perturbation_parts(arrays: Arrays) -> tuple[float, float]:
    """P and K of the perturbation curves of a clip, means over units."""
    delta = perturbation_delta(
        np.asarray(arrays["motion"], np.float64), np.asarray(arrays["texture"], np.float64)
    )
    c = contrast(delta)  # (G, U)
    p, k = parts(c[0], c[1])
    return float(nanmean(p)), float(nanmean(k))


def perturbation_delta(motion: Floats, texture: Floats) -> Floats:
    """Delta of the perturbation curves: each divided by its mean absolute value, motion - texture.

    Args:
        motion, texture: (..., T), NaN at the border frames.

    Returns:
        (..., T); NaN where a curve has no loss at all (a frozen clip loses no motion).
    """

    def shape(curve: Floats) -> Floats:
        size = np.abs(curve[..., 1:-1]).mean(-1, keepdims=True)
        return np.asarray(curve / np.where(size > 1e-6, size, np.nan))

    return shape(motion) - shape(texture)
