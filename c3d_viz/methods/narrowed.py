"""A model that takes the whole clip and looks only at what one unit sees of it.

Methods that change the clip (noise, masks, baselines made of the whole of it) are right on the
whole clip alone; the passes they make still cost what the unit's receptive field costs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..engine import Subproblem, Unit
from .answer import Answer


class Narrowed(nn.Module):
    """(N, C, T, H, W) -> what the layers up to the unit's answer to the unit's field."""

    def __init__(self, part: Subproblem) -> None:
        super().__init__()
        self.training = False  # of this module alone; the layers are the caller's
        self.layers = part.model
        self.part = part
        self.unit = Unit(f"layers.{part.unit.layer}", part.unit.channel, part.unit.at)

    def forward(self, x: Tensor) -> Tensor:
        """The layers' output on the field."""
        output: Tensor = self.layers(self.field(x).contiguous())
        return output

    def field(self, x: Tensor) -> Tensor:
        """What the unit sees of a clip."""
        (t0, t1), (h0, h1), (w0, w1) = self.part.box
        return x[:, :, t0:t1, h0:h1, w0:w1]


def within(model: nn.Module, values: Tensor) -> Tensor:
    """A gradient of the clip with plain zeros wherever the unit sees nothing."""
    if not isinstance(model, Narrowed):
        return values
    inside = torch.zeros_like(values)
    model.field(inside).copy_(model.field(values))
    return inside


def asked_once(model: nn.Module, x: Tensor, answer: Answer) -> Answer:
    """``answer`` that does not run the model where a clip is ``x`` in all that the unit sees.

    Most masks lie elsewhere when the unit sees little.
    """
    if not isinstance(model, Narrowed):
        return answer
    before = model.field(x)
    known: list[Tensor] = []

    def told(changed: Tensor) -> Tensor:
        if not torch.equal(model.field(changed), before):
            return answer(changed)
        if not known:
            known.append(answer(changed))
        return known[0]

    return told
