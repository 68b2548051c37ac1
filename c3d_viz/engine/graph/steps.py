"""The operations of a network, each an object at its place in a graph.

A step says all that the engine asks of an operation: the shape it makes, the cells it needs for
that, what they cost, how it runs forward, what it keeps, and how a signal passes it back. A new
operation is a class like these and a function in ``operations``; nothing else asks what a step is.

Tensors have no batch axis: (C, cells of a box). Over any box a step gives exactly what the
operation gives on the whole level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..rules import Rule
from .boxes import Box, Part, Shape, cell, full
from .kernels import Unpool, channels_last


@dataclass(frozen=True)
class Switches:
    """Which cell of its window each output cell of a max-pooling took.

    Attributes:
        unpool: puts signals there.
        box: the output cells that were computed.
        below: the cells that their windows cover, padding included: the grid ``unpool`` counts in.
    """

    unpool: Unpool
    box: Box
    below: Box


@dataclass(frozen=True)
class Memo:
    """What a step keeps of a forward pass for walks back.

    Attributes:
        box: the cells it was computed for.
        relu_mask: bool (C, cells of the box), where a ReLU let its input through; for a pooling
            that reads a ReLU, where the cell it took had been let through. None where no rule is
            to ask, and for a ReLU whose pooling keeps it.
        switches: of a pooling.
    """

    box: Box
    relu_mask: Tensor | None = None
    switches: Switches | None = None


Made = tuple[Tensor, Memo | None]


class Call(NamedTuple):
    """What a step is asked to make.

    Attributes:
        inputs: at least the ``needed`` cells of each level it reads.
        box: the cells to make.
        asks: whether a rule will ask where ReLUs let their input through.
        owned: whether the inputs may be overwritten.
    """

    inputs: Sequence[Part]
    box: Box
    asks: bool = False
    owned: bool = False


@dataclass(frozen=True)
class Single:
    """A signal at one cell, still a mere number.

    Attributes:
        value: of no axes, in the precision of the walk.
        channel, at: the cell.
        activation: what the cell answered in the forward pass; None where that is not known.
    """

    value: Tensor
    channel: int
    at: tuple[int, ...]
    activation: float | None

    def spread(self, channels: int) -> Part:
        """The same as a part of a level of so many channels."""
        values = self.value.new_zeros(channels, *(1 for _ in self.at))
        values[self.channel] = self.value
        return Part(values, cell(self.at))


@dataclass
class Walk:
    """What the steps of a walk back share.

    Attributes:
        rule: of the ReLUs.
        dtype: of signals and weights.
        once: whether it is of one unit only, for which large weights are not worth preparing.
        prepared: weights by step, kept from unit to unit.
    """

    rule: Rule
    dtype: torch.dtype
    once: bool = False
    prepared: dict[Step, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Step:
    """An operation at its place; by itself the clip, which no operation makes.

    Attributes:
        inputs: the levels it reads.
        below: (C, ...) of these levels.
        shape: (C, ...) of its own level.
        shortcut: of a ReLU that only a pooling reads, and of that pooling. Pooling only picks
            cells, so the rule may be applied above it, to a quarter or an eighth of the numbers:
            the cell it took had been let through exactly if its value is positive.
    """

    inputs: tuple[int, ...] = ()
    below: tuple[Shape, ...] = ()
    shape: Shape
    shortcut: bool = False

    rectifies = False  # whether it is a ReLU

    @property
    def joins_frames(self) -> bool:
        """Whether it is a pooling that may be made a few frames at a time."""
        return False

    def decides(self, asks: bool) -> bool:
        """Whether walks back hang on what a forward pass found here."""
        return False

    @property
    def in_parts(self) -> bool:
        """Whether it is a convolution whose parts have the bits of the whole."""
        return False

    @property
    def strides(self) -> tuple[int, ...]:
        """Per axis, how far apart in its input the windows of neighbouring cells lie."""
        return (1, 1, 1)

    def needed(self, box: Box) -> tuple[Box, ...]:
        """Per input, the cells that ``box`` depends on."""
        return (box,) * len(self.inputs)

    def exact(self, box: Box) -> Box:
        """The smallest box around ``box`` whose values, made alone, have the model's own bits."""
        return box

    def cost(self, box: Box) -> int:
        """Multiply-adds of ``box``."""
        return 0

    def forward(self, call: Call) -> Made:
        """The values of the box (C, cells), and what is to be kept of them."""
        raise NotImplementedError

    def back_single(self, signal: Single, walk: Walk) -> Single | Part | None:
        """The signal of one cell below the step; None where it has no short way."""
        return None

    def back(self, signal: Part, memo: Memo | None, walk: Walk) -> tuple[Part, ...]:
        """Per input, the signal below the step."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False, kw_only=True)
class ReLU(Step):
    """max(x, 0). Never fused with a convolution: oneDNN's ReLU answers 0 to NaN, and hides it.

    Attributes:
        ceiling: of a ReLU6 and its like, min(max(x, 0), ceiling), which is shut there too.
    """

    ceiling: float | None = None

    rectifies = True

    def decides(self, asks: bool) -> bool:
        return asks and not self.shortcut

    def forward(self, call: Call) -> Made:
        x = call.inputs[0].of(call.box)
        values = x.clamp_(0, self.ceiling) if call.owned else x.clamp(0, self.ceiling)
        return values, Memo(call.box, self.mask(values)) if self.decides(call.asks) else None

    def mask(self, values: Tensor) -> Tensor:
        """Where it let its input through, bool like ``values``, from what it answered."""
        return relu_mask_of(values, self.ceiling)

    def back_single(self, signal: Single, walk: Walk) -> Single | None:
        if signal.activation is None:
            return None
        mask = self.mask(signal.value.new_tensor(signal.activation))
        value = walk.rule(signal.value, mask)
        return Single(value, signal.channel, signal.at, signal.activation)

    def back(self, signal: Part, memo: Memo | None, walk: Walk) -> tuple[Part, ...]:
        if self.shortcut:
            return (signal,)
        return (ruled(signal.whole(), memo, walk),)


@dataclass(frozen=True, eq=False, kw_only=True)
class Flatten(Step):
    """(C, T, H, W) to (C T H W,)."""

    def needed(self, box: Box) -> tuple[Box, ...]:
        return (full(self.below[0]),)

    def forward(self, call: Call) -> Made:
        return call.inputs[0].of(full(self.below[0])).reshape(-1), None

    def back(self, signal: Part, memo: Memo | None, walk: Walk) -> tuple[Part, ...]:
        return (Part(signal.values.reshape(self.below[0]), full(self.below[0])),)


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear(Step):
    """A fully connected layer; always whole.

    Attributes:
        weight: (out, in).
        bias: (out,) or None.
    """

    weight: Tensor
    bias: Tensor | None

    def cost(self, box: Box) -> int:
        return self.weight.numel()

    def forward(self, call: Call) -> Made:
        # with the batch axis, as the model's own call: without it another kernel would sum
        return F.linear(call.inputs[0].values[None], self.weight, self.bias)[0], None

    def back_single(self, signal: Single, walk: Walk) -> Part:
        return Part(signal.value * self.weight[signal.channel].to(walk.dtype), ())

    def back(self, signal: Part, memo: Memo | None, walk: Walk) -> tuple[Part, ...]:
        if self not in walk.prepared:  # the weight in the precision of the signals
            walk.prepared[self] = self.weight.to(walk.dtype)
        return (Part(signal.values @ walk.prepared[self], ()),)


def relu_mask_of(values: Tensor, ceiling: float | None = None) -> Tensor:
    """1[x > 0] (and x < ceiling), in the memory format in which signals go back."""
    mask = values > 0 if ceiling is None else (values > 0) & (values < ceiling)
    return channels_last(mask[None])[0] if mask.ndim == 4 else mask


def ruled(signal: Part, memo: Memo | None, walk: Walk) -> Part:
    """A signal below the ReLU whose mask ``memo`` holds."""
    relu_mask = None
    if memo is not None and memo.relu_mask is not None:
        relu_mask = Part(memo.relu_mask, memo.box).of(signal.box)
    return Part(walk.rule(signal.values, relu_mask), signal.box)
