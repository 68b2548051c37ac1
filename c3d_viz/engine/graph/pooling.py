"""Max-pooling with windows side by side: its switches, and the unpooling by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .boxes import Box, Part, Shape, Stencil, clip, cut, stencil
from .kernels import Unpool, pool_with_offsets
from .steps import Call, Made, Memo, Single, Step, Switches, Walk, relu_mask_of, ruled

CACHED = 1 << 21  # numbers that stay in a processor's cache while they are used


@dataclass(frozen=True, eq=False)
class MaxPool(Step):
    """Max-pooling whose windows do not overlap. Of equal cells the first in (t, h, w) is taken."""

    module: nn.MaxPool3d

    @classmethod
    def shape_after(cls, module: nn.Module, *below: Shape) -> Shape | None:
        assert isinstance(module, nn.MaxPool3d)
        view, shape = stencil(module), below[0]
        overlapping = view.kernel != view.stride or set(view.dilation) != {1}
        if overlapping or module.return_indices or len(shape) != 4:
            return None
        sizes = view.sizes(shape[1:], ceil=module.ceil_mode)
        return (shape[0], *sizes) if min(sizes) > 0 else None

    @cached_property
    def stencil(self) -> Stencil:
        return stencil(self.module)

    def decides(self, asks: bool) -> bool:
        return True

    @property
    def joins_frames(self) -> bool:
        return self.stencil.padding[0] == 0

    @property
    def strides(self) -> tuple[int, ...]:
        return self.stencil.stride

    def needed(self, box: Box) -> tuple[Box, ...]:
        return (clip(self.stencil.reach(box), self.below[0][1:]),)

    def forward(self, call: Call) -> Made:
        (below,), reach = self.needed(call.box), self.stencil.reach(call.box)
        values = call.inputs[0].of(below)
        starts = [lo - r0 for (r0, _), (lo, _) in zip(reach, below, strict=True)]
        if any(starts):
            pads = [n for lo in reversed(starts) for n in (lo, 0)]
            values = F.pad(values, pads, value=-torch.inf)
        pooled, offsets = pool_with_offsets(values, self.stencil.kernel)
        sizes = tuple(values.shape[1:])
        covered = tuple((r0, r0 + n) for (r0, _), n in zip(reach, sizes, strict=True))
        switches = Switches(Unpool(offsets, self.stencil.kernel, sizes), call.box, covered)
        return pooled, self._memo(pooled, switches, call.asks)

    def _memo(self, pooled: Tensor, switches: Switches, asks: bool) -> Memo:
        relu_mask = relu_mask_of(pooled) if asks and self.shortcut else None
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

    def back_single(self, signal: Single, walk: Walk) -> None:
        return None

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
