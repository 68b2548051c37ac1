"""A network as a graph of steps, and which cells of each level a unit depends on.

The level of a step is what the step makes; level 0 is the clip. The cells outside of a unit's
boxes can neither change the unit nor receive its signal, so that forward and backward pass may
leave them out. ``reading`` makes a graph of a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from torch import nn

from ...errors import LayerError
from ...nets import layer_module, unwrapped
from ..listen import no_call, split_call
from ..units import Unit, check_unit
from .boxes import Box, full, union
from .steps import Step

Place = tuple[int, Unit]  # a unit and the level it is in


@dataclass(frozen=True)
class Unknown:
    """Why something is no level of a graph."""

    reason: str


@dataclass(frozen=True)
class Graph:
    """A network, as far as its operations are known.

    Attributes:
        steps: in an order in which they can run; step i makes level i. Step 0 stands for the
            clip: it has no inputs.
        outputs: per module, what each of its calls answered, in order.
        makers: the module that alone made a level of the only level it read, where there is one.
        overwrites: whether the network writes into activations, as far as can be told.
        reason: why nothing of the network is known, if that is so.
    """

    steps: tuple[Step, ...]
    outputs: Mapping[nn.Module, Sequence[int | Unknown]] = field(default_factory=dict)
    makers: Mapping[int, nn.Module] = field(default_factory=dict)
    overwrites: bool = True
    reason: str = ""

    @cached_property
    def readers(self) -> tuple[tuple[int, ...], ...]:
        """Per level, the steps that read it."""
        return tuple(
            tuple(i for i, step in enumerate(self.steps) if level in step.inputs)
            for level in range(len(self.steps))
        )

    def full(self, level: int) -> Box:
        """All cells of a level."""
        return full(self.steps[level].shape)

    def below(self, level: int) -> set[int]:
        """The levels that a level is made of, with itself."""
        found, waiting = {level}, [level]
        while waiting:
            waiting += [i for i in self.steps[waiting.pop()].inputs if i not in found]
            found.update(waiting)
        return found

    def find(self, model: nn.Module, layer: str) -> int | Unknown:
        """The level that is the layer's output, or why it is none.

        Raises:
            LayerError: the model has no such layer, or does not call it that often.
        """
        name, call = split_call(layer)
        calls = self.outputs.get(unwrapped(layer_module(model, name)), ())
        if not calls:
            return Unknown(self.reason or "the forward pass does not call it")
        if call is not None and call >= len(calls):
            raise LayerError(no_call(layer, len(calls)))
        return calls[-1 if call is None else call]

    def level_of(self, model: nn.Module, layer: str) -> int | None:
        """The level that is the layer's output; None where it is none."""
        found = self.find(model, layer)
        return found if isinstance(found, int) else None

    def places(self, model: nn.Module, units: Sequence[Unit]) -> list[Place] | None:
        """Each unit with its level; None where a layer is no level of the graph.

        Raises:
            LayerError: no such layer, channel or position.
        """
        places = []
        for unit in units:
            level = self.level_of(model, unit.layer)
            if level is None:
                return None
            check_unit(self.steps[level].shape, unit)
            places.append((level, unit))
        return places

    def boxes(self, targets: Mapping[int, Box], *, exact: bool = False) -> dict[int, Box]:
        """Per level, in the order of levels, the cells that the target boxes depend on.

        Args:
            exact: the cells that a forward pass has to compute to give them the bits that the
                model itself would. A convolution over fewer cells may sum in another order; one
                pooling in a million hangs on the last bit, and activations would differ in it.
        """
        asked: dict[int, list[Box]] = {level: [box] for level, box in targets.items()}
        boxes: dict[int, Box] = {}
        for level in range(max(targets), -1, -1):
            if level not in asked:
                continue
            step, box = self.steps[level], union(*asked[level])
            boxes[level] = step.exact(box) if exact else box
            for below, needed in zip(step.inputs, step.needed(boxes[level]), strict=True):
                asked.setdefault(below, []).append(needed)
        return dict(reversed(boxes.items()))

    def cost(self, boxes: Mapping[int, Box]) -> int:
        """Multiply-adds of a forward pass over ``boxes``."""
        return sum(self.steps[level].cost(box) for level, box in boxes.items())
