"""One pass: a clip before a network, its units found, and the way back from each of them.

This is where one of the two engines is chosen. Where every operation of the model is known and the
layers are among them, the explicit one (``graph``) is several times as fast; else autograd
(``general``) walks back. Everything that asks a network about units goes through here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from ..nets import unwrapped
from . import general
from .graph.graph import Graph, Place, Unknown
from .graph.reading import graph_of
from .graph.record import Record, recalled, run
from .graph.subproblem import Subproblem, subproblem
from .graph.walk import walks
from .precision import Precision
from .rules import BackProjection, rule_named
from .tracing import Trace, activation, trace
from .units import Unit, locate


class Pass:
    """One clip before a network.

    What ``find`` has found is kept, with all that the ways back need, and the units may then be
    walked back by any rule without another forward pass. Not for two threads at once.

    Args:
        model: any module; not changed while the pass is in use.
        x: one clip (1, C, T, H, W).
        seen: a trace of ``x`` with the units' layers, if there is one: it is read, in place of a
            forward pass.
    """

    def __init__(self, model: nn.Module, x: Tensor, seen: Trace | None = None) -> None:
        self.model, self.x = unwrapped(model), x
        self._seen = seen
        self._graph = graph_of(self.model, x)
        self._record: Record | None = None

    def find(self, units: Sequence[Unit]) -> list[tuple[Unit, float]]:
        """Each unit with a concrete position, and its activation: the model's own, bit for bit.

        Raises:
            LayerError: no such layer, channel or position.
            VizError: a channel that is searched for its strongest position holds NaN.
        """
        graph, places = self._places(units)
        if graph is None or self._seen is not None:
            seen = self._seen or trace(self.model, self.x, list({unit.layer for unit in units}))
            found = [locate(seen.activations[unit.layer], unit) for unit in units]
            return [(unit, activation(seen, unit)) for unit in found]
        if self._record is None or any(place not in self._record.found for place in places):
            self._record = run(graph, self.x, places, asks=True)
        return [self._record.found[place] for place in places]

    def peaks(self, layer: str) -> list[tuple[Unit, float]]:
        """Every channel of a layer at its strongest position, with its activation."""
        graph, places = self._places([Unit(layer, 0)])
        if graph is None:
            self._seen = self._seen or trace(self.model, self.x, [layer])
            channels = len(self._seen.activations[layer])
        else:
            channels = graph.steps[places[0][0]].shape[0]
        return self.find([Unit(layer, channel) for channel in range(channels)])

    def back(
        self, units: Sequence[Unit], rule: str, *, precision: Precision = "float32"
    ) -> Iterator[BackProjection]:
        """Back-project units by a rule, in order and lazily, with shared work.

        Args:
            rule: key of ``rules.RULES``.
            precision: see ``attribute``.
        """
        graph, places = self._places(units)
        if graph is None:
            return general.backproject(self.model, self.x, units, rule, precision=precision)
        how, record = rule_named(rule), self._record
        if self._seen is not None:
            record = self._recalled(graph, self._seen, places, how.asks_forward)
        return walks(graph, self.x, places, how, precision=precision, record=record)

    def alone(self, unit: Unit) -> Subproblem | None:
        """A unit's receptive field as a problem of its own; None where the model is no chain."""
        graph, places = self._places([unit])
        return None if graph is None else subproblem(graph, self.x, places[0])

    def slow(self, layer: str) -> str | None:
        """Why autograd walks back from a layer; None where the fast engine does."""
        found = self._graph.find(self.model, layer)
        return found.reason if isinstance(found, Unknown) else None

    def _places(self, units: Sequence[Unit]) -> tuple[Graph | None, list[Place]]:
        """The graph, if all the layers are steps of it, and the units' places there."""
        places = self._graph.places(self.model, units)
        return (None, []) if places is None else (self._graph, places)

    def _recalled(
        self, graph: Graph, seen: Trace, places: Sequence[Place], asks: bool
    ) -> Record | None:
        levels = {graph.level_of(self.model, layer): layer for layer in seen.activations}
        activations = {
            level: seen.activations[layer] for level, layer in levels.items() if level is not None
        }
        return recalled(graph, activations, places, asks=asks)


def slow_layers(
    model: nn.Module, input_shape: Sequence[int], layers: Sequence[str]
) -> dict[str, str]:
    """The layers from which autograd walks back, and why the fast engine does not.

    Args:
        input_shape: (C, T, H, W) of a clip.
    """
    like = next(model.parameters(), torch.zeros(()))
    asked = Pass(model, like.new_zeros((1, *input_shape)))
    reasons = {layer: asked.slow(layer) for layer in layers}
    return {layer: reason for layer, reason in reasons.items() if reason is not None}
