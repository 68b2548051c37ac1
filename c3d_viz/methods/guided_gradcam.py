"""Guided Grad-CAM: guided backpropagation where Grad-CAM is strong.

Formula: R = G * M, G guided backpropagation at the pixels (signed, in colour), M Grad-CAM over the
volume, stretched from its layer's grid to the clip's.

Limit: as fine as the pixels in look, not in what it says of the unit: detail comes from G, which
draws edges in untrained networks too, and the choice among them from M, which is as coarse as its
layer, in time too.

Reference: Selvaraju et al. 2017, Grad-CAM: Visual Explanations from Deep Networks, section 3.2.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from torch import Tensor, nn

from ..engine import Pass, Unit
from .cam import CamSettings, check_cam, map_on_clip
from .gradcam import weighed
from .types import Method, OnGrid


def guided_grad_cam(model: nn.Module, x: Tensor, unit: Unit, *, settings: CamSettings) -> OnGrid:
    """The product at the pixels (1, C, T, H, W); Grad-CAM's own grid is kept beside it."""
    average = partial(weighed, average="volume")
    cam = map_on_clip(model, x, unit, settings=settings, weigh=average)
    guided = next(Pass(model, x).back([unit], "guided"))
    return replace(cam, values=guided.values[None] * cam.values, report=guided.report)


GUIDED_GRADCAM = Method(
    "Guided Grad-CAM",
    "Guided backpropagation times Grad-CAM: fine detail, shown where the coarse map is strong.",
    "Selvaraju et al. 2017, Grad-CAM: Visual Explanations from Deep Networks",
    function=guided_grad_cam,
    settings=CamSettings,
    scope="model",
    needs_relus=True,
    check=check_cam,
)
