"""Integrated gradients: the gradient along the straight way from a baseline to the clip.

Formula: R = (x - b) * integral over a in 0..1 of df/dx at b + a (x - b); f is the unit's
activation, b the baseline. Captum's implementation, Gauss-Legendre quadrature.

Completeness: the values add up to f(x) - f(b), as far as the quadrature is exact; more steps, less
is missing. Limit: what the map says is said against the baseline; with "mean" a pixel of the mean
colour gets nothing, with "still" a pixel that never changes gets nothing.

Reference: Sundararajan et al. 2017, Axiomatic Attribution for Deep Networks, eq. 3.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ..engine import Unit, undisturbed
from .answer import answer_of, counted, leaf_of
from .fills import FILLS, filled
from .narrowed import within
from .settings import Settings, setting
from .types import Method, Progress


@dataclass(frozen=True)
class IntegratedGradientsSettings(Settings):
    """Settings of integrated gradients."""

    steps: int = setting(32, "points on the way from baseline to clip", low=1, high=10_000)
    baseline: str = setting("mean", "clip that the way starts from", choices=FILLS)


def integrated_gradients(
    model: nn.Module,
    x: Tensor,
    unit: Unit,
    *,
    settings: IntegratedGradientsSettings,
    progress: Progress | None = None,
) -> Tensor:
    """x and result (1, C, T, H, W); one pass at a time, which keeps memory low."""
    from captum.attr import IntegratedGradients

    answer = counted(answer_of(model, unit), settings.steps, progress)
    with undisturbed(x.device):
        values: Tensor = IntegratedGradients(answer).attribute(
            leaf_of(x),
            baselines=filled(x, settings.baseline),
            n_steps=settings.steps,
            internal_batch_size=1,
        )
    return within(model, values.detach())


INTEGRATED_GRADIENTS = Method(
    "Integrated gradients",
    "The gradient averaged from the mean image to the clip, times the difference; the values "
    "add up to the change of the activation.",
    "Sundararajan et al. 2017, Axiomatic Attribution for Deep Networks",
    function=integrated_gradients,
    reports=True,
    settings=IntegratedGradientsSettings,
    scope="clip",
)
