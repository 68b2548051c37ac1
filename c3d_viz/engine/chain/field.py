"""A unit's field as a problem of its own: the part of the clip it sees, and the layers up to it.

Whatever a method does with the model, it does on fewer pixels and fewer layers, and the numbers
are the same. The crop starts where every pooling grid of the chain has a line, so that all windows
fall as they do in the whole clip; layers may pad inside the clip, but only beyond the field.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ..units import Unit
from .boxes import Box, Chain, cut, window


@dataclass(frozen=True)
class Field:
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


def field_of(chain: Chain, x: Tensor, level: int, unit: Unit) -> Field:
    """The field of a unit with a concrete position.

    Args:
        chain: the model.
        x: one clip (1, C, T, H, W).
        level: of the chain, where the unit is.
    """
    assert unit.at is not None
    cell = tuple((i, i + 1) for i in unit.at)
    seen = chain.boxes({level: cell})[0]
    if unit.at:
        views = [
            window(step)
            for step in chain.steps[:level]
            if isinstance(step, nn.Conv3d | nn.MaxPool3d)
        ]
        box, at = [], []
        for axis, (lo, hi) in enumerate(seen):
            grid = 1  # the distance of units of this level, in input cells
            for view in views:
                grid *= view.stride[axis]
            start = lo // grid * grid
            box.append((start, min(-(-hi // grid) * grid, chain.shapes[0][1 + axis])))
            at.append(unit.at[axis] - start // grid)
    else:
        box, at = list(chain.full(0)), []
    # without dropout, which is off here whatever mode its module is in
    steps = [s for s in chain.steps[:level] if not isinstance(s, nn.Dropout | nn.Dropout3d)]
    steps = steps or [nn.Identity()]
    calls = [i for i, step in enumerate(steps) if step is steps[-1]]  # a module used again
    return Field(
        nn.Sequential(*steps),
        x[(slice(None), *cut(tuple(box), chain.full(0)))],
        Unit(f"{calls[0]}#{len(calls) - 1}", unit.channel, tuple(at)),
        tuple(box),
    )
