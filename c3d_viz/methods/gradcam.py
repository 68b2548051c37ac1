"""Grad-CAM for video (Selvaraju et al. 2017), in the two definitions that are in use.

A layer's channels are weighted by the gradient of one output unit and added up; what stays
positive is the map. On video the gradient has been averaged in two ways: over the whole volume, so
that a channel counts alike at all times ("volume"), or at each time step by itself ("time_step").
They give different maps, so a result always says which one it is.

The map lives on the layer's own grid: conv5b has two time steps. Stretched to sixteen frames it
still holds two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from ..engine import (
    Unit,
    check_input,
    check_recorded,
    crossed,
    eval_view,
    locate,
    recording,
    undisturbed,
    way,
)
from ..errors import LayerError, VizError

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
    check_input(model, x)
    model = eval_view(model)
    edges: dict[str, GradientEdge] = {}

    def keep(name: str, _module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
        # the place in the graph, and a copy: an in-place ReLU may overwrite the tensor itself
        if not output.requires_grad:
            raise VizError(f"the model computes {name} without gradient; choose another layer")
        edges[name] = get_gradient_edge(output)
        return output.clone()

    with undisturbed(x.device), torch.enable_grad():
        wanted = [layer, unit.layer]
        with recording(model, wanted, keep) as kept:
            model(x.detach().clone().requires_grad_() * 1)
        check_recorded(kept, wanted)
        activation, answer = kept[layer], kept[unit.layer]
        if activation.ndim != 5:
            raise LayerError(f"{layer} has no (T, H, W) grid; choose a convolutional layer")
        unit = locate(answer[0].detach(), unit)
        assert unit.at is not None
        if not crossed(way(answer, edges[layer]), unit.layer, lambda: False):
            raise LayerError(f"{unit.layer} does not depend on {layer}; choose a layer below it")
        (slope,) = torch.autograd.grad(answer[(0, unit.channel, *unit.at)], [edges[layer]])
    weights = slope[0].mean(dim=(1, 2, 3) if average == "volume" else (2, 3), keepdim=True)
    values = (weights * activation[0].detach()).sum(dim=0).clamp_min(0)
    if not bool(torch.isfinite(values).all()):
        raise VizError(f"Grad-CAM of {unit.layer} at {layer} is NaN; check the input and weights")
    array: npt.NDArray[np.float32] = values.to("cpu", torch.float32).numpy()
    return GradCam(array, layer, unit, average)
