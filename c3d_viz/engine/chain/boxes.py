"""Plain chains of layers, and which cells of each level a unit depends on.

A level is what lies between two steps of the chain: level 0 is the input, level i + 1 the output
of step i. A box is a range of cells per axis of a level; the cells outside of a unit's boxes can
neither change the unit nor receive its signal, so that forward and backward pass may leave them
out. Boxes follow the windows of convolution and pooling, hence the
pooling grid, and end at the true border, where zero padding counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch.nn.modules.module as nn_module
from torch import nn

from ...errors import LayerError
from ...nets import C3D, INPUT_SHAPE, layer_module
from ..listen import has_hooks, split_call

Box = tuple[tuple[int, int], ...]  # (start, stop) per axis; () for a vector

TIPPING = 4096  # decisions; about one unit in a hundred would differ in one of them


@dataclass(frozen=True)
class Window:
    """Where a convolution or pooling looks: output i sees input i * stride - padding + ..."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    def reach(self, box: Box) -> Box:
        """The input cells that the output cells of ``box`` look at; may lie in the padding."""
        return tuple(
            (lo * s - p, (hi - 1) * s - p + d * (k - 1) + 1)
            for (lo, hi), k, s, p, d in zip(
                box, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )

    def sizes(self, sizes: Sequence[int], *, ceil: bool = False) -> tuple[int, ...]:
        """Output sizes of an input of ``sizes``, as PyTorch computes them."""
        answer = []
        for n, k, s, p, d in zip(
            sizes, self.kernel, self.stride, self.padding, self.dilation, strict=True
        ):
            room = n + 2 * p - d * (k - 1) - 1
            out = -(-room // s) + 1 if ceil else room // s + 1
            if ceil and (out - 1) * s >= n + p:  # the last window must start inside
                out -= 1
            answer.append(out)
        return tuple(answer)


@dataclass(frozen=True)
class Chain:
    """A model that is one module after the other.

    Attributes:
        steps: the modules in the order in which they run.
        shapes: (C, ...) of every level, one more than steps.
    """

    steps: tuple[nn.Module, ...]
    shapes: tuple[tuple[int, ...], ...]

    def full(self, level: int) -> Box:
        return tuple((0, n) for n in self.shapes[level][1:])

    def has_relu_below(self, level: int) -> bool:
        """Whether the step before the one that makes ``level`` is a ReLU."""
        return level > 1 and isinstance(self.steps[level - 2], nn.ReLU)

    def level_of(self, model: nn.Module, layer: str) -> int | None:
        """The level that is the layer's output; None where the layer is no step of the chain.

        Raises:
            LayerError: the model has no such layer, or does not call it that often.
        """
        name, call = split_call(layer)
        module = layer_module(model, name)
        calls = [i + 1 for i, step in enumerate(self.steps) if step is module]
        if not calls:
            return None
        if call is not None and call >= len(calls):
            raise LayerError(f"the forward pass calls {name} {len(calls)} times, got {layer!r}")
        return calls[-1 if call is None else call]

    def boxes(
        self,
        targets: Mapping[int, Box],
        *,
        deciding: tuple[type[nn.Module], ...] = (),
        exact: Callable[[int, Box], bool] | None = None,
    ) -> list[Box]:
        """Per level, up to the deepest target, the cells that the target boxes depend on.

        With ``deciding``, the cells that a forward pass should compute: steps of these types take
        decisions (a pooling which cell it takes, a ReLU whether it lets its input through). A
        convolution over fewer cells may sum in another order, and one decision in a million hangs
        on the last bit. So, from the level on where TIPPING decisions are reached, whole levels
        are computed, by the very call that the model itself makes, and no decision can differ;
        save those for which ``exact(level, box)`` says that a part of them has the same bits.
        """
        deepest = max(targets)
        boxes: list[Box] = [()] * (deepest + 1)
        decisions = 0
        below: Box | None = None
        for level in range(deepest, -1, -1):
            both = [box for box in (below, targets.get(level)) if box is not None]
            boxes[level] = both[0] if len(both) == 1 else union(both)
            if decisions > TIPPING and not (exact is not None and exact(level, boxes[level])):
                boxes[level] = self.full(level)
            if level:
                if isinstance(self.steps[level - 1], deciding):
                    decisions += self.shapes[level][0] * volume(boxes[level])
                below = self.needed(level, boxes[level])
        return boxes

    def needed(self, level: int, box: Box) -> Box:
        """The cells of the level below that ``box`` of ``level`` depends on."""
        step = self.steps[level - 1]
        if isinstance(step, nn.Flatten | nn.Linear):
            return self.full(level - 1)
        if isinstance(step, nn.Conv3d | nn.MaxPool3d):
            return clip(window(step).reach(box), self.shapes[level - 1][1:])
        return box

    def cost(self, boxes: Sequence[Box]) -> int:
        """Multiply-adds of a forward pass over ``boxes``."""
        total = 0
        for level, box in enumerate(boxes[1:], start=1):
            step = self.steps[level - 1]
            if isinstance(step, nn.Conv3d | nn.Linear):
                total += step.weight.numel() * volume(box)
        return total


def chain_of(model: nn.Module, input_shape: Sequence[int]) -> Chain | None:
    """The model as a chain, or None if it is anything else.

    A chain is a C3D or ``nn.Sequential`` (also nested) of Conv3d, ReLU, MaxPool3d whose windows do
    not overlap, Dropout, Identity, Flatten and Linear, without hooks, subclasses or
    parametrisations: whatever could do something more than its type says.

    Args:
        input_shape: (C, T, H, W) of the clip.
    """
    steps = _steps(model)
    if steps is None or _global_hooks():
        return None
    if type(model) is C3D and tuple(input_shape) != INPUT_SHAPE:
        return None  # its forward pass says what is wrong
    shapes = [tuple(input_shape)]
    for step in steps:
        shape = _shape_after(step, shapes[-1])
        if shape is None:
            return None
        shapes.append(shape)
    return Chain(tuple(steps), tuple(shapes))


_PASSING = (nn.ReLU, nn.Dropout, nn.Dropout3d, nn.Identity)


def _steps(module: nn.Module) -> list[nn.Module] | None:
    if has_hooks(module) or "forward" in vars(module):
        return None
    if type(module) is nn.Sequential or type(module) is C3D:
        steps: list[nn.Module] = []
        for child in module:
            inner = _steps(child)
            if inner is None:
                return None
            steps += inner
        return steps
    known = (nn.Conv3d, nn.MaxPool3d, nn.Linear, nn.Flatten, *_PASSING)
    return [module] if type(module) in known else None


def _shape_after(step: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    if isinstance(step, nn.Conv3d):
        whole = isinstance(step.padding, str) or step.padding_mode != "zeros"
        if whole or len(shape) != 4 or shape[0] != step.in_channels:
            return None
        sizes = window(step).sizes(shape[1:])
        return (step.out_channels, *sizes) if min(sizes) > 0 else None
    if isinstance(step, nn.MaxPool3d):
        view = window(step)
        overlapping = view.kernel != view.stride or set(view.dilation) != {1}
        if overlapping or step.return_indices or len(shape) != 4:
            return None
        sizes = view.sizes(shape[1:], ceil=step.ceil_mode)
        return (shape[0], *sizes) if min(sizes) > 0 else None
    if isinstance(step, nn.Flatten):
        return (prod(shape),) if (step.start_dim, step.end_dim) == (1, -1) else None
    if isinstance(step, nn.Linear):
        return (step.out_features,) if shape == (step.in_features,) else None
    return shape


def window(step: nn.Conv3d | nn.MaxPool3d) -> Window:
    """The window of a convolution or pooling module."""
    sizes = (step.kernel_size, step.stride, step.padding, step.dilation)
    return Window(*(_triple(size) for size in sizes))


def union(boxes: Sequence[Box]) -> Box:
    """The smallest box around all of them."""
    return tuple(
        (min(lo for lo, _ in axis), max(hi for _, hi in axis)) for axis in zip(*boxes, strict=True)
    )


def clip(box: Box, sizes: Sequence[int]) -> Box:
    """The part of a box inside a level of ``sizes``."""
    return tuple((max(lo, 0), min(hi, n)) for (lo, hi), n in zip(box, sizes, strict=True))


def volume(box: Box) -> int:
    """Cells in a box."""
    return prod(hi - lo for lo, hi in box)


def cut(box: Box, origin: Box) -> tuple[slice, ...]:
    """Index of ``box`` in a tensor (C, ...) that holds the cells of the box ``origin``."""
    return (
        slice(None),
        *(slice(lo - o, hi - o) for (lo, hi), (o, _) in zip(box, origin, strict=True)),
    )


def _triple(value: int | Sequence[int] | str) -> tuple[int, ...]:
    return (value,) * 3 if isinstance(value, int) else tuple(int(v) for v in value)


def _global_hooks() -> bool:
    return any(
        bool(getattr(nn_module, name, None))
        for name in ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks")
    )
