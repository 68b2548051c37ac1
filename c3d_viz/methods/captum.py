"""Methods of captum behind this project's signature ``(model, x, unit) -> tensor of x's shape``.

captum is imported inside, since that takes a second. It is given the unit's answer as a function
of the input, not the model and a layer: its own layer hooks would answer to every thread that
runs the model.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count

import torch
from torch import Tensor, nn

from ..engine import (
    Unit,
    check_recorded,
    crossed,
    follows_clip,
    forward,
    recording,
    undisturbed,
    way,
)

IG_STEPS = 32


def input_x_gradient(model: nn.Module, x: Tensor, unit: Unit) -> Tensor:
    """Gradient of the unit times the input (Shrikumar et al. 2016); both (1, 3, T, H, W)."""
    from captum.attr import InputXGradient

    with undisturbed(x.device):
        values: Tensor = InputXGradient(_answer(model, unit)).attribute(_leaf(x))
    return values.detach()


def integrated_gradients(
    model: nn.Module, x: Tensor, unit: Unit, progress: Callable[[int, int], None] | None = None
) -> Tensor:
    """Integrated gradients from a zero input, the mean image (Sundararajan et al. 2017, eq. 3).

    Gauss-Legendre quadrature with IG_STEPS forward passes, one at a time to keep memory low. x and
    result (1, 3, T, H, W). ``progress`` is called before each as (done, IG_STEPS); what it raises
    ends the work.
    """
    from captum.attr import IntegratedGradients

    answer, done = _answer(model, unit), count()

    def reported(x: Tensor) -> Tensor:
        if progress is not None:
            progress(min(next(done), IG_STEPS), IG_STEPS)
        return answer(x)

    with undisturbed(x.device):
        values: Tensor = IntegratedGradients(reported).attribute(
            _leaf(x), n_steps=IG_STEPS, internal_batch_size=1
        )
    return values.detach()


def _leaf(x: Tensor) -> Tensor:
    return x.detach().clone().requires_grad_()


def _answer(model: nn.Module, unit: Unit) -> Callable[[Tensor], Tensor]:
    """The unit's activation (N,) as a function of a batch of clips (N, C, T, H, W)."""
    assert unit.at is not None
    cell = (unit.channel, *unit.at)

    def keep(_layer: str, _module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
        return output.movedim(0, -1)[cell].clone()

    def answer(x: Tensor) -> Tensor:
        with recording(model, [unit.layer], keep) as kept:
            forward(model, x * 1)  # a model may start with an in-place operation
        check_recorded(kept, [unit.layer])
        found = kept[unit.layer]
        if not torch.is_grad_enabled() or not x.requires_grad:
            return found
        depends = partial(follows_clip, model, x[:1].detach(), unit.layer)
        # captum needs a way back, also where there is none and the map is zero
        return found if crossed(way(found, x), unit.layer, depends) else found + 0 * x.sum()

    return answer
