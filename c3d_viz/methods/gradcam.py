"""Grad-CAM for video, in the two definitions that are in use.

Formula: M = ReLU(sum_c w_c A_c), A_c the channels of a layer, w_c the mean of the unit's gradient
there. On video the mean has been taken in two ways: over the whole volume, so that a channel counts
alike at all times (``gradcam``, average "volume"), or over each time step by itself
(``gradcam_time``, "time_step"). They give different maps.

Limit: the map is as coarse as the layer, in time too (conv5b: two steps). A mean gradient says how
a channel counts on the whole, not where: the map may be strong at places the unit does not see.
What speaks against the unit is cut off at zero.

Reference: Selvaraju et al. 2017, Grad-CAM: Visual Explanations from Deep Networks, eq. 1-2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..engine import Unit
from ..errors import VizError
from .cam import Weighable, cam_method, weighable

Average = Literal["volume", "time_step"]


@dataclass(frozen=True)
class GradCam:
    """A class activation map.

    Attributes:
        values: float32 (T, H, W) on the grid of ``layer``, not negative, unnormalised.
        layer: where the map lives.
        unit: whose gradient weights the channels, with a concrete position.
        average: the definition, "volume" or "time_step".
    """

    values: npt.NDArray[np.float32]
    layer: str
    unit: Unit
    average: Average


def grad_cam(
    model: nn.Module, x: Tensor, layer: str, unit: Unit, average: Average = "volume"
) -> GradCam:
    """Grad-CAM of ``unit`` at ``layer``: ReLU(sum_c w_c A_c), w the averaged gradient of the unit.

    Args:
        model: any module; left exactly as it was.
        x: one clip (1, C, T, H, W).
        layer: a convolutional layer below the unit, e.g. "conv5b".
        unit: e.g. ``Unit("fc8", class_index, ())``.
        average: the gradient's mean over T, H, W ("volume") or over H, W of each time step.

    Raises:
        LayerError: layer or unit do not exist, the layer has no (T, H, W) grid, or does not lie
            below the unit.
        VizError: unknown ``average``; the layer is computed without gradient; or NaN comes out.
    """
    if average not in get_args(Average):
        raise VizError(f"no average {average!r}; there are {', '.join(get_args(Average))}")
    seen = weighable(model, x, unit, layer)
    values = weighed(seen, average)
    if not bool(torch.isfinite(values).all()):
        raise VizError(f"Grad-CAM of {unit.layer} at {layer} is NaN; check the input and weights")
    array: npt.NDArray[np.float32] = values.to("cpu", torch.float32).numpy()
    return GradCam(array, layer, seen.unit, average)


def weighed(seen: Weighable, average: Average) -> Tensor:
    """The map (T', H', W') on the layer's own grid."""
    axes = (1, 2, 3) if average == "volume" else (2, 3)
    weights = seen.slope.mean(dim=axes, keepdim=True)
    return (weights * seen.activation).sum(dim=0).clamp_min(0)


GRADCAM = cam_method(
    "Grad-CAM",
    "The channels of a lower layer, each weighted by the unit's mean gradient over all times and "
    "places, added up; coarse in place and time.",
    "Selvaraju et al. 2017, Grad-CAM: Visual Explanations from Deep Networks",
    partial(weighed, average="volume"),
)
GRADCAM_TIME = cam_method(
    "Grad-CAM, weights per time step",
    "As Grad-CAM, with the gradient's mean taken at every time step by itself, so that a channel "
    "may count differently early and late.",
    "Selvaraju et al. 2017, Grad-CAM, with the mean per time step as common for video",
    partial(weighed, average="time_step"),
)
