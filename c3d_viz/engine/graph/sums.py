"""What a signal passes as a share: sums, concatenations, factors, averages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor

from .boxes import Box, Part, Stencil, clip, full
from .steps import Call, Made, Memo, Single, Step, Walk


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(Step):
    """The sum of two levels."""

    def forward(self, call: Call) -> Made:
        first, second = (part.of(call.box) for part in call.inputs)
        return first + second, None

    def back(self, signal: Part, memo: Memo | None, walk: Walk) -> tuple[Part, ...]:
        whole = signal.whole()
        shared = Part(whole.values, whole.box)  # by both: neither may write into it
        return shared, shared


@dataclass(frozen=True, eq=False, kw_only=True)
class Cat(Step):
    """Levels one after the other along the channels."""

    def forward(self, call: Call) -> Made:
        return torch.cat([part.of(call.box) for part in call.inputs]), None

    def back(self, signal: Part, memo: Memo | None, walk: Walk) -> tuple[Part, ...]:
        whole = signal.whole()
        parts = torch.split(whole.values, [shape[0] for shape in self.below])
        return tuple(Part(part, whole.box) for part in parts)


@dataclass(frozen=True, eq=False, kw_only=True)
class Affine(Step):
    """x * scale + shift, cell by cell: a normalisation with stored statistics, or by numbers.

    Attributes:
        call: (1, C, cells) -> the same, as the model's own call rounds it.
        scale: (C,), or one number for all.
        folded: whether the convolution below, which nobody else reads, has it in its way back.
    """

    call: Callable[[Tensor], Tensor]
    scale: Tensor | float
    folded: bool = field(default=False)

    def forward(self, call: Call) -> Made:
        # contiguous as the model's own: other memory formats are computed by another formula
        return self.call(call.inputs[0].of(call.box)[None].contiguous())[0], None

    def back_single(self, signal: Single, walk: Walk) -> Single:
        scale = self.scale
        factor = scale[signal.channel].to(walk.dtype) if isinstance(scale, Tensor) else scale
        return Single(signal.value * factor, signal.channel, signal.at, None)

    def back(self, signal: Part, memo: Memo | None, walk: Walk) -> tuple[Part, ...]:
        if self.folded:
            return (signal,)
        whole, scale = signal.whole(), self.scale
        if isinstance(scale, Tensor):
            scale = scale.to(walk.dtype).view(-1, *(1 for _ in whole.box))
        return (Part(whole.values * scale, whole.box, fresh=True),)


@dataclass(frozen=True, eq=False, kw_only=True)
class AveragePool(Step):
    """The mean of each window; padding counts as zeros."""

    stencil: Stencil
    call: Callable[[Tensor], Tensor]

    @property
    def strides(self) -> tuple[int, ...]:
        return self.stencil.stride

    def needed(self, box: Box) -> tuple[Box, ...]:
        return (clip(self.stencil.reach(box), self.below[0][1:]),)

    def forward(self, call: Call) -> Made:
        (below,), reach = self.needed(call.box), self.stencil.reach(call.box)
        values = call.inputs[0].of(below)
        ends = [(lo - r0, r1 - hi) for (r0, r1), (lo, hi) in zip(reach, below, strict=True)]
        if any(lo or hi for lo, hi in ends):
            pads = [n for pair in reversed(ends) for n in pair]
            values = torch.nn.functional.pad(values, pads)
        return self.call(values[None].contiguous())[0], None

    def back(self, signal: Part, memo: Memo | None, walk: Walk) -> tuple[Part, ...]:
        whole, view = signal.whole(), self.stencil
        reach, values = view.reach(whole.box), whole.values / prod(view.kernel)
        for axis, (lo, hi) in enumerate(reach, start=1):
            kernel, stride = view.kernel[axis - 1], view.stride[axis - 1]
            sizes = list(values.shape)
            last, sizes[axis] = (sizes[axis] - 1) * stride, hi - lo
            spread = values.new_zeros(sizes)
            before = (slice(None),) * axis
            for tap in range(kernel):
                spread[(*before, slice(tap, tap + last + 1, stride))] += values
            values = spread
        inside = clip(reach, self.below[0][1:])
        return (Part(Part(values, reach).of(inside), inside, fresh=True),)


@dataclass(frozen=True, eq=False, kw_only=True)
class Mean(Step):
    """The mean of all cells of a channel."""

    call: Callable[[Tensor], Tensor]

    def needed(self, box: Box) -> tuple[Box, ...]:
        return (full(self.below[0]),)

    def forward(self, call: Call) -> Made:
        return self.call(call.inputs[0].of(full(self.below[0]))[None])[0], None

    def back(self, signal: Part, memo: Memo | None, walk: Walk) -> tuple[Part, ...]:
        cells = self.below[0][1:]
        values = signal.whole().values.reshape(-1, *(1 for _ in cells)) / prod(cells)
        return (Part(values.expand(-1, *cells), full(self.below[0])),)
