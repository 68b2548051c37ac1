"""A unit's receptive field as a problem of its own: what it sees, and the layers up to it.

Whatever a method does with the model, it does on fewer pixels and fewer layers, and the numbers
are the same. The crop starts where every pooling grid has a line, so that all windows fall as they
do in the whole clip; layers may pad inside the clip, but only beyond the receptive field.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from torch import Tensor, nn

from ..units import Unit
from .boxes import Box, cell, cut
from .graph import Graph, Place


@dataclass(frozen=True)
class Subproblem:
    """What a unit depends on.

    Attributes:
        model: the layers up to the unit's, sharing the original modules.
        x: (1, C, T', H', W'), the part of the clip the unit sees, on the pooling grid.
        unit: the same unit as ``model`` counts on ``x``.
        box: where ``x`` lies in the clip.
    """

    model: nn.Sequential
    x: Tensor
    unit: Unit
    box: Box

    def paste(self, values: Tensor, clip: Tensor) -> Tensor:
        """``values`` of ``x``'s shape put back where they belong, in zeros of the clip's shape."""
        whole = clip.new_zeros(clip.shape)
        whole[0][cut(self.box, tuple((0, n) for n in clip.shape[2:]))] = values[0]
        return whole


# what does the same on a part of its input, and is made by a module of its own
_PLAIN = (nn.Conv3d, nn.ReLU, nn.MaxPool3d, nn.Flatten, nn.Linear)


def subproblem(graph: Graph, x: Tensor, place: Place) -> Subproblem | None:
    """The receptive field of a unit with a concrete position.

    Args:
        x: one clip (1, C, T, H, W).

    Returns:
        None where the way to the unit is not a chain of plain modules.
    """
    level, unit = place
    assert unit.at is not None
    steps = graph.steps[1 : level + 1]
    made = (graph.makers.get(number) for number in range(1, level + 1))
    modules = [module for module in made if module is not None and type(module) in _PLAIN]
    chained = all(step.inputs == (number,) for number, step in enumerate(steps))
    if not chained or len(modules) < level:
        return None
    box, at = list(graph.full(0)), []
    if unit.at:
        seen = graph.boxes({level: cell(unit.at)})[0]
        for axis, (lo, hi) in enumerate(seen):
            grid = prod(step.strides[axis] for step in steps)  # between units, in input cells
            start = lo // grid * grid
            box[axis] = (start, min(-(-hi // grid) * grid, box[axis][1]))
            at.append(unit.at[axis] - start // grid)
    modules = modules or [nn.Identity()]
    calls = [i for i, module in enumerate(modules) if module is modules[-1]]  # one used again
    return Subproblem(
        nn.Sequential(*modules),
        x[(slice(None), *cut(tuple(box), graph.full(0)))],
        Unit(f"{calls[0]}#{len(calls) - 1}", unit.channel, tuple(at)),
        tuple(box),
    )
