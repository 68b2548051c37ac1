"""LayerCAM: every cell of a layer weighted by its own positive slope.

Formula: M = ReLU(sum_c ReLU(g_c) A_c), g_c the unit's gradient at each cell of channel c.

Limit: as coarse as the layer, but nothing is averaged: a cell the unit does not see gets nothing,
so it may be asked at early layers too. What speaks against the unit is left out.

Reference: Jiang et al. 2021, LayerCAM: Exploring Hierarchical Class Activation Maps, eq. 6-7.
"""

from __future__ import annotations

from torch import Tensor

from .cam import Weighable, cam_method


def weighed_by_cell(seen: Weighable) -> Tensor:
    """The map (T', H', W') on the layer's own grid."""
    return (seen.slope.clamp_min(0) * seen.activation).sum(dim=0).clamp_min(0)


LAYERCAM = cam_method(
    "LayerCAM",
    "The cells of a lower layer, each weighted by its own positive gradient, added up over "
    "channels; coarse in place and time.",
    "Jiang et al. 2021, LayerCAM: Exploring Hierarchical Class Activation Maps",
    weighed_by_cell,
)
