"""A unit's answer as a function of the clip: what captum and the loops of this package call.

The function is given to captum in place of the model and a layer: captum's own layer hooks would
answer to every thread that runs the model.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from ..engine import Unit, check_recorded, crossed, follows_clip, forward, recording, way
from .types import Progress

Answer = Callable[[Tensor], Tensor]


def answer_of(model: nn.Module, unit: Unit) -> Answer:
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


def counted(answer: Answer, passes: int, progress: Progress | None) -> Answer:
    """``answer`` that tells ``progress``, before each call, how many of the passes are made.

    What ``progress`` raises ends the work.
    """
    if progress is None:
        return answer
    done = 0

    def told(x: Tensor) -> Tensor:
        nonlocal done
        progress(min(done, passes), passes)
        done += 1
        return answer(x)

    return told


def leaf_of(x: Tensor) -> Tensor:
    """A copy of the clip that a gradient can be asked for."""
    return x.detach().clone().requires_grad_()
