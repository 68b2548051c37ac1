"""Occlusion: how much the answer falls when a window of space and time is covered.

Formula: a window of t frames, h rows and w columns, all colours, moves over the clip in steps; with
its cells replaced, the answer falls by d = f(x) - f(covered). A cell's value is the mean of d over
the windows that cover it. Captum's implementation.

Limit: as coarse as the window. Two things of which each suffices hide one another. What is put in
place is no natural clip, and an edge of it may be what the unit answers to. A cell no window covers
cannot be: the last windows hang over the border.

References: Zeiler and Fergus 2014, Visualizing and Understanding Convolutional Networks, section
4.2; in time as well here.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from ..engine import Unit, undisturbed
from ..errors import VizError
from .answer import answer_of, counted
from .fills import FILLS, filled
from .narrowed import asked_once
from .settings import Settings, check_in_time, setting
from .types import Method, Progress


@dataclass(frozen=True)
class OcclusionSettings(Settings):
    """Settings of occlusion."""

    window: tuple[int, int, int] = setting((4, 16, 16), "frames, rows, columns covered", low=1)
    stride: tuple[int, int, int] = setting((4, 8, 8), "steps from window to window", low=1)
    fill: str = setting("mean", "what stands in the window", choices=FILLS)

    def check_clip(self, shape: tuple[int, ...]) -> None:
        """Windows lie within the clip and leave no gaps."""
        check_in_time("occlusion", shape)
        if any(w > n for w, n in zip(self.window, shape, strict=True)):
            raise VizError(f"occlusion.window {self.window} is larger than the clip {shape}")
        if any(s > w for s, w in zip(self.stride, self.window, strict=True)):
            raise VizError(
                f"occlusion.stride {self.stride} steps over cells that no window "
                f"{self.window} covers; give at most the window's sizes"
            )

    def passes(self, shape: tuple[int, ...]) -> int:
        """How many windows a clip (T, H, W) takes."""
        each = zip(shape, self.window, self.stride, strict=True)
        return prod(-(-max(n - w, 0) // s) + 1 for n, w, s in each)


def occlusion(
    model: nn.Module,
    x: Tensor,
    unit: Unit,
    *,
    settings: OcclusionSettings,
    progress: Progress | None = None,
) -> Tensor:
    """x (1, C, T, H, W), result (1, 1, T, H, W); one pass for each window."""
    from captum.attr import Occlusion

    answer = asked_once(model, x, answer_of(model, unit))
    passes = settings.passes(tuple(x.shape[2:])) + 1
    with undisturbed(x.device), torch.no_grad():
        values: Tensor = Occlusion(counted(answer, passes, progress)).attribute(
            x,
            sliding_window_shapes=(x.shape[1], *settings.window),
            strides=(1, *settings.stride),
            baselines=filled(x, settings.fill),
        )
    return values[:, :1]


OCCLUSION = Method(
    "Occlusion",
    "How much the activation falls when a window of a few frames, rows and columns is covered.",
    "Zeiler and Fergus 2014, Visualizing and Understanding Convolutional Networks",
    function=occlusion,
    reports=True,
    settings=OcclusionSettings,
    scope="clip",
)
