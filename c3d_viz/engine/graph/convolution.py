"""Convolution: a part of a level forward with the model's own bits, and its transpose back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch.nn.functional as F
from torch import Tensor

from .boxes import Box, Part, Stencil, cell, clip, full, volume
from .exact import Backend, backend_of, conv_part, exact_box
from .kernels import FEW_CHANNELS, Filters, TransposedConv, channels_last
from .phases import Phases
from .steps import Call, Made, Memo, Single, Step, Walk

_HEAVY = 1 << 20  # weights; arranging more of them takes longer than one use gains


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv(Step):
    """A convolution with zero padding.

    Attributes:
        conv: its numbers.
        scale: (out channels,), by which a normalisation that alone reads it multiplies; the way
            back is taken for both at once. None for 1.
    """

    conv: Filters
    scale: Tensor | None = None

    @property
    def stencil(self) -> Stencil:
        return self.conv.stencil

    @cached_property
    def backend(self) -> Backend | None:
        """The kernel with which parts of the level have the bits of the whole."""
        return backend_of(self.conv, self.below[0][1:])

    @property
    def in_parts(self) -> bool:
        return self.backend is not None

    @property
    def strides(self) -> tuple[int, ...]:
        return self.stencil.stride

    def needed(self, box: Box) -> tuple[Box, ...]:
        if box == full(self.shape):
            return (full(self.below[0]),)  # whole levels are left to the model's own call
        return (clip(self.stencil.reach(box), self.below[0][1:]),)

    def exact(self, box: Box) -> Box:
        return exact_box(self.backend, box, self.shape[1:])

    def cost(self, box: Box) -> int:
        return self.conv.weight.numel() * volume(box)

    def forward(self, call: Call) -> Made:
        conv, box, (below,) = self.conv, call.box, self.needed(call.box)
        values = call.inputs[0].of(below)[None]
        if box == full(self.shape):  # other kernels, sizes and formats sum in another order
            return self._run(values, self.stencil.padding), None
        # where a window looks beyond the cells it needs is zero padding, and nowhere else
        reach = self.stencil.reach(box)
        pads = [(lo - r0, r1 - hi) for (r0, r1), (lo, hi) in zip(reach, below, strict=True)]
        even = tuple(min(pair) for pair in pads)
        uneven = [(lo - e, hi - e) for (lo, hi), e in zip(pads, even, strict=True)]
        if any(lo or hi for lo, hi in uneven):
            values = F.pad(values, [n for pair in reversed(uneven) for n in pair])
        if self.backend is None:
            return self._run(values, even), None
        return conv_part(conv, values, even, self.backend)[0], None

    def _run(self, values: Tensor, padding: tuple[int, ...]) -> Tensor:
        conv, view = self.conv, self.stencil
        return F.conv3d(
            values, conv.weight, conv.bias, view.stride, padding, view.dilation, conv.groups
        )[0]

    def back_single(self, signal: Single, walk: Walk) -> Part:
        """Below its own convolution the signal of a cell is the cell's filter."""
        values = signal.value * self.conv.weight[signal.channel].to(walk.dtype)
        reach = self.stencil.reach(cell(signal.at))
        if self.conv.groups != 1 or set(self.stencil.dilation) != {1}:
            ins = len(values)
            first = signal.channel // (self.shape[0] // self.conv.groups) * ins
            spread = values.new_zeros(self.below[0][0], *(hi - lo for lo, hi in reach))
            t, h, w = (slice(None, None, d) for d in self.stencil.dilation)
            spread[first : first + ins, t, h, w] = values
            values = spread
        return self._inside(values, reach)

    def back(self, signal: Part, memo: Memo | None, walk: Walk) -> tuple[Part, ...]:
        if self not in walk.prepared:
            walk.prepared[self] = self._prepare(signal.values, walk.once)
        transposed = walk.prepared[self]
        lost, margin, reached = self._extent(signal.box)
        if isinstance(transposed, Tensor):
            view, values = self.stencil, signal.whole().values[None].contiguous()
            answer = F.conv_transpose3d(
                values, transposed, None, view.stride, lost, 0, self.conv.groups, view.dilation
            )
        elif isinstance(transposed, Phases):
            reached = self.stencil.reach(signal.box)
            answer = transposed(channels_last(signal.whole().values[None]))
        elif transposed.taps == 1:  # frames go back together
            answer = transposed(channels_last(signal.whole().values[None]), margin)
        else:
            answer = signal.values.new_zeros(
                (1, self.below[0][0], *(hi - lo for lo, hi in reached))
            )
            for part in signal.pieces():
                first = part.box[0][0] - signal.box[0][0]
                transposed.add_frames(answer, channels_last(part.values[None]), first, margin)
        return (self._inside(answer[0], reached),)

    def _prepare(self, like: Tensor, once: bool) -> TransposedConv | Phases | Tensor:
        """The way back for many signals, or only the weight where it is worth no more."""
        weight, view = self.conv.weight, self.stencil
        if self.scale is not None:
            weight = weight * self.scale.view(-1, 1, 1, 1, 1)
        plain = set(view.dilation) == {1} and self.conv.groups == 1
        if plain and set(view.stride) != {1} and self.below[0][0] < FEW_CHANNELS:
            return Phases(weight, view.stride, like)
        plain = plain and set(view.stride) == {1}
        plain = plain and all(p < k for p, k in zip(view.padding, view.kernel, strict=True))
        if plain and not (once and weight.numel() > _HEAVY):
            return TransposedConv(weight, like)
        return weight.to(like.dtype)

    def _extent(self, box: Box) -> tuple[tuple[int, ...], tuple[int, ...], Box]:
        """What both sides lose beyond the border and is never computed, the zeros to put around a
        signal over ``box`` for that, and the cells that are computed; an uneven rest is cut off
        afterwards."""
        reach = self.stencil.reach(box)
        lost = tuple(
            min(max(-lo, 0), max(hi - n, 0))
            for (lo, hi), n in zip(reach, self.below[0][1:], strict=True)
        )
        margin = tuple(k - 1 - e for k, e in zip(self.stencil.kernel, lost, strict=True))
        reached = tuple((lo + e, hi - e) for (lo, hi), e in zip(reach, lost, strict=True))
        return lost, margin, reached

    def _inside(self, values: Tensor, box: Box) -> Part:
        inner = clip(box, self.below[0][1:])
        return Part(Part(values, box).of(inner), inner, fresh=True)
