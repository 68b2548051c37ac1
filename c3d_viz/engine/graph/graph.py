"""A network as a graph of steps, and which cells of each level a unit depends on.

The level of a step is what the step makes; level 0 is the clip. The cells outside of a unit's
boxes can neither change the unit nor receive its signal, so that forward and backward pass may
leave them out. Today only chains are read; steps, passes and walks take several inputs already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch.nn.modules.module as nn_module
from torch import nn

from ...errors import LayerError
from ...nets import input_shape_of, layer_module, runs_in_order
from ..listen import has_hooks, split_call
from ..units import Unit, check_unit
from .boxes import Box, full, union
from .convolution import Conv
from .pooling import MaxPool
from .steps import Flatten, Linear, ReLU, Step

Place = tuple[int, Unit]  # a unit and the level it is in

STEPS: dict[type[nn.Module], type[Step]] = {
    nn.Conv3d: Conv,
    nn.ReLU: ReLU,
    nn.MaxPool3d: MaxPool,
    nn.Dropout: Step,
    nn.Dropout3d: Step,
    nn.Identity: Step,
    nn.Flatten: Flatten,
    nn.Linear: Linear,
}


@dataclass(frozen=True)
class Graph:
    """A network whose every operation is known.

    Attributes:
        steps: in an order in which they can run; step i makes level i. Step 0 stands for the
            clip: it has no inputs.
    """

    steps: tuple[Step, ...]

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

    def level_of(self, model: nn.Module, layer: str) -> int | None:
        """The level that is the layer's output; None where the layer is no step of the graph.

        Raises:
            LayerError: the model has no such layer, or does not call it that often.
        """
        name, call = split_call(layer)
        module = layer_module(model, name)
        calls = [i for i, step in enumerate(self.steps) if step.module is module]
        if not calls:
            return None
        if call is not None and call >= len(calls):
            raise LayerError(f"the forward pass calls {name} {len(calls)} times, got {layer!r}")
        return calls[-1 if call is None else call]

    def places(self, model: nn.Module, units: Sequence[Unit]) -> list[Place] | None:
        """Each unit with its level; None where a layer is no step of the graph.

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


def graph_of(model: nn.Module, input_shape: Sequence[int]) -> Graph | None:
    """The model as a graph, or None where anything in it is unknown.

    Read is a module that runs its children in order (``nets.runs_in_order``), also nested, of
    Conv3d, ReLU, MaxPool3d whose windows do not overlap, Dropout, Identity, Flatten and Linear,
    without hooks, subclasses or parametrisations: whatever could do more than its type says.

    Args:
        input_shape: (C, T, H, W) of the clip.
    """
    modules, shape = _in_order(model), tuple(input_shape)
    if modules is None or _global_hooks():
        return None
    if input_shape_of(model) not in (None, shape):
        return None  # its forward pass says what is wrong
    steps = [Step(nn.Identity(), (), (), shape)]
    for module in modules:
        kind, below = STEPS[type(module)], steps[-1].shape
        after = kind.shape_after(module, below)
        if after is None:
            return None
        steps.append(kind(module, (len(steps) - 1,), (below,), after))
    return Graph(tuple(_with_shortcuts(Graph(tuple(steps)))))


def _with_shortcuts(graph: Graph) -> list[Step]:
    steps = list(graph.steps)
    for level, step in enumerate(graph.steps):
        if isinstance(step, MaxPool):
            below = step.inputs[0]
            if steps[below].rectifies and graph.readers[below] == (level,):
                steps[below] = replace(steps[below], shortcut=True)
                steps[level] = replace(step, shortcut=True)
    return steps


def _in_order(module: nn.Module) -> list[nn.Module] | None:
    if has_hooks(module) or "forward" in vars(module):
        return None
    if not runs_in_order(module):
        return [module] if type(module) in STEPS else None
    modules: list[nn.Module] = []
    for child in module.children():
        inner = _in_order(child)
        if inner is None:
            return None
        modules += inner
    return modules


def _global_hooks() -> bool:
    return any(
        bool(getattr(nn_module, name, None))
        for name in ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks")
    )
