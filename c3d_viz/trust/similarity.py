"""How alike two maps are, by ranks: rho(|R1|, |R2|), and the same with a third map taken off.

rho is Spearman's rank correlation, blind to scale; the partial one, (r12 - r13 r23) /
sqrt((1 - r13^2) (1 - r23^2)), is what is left of it after a regression of both on the third map.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import ShapeError
from ..stats import blur_and_sample, partial_spearman, spearman
from .structural import Maps, ssim


def map_similarity(
    first: Maps, second: Maps, given: npt.NDArray[np.float64] | None = None
) -> tuple[float, float, float]:
    """Spearman correlation, the same given a third map, and SSIM of two back-projections.

    All on |R| summed over colours. Rank correlations over every fourth pixel of every frame after
    a blur of 2 px (as in the finding); SSIM with a Gaussian window of 1.5 px, mean over frames.

    Args:
        first, second: (C, T, H, W); a map that knows no colours has C = 1.
        given: what to take off, sampled as ``blur_and_sample`` does and flattened; None: nothing.

    Returns:
        Three numbers, NaN where a map is constant or not finite.
    """
    if first.shape[1:] != second.shape[1:] or first.ndim != 4:
        raise ShapeError(f"two maps (C, T, H, W) are compared, got {first.shape}, {second.shape}")
    a, b = (np.abs(m).sum(0, dtype=np.float32) for m in (first, second))  # (T, H, W)
    if not (np.isfinite(a).all() and np.isfinite(b).all()) or a.max() == 0 or b.max() == 0:
        return float("nan"), float("nan"), float("nan")
    small_a, small_b = (blur_and_sample(m).reshape(-1) for m in (a, b))
    if given is None:
        given = np.zeros(small_a.shape)
    plain, rest = spearman(small_a, small_b), partial_spearman(small_a, small_b, given)
    return float(plain), float(rest), ssim(a / a.max(), b / b.max())
