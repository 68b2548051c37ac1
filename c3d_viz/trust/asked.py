"""A network that is asked much about one unit: each clip is looked at once, whoever asks.

Checks ask again and again about the same clips: the whole one, the wholly filled one, the same
noise for every method. And methods share the forward pass that finds the unit.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..engine import Pass, Unit
from ..methods import METHODS, Attribution, attributions


@dataclass(frozen=True)
class Asked:
    """A network with what it has answered. Not for two threads at once.

    Attributes:
        model: in eval mode; not changed while it is asked.
        layers: the layer on which a method's maps live, where it is known from another map of the
            same unit: it is not looked for again. Filled here.
    """

    model: nn.Module
    layers: dict[str, str] = field(default_factory=dict)
    _answers: dict[tuple[bytes, Unit], float] = field(default_factory=dict, repr=False)
    _passes: dict[bytes, Pass] = field(default_factory=dict, repr=False)

    def answer(self, x: Tensor, unit: Unit) -> float:
        """The unit's activation on a clip (1, C, T, H, W)."""
        key = _digest(x), unit
        if key not in self._answers:
            self._answers[key] = answer(self.model, x, unit)
        return self._answers[key]

    def attribute(self, method: str, x: Tensor, unit: Unit) -> Attribution:
        """The unit's map by a method, as ``methods.attribute`` gives it."""
        key = _digest(x)
        if key not in self._passes:
            self._passes[key] = Pass(self.model, x)
        seen = self._passes[key]
        seen.find([unit])
        kind = METHODS[method].settings
        named = kind is not None and "layer" in (f.name for f in dataclasses.fields(kind))
        given = {"layer": self.layers[method]} if named and method in self.layers else None
        att = next(attributions(seen, [unit], method, settings=given))
        if named and att.native_layer is not None:
            self.layers[method] = att.native_layer
        return att


def answer(model: nn.Module, x: Tensor, unit: Unit) -> float:
    """The activation of a unit with a position; where it can, of no more than it depends on."""
    ((_, activation),) = Pass(model, x).find([unit])
    return activation


def _digest(x: Tensor) -> bytes:
    values = x.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return hashlib.sha256(values.data).digest()
