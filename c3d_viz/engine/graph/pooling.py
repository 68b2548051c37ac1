"""Max-pooling: its switches, and the unpooling by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .boxes import Box, Part, Stencil, clip, cut
from .kernels import Unpool, pool_with_offsets
from .steps import Call, Made, Memo, Step, Switches, Walk, relu_mask_of, ruled

CACHED = 1 << 21  # numbers that stay in a processor's cache while they are used


@dataclass(frozen=True, eq=False, kw_only=True)
class MaxPool(Step):
    """Max-pooling. Of equal cells the first in (t, h, w) is taken.

    Where windows overlap, the signals of all that took a cell are summed, as autograd does.

    Attributes:
        ceiling: of the ReLU that leaves its rule to it.
    """

    stencil: Stencil
    ceiling: float | None = None

    @property
    def side_by_side(self) -> bool:
        """Whether no cell lies in two windows."""
        view = self.stencil
        pairs = zip(view.kernel, view.stride, view.dilation, strict=True)
        return all(k <= s and d == 1 for k, s, d in pairs)

    def decides(self, asks: bool) -> bool:
        return True

    @property
    def joins_frames(self) -> bool:
        view = self.stencil
        return view.padding[0] == 0 and view.kernel[0] == view.stride[0] and view.dilation[0] == 1

    @property
    def strides(self) -> tuple[int, ...]:
        return self.stencil.stride

    def needed(self, box: Box) -> tuple[Box, ...]:
        return (clip(self.stencil.reach(box), self.below[0][1:]),)

    def forward(self, call: Call) -> Made:
        (below,), view = self.needed(call.box), self.stencil
        reach = view.reach(call.box)
        values = call.inputs[0].of(below)
        ends = [(lo - r0, r1 - hi) for (r0, r1), (lo, hi) in zip(reach, below, strict=True)]
        if self.side_by_side:  # a window that the border cuts off needs no more cells
            ends = [(lo, 0) for lo, _ in ends]
        if any(lo or hi for lo, hi in ends):
            values = F.pad(values, [n for pair in reversed(ends) for n in pair], value=-torch.inf)
        pooled, offsets = pool_with_offsets(values, view.kernel, view.stride, view.dilation)
        sizes = tuple(values.shape[1:])
        covered = tuple((r0, r0 + n) for (r0, _), n in zip(reach, sizes, strict=True))
        unpool = Unpool(offsets, view.stride, sizes, adds=not self.side_by_side)
        switches = Switches(unpool, call.box, covered)
        return pooled, self._memo(pooled, switches, call.asks)

    def _memo(self, pooled: Tensor, switches: Switches, asks: bool) -> Memo:
        relu_mask = relu_mask_of(pooled, self.ceiling) if asks and self.shortcut else None
        return Memo(switches.box, relu_mask, switches)

    def joined(self, values: Tensor, memos: Sequence[Memo], *, asks: bool) -> Memo:
        """What is kept of pieces that follow each other in time, as of one pooling."""
        parts = [memo.switches for memo in memos if memo.switches is not None]
        first, last = parts[0], parts[-1]
        box, below = (
            ((a[0][0], b[0][1]), *a[1:])
            for a, b in ((first.box, last.box), (first.below, last.below))
        )
        unpool = Unpool.joined([part.unpool for part in parts])
        return self._memo(values, Switches(unpool, box, below), asks)

    def back(self, signal: Part, memo: Memo | None, walk: Walk) -> tuple[Part, ...]:
        assert memo is not None
        assert memo.switches is not None
        signal = signal.whole()
        if self.shortcut:
            signal = ruled(signal, memo, walk)
        reach = clip(self.stencil.reach(signal.box), self.below[0][1:])
        return (Unpooled(signal.values, reach, self, signal.box, memo.switches),)


@dataclass(frozen=True)
class Unpooled(Part):
    """A signal on its way below a pooling: each cell's number goes to the cell that was taken.

    It is the largest thing of a walk. Made whole, it would go out to memory and come back; a few
    frames of it stay in the cache. So it is made when it is asked for, in pieces if that will do.

    Attributes:
        values: (C, cells of ``above``), still above the pooling.
        box: the cells below the pooling that the signal covers.
        above: where ``values`` lie.
    """

    pool: MaxPool
    above: Box
    switches: Switches

    def whole(self) -> Part:
        """The unpooled signal; valid until the next unpooling with the same switches."""
        return self._frames(*self.above[0])

    def pieces(self) -> Iterator[Part]:
        """The unpooled signal, a few frames at a time; each valid until the next."""
        _, height, width = self.pool.below[0][1:]
        some = max(1, CACHED // (len(self.values) * height * width))
        first, last = self.above[0]
        if self.pool.stencil.kernel[0] != 1:  # its windows span frames
            some = last - first
        for start in range(first, last, some):
            yield self._frames(start, min(start + some, last))

    def _frames(self, start: int, stop: int) -> Part:
        first = self.above[0][0]
        box = ((start, stop), *self.above[1:])
        reach = tuple(
            (lo, min(hi, end))
            for (lo, hi), (_, end) in zip(
                self.pool.stencil.reach(box), self.switches.below, strict=True
            )
        )
        values = self.switches.unpool(
            self.values[:, start - first : stop - first],
            cut(box, self.switches.box)[1:],
            cut(reach, self.switches.below)[1:],
        )
        inside = clip(reach, self.pool.below[0][1:])
        return Part(Part(values, reach).of(inside), inside)
