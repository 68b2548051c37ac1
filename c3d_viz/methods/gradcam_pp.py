"""Grad-CAM++: Grad-CAM whose weights favour the places where the unit's slope is positive.

Formula, for a score exp(f) of the unit's answer f and its gradient g at the layer's channels A:
a = g^2 / (2 g^2 + g^3 sum(A)), w_c = sum(a ReLU(g)), M = ReLU(sum_c w_c A_c); sums over the whole
volume. The factor exp(f) of all weights is left out: it scales the map alone.

Limit: as Grad-CAM's. The higher derivatives behind ``a`` are those of exp(f) with ReLUs below; of a
plain answer f they are zero. Where the denominator is not positive, ``a`` has no meaning as a
share; it is used as the paper's formula gives it, and as 0 where 0 stands below the line.

Reference: Chattopadhay et al. 2018, Grad-CAM++: Improved Visual Explanations, eq. 5, 12, 19.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .cam import Weighable, cam_method


def weighed_pp(seen: Weighable) -> Tensor:
    """The map (T', H', W') on the layer's own grid."""
    g, total = seen.slope, seen.activation.sum(dim=(1, 2, 3), keepdim=True)
    below = 2 * g**2 + g**3 * total
    share = torch.where(below == 0, 0, g**2 / torch.where(below == 0, 1, below))
    weights = (share * g.clamp_min(0)).sum(dim=(1, 2, 3), keepdim=True)
    return (weights * seen.activation).sum(dim=0).clamp_min(0)


GRADCAM_PP = cam_method(
    "Grad-CAM++",
    "As Grad-CAM, with weights that count the places where the unit's slope is positive, each "
    "by its share.",
    "Chattopadhay et al. 2018, Grad-CAM++: Improved Visual Explanations",
    weighed_pp,
)
