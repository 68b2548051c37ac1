"""How a signal passes one layer back, and what the forward pass must keep for it.

Tensors have no batch axis: (C, T, H, W) over the cells of a box (``boxes``). Every function gives
exactly what the layer's transpose gives on the whole level, for the cells the signal can reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .boxes import Box, clip, cut, window
from .exact import Backend, conv_part
from .kernels import TransposedConv, Unpool, channels_last, pool_with_offsets

_HEAVY = 1 << 20  # weights; arranging more of them takes longer than one use gains
CACHED = 1 << 21  # numbers that stay in a processor's cache while they are used


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


def conv_whole(step: nn.Conv3d, values: Tensor) -> Tensor:
    """The convolution over a whole level: the module's own call, in the model's memory format.

    It gives the same bits as the model. Other kernels sum in another order, and a pooling that
    hangs on the last bit would take another cell.
    """
    return F.conv3d(
        values[None], step.weight, step.bias, step.stride, step.padding, step.dilation, step.groups
    )[0]


def conv_forward(
    step: nn.Conv3d, values: Tensor, box: Box, below: Box, backend: Backend | None = None
) -> Tensor:
    """The convolution's output over ``box``, from its input over ``below``.

    ``below`` is what ``box`` depends on, cut off at the border of the level: where a window looks
    beyond it is zero padding, and nowhere else. With ``backend``, the kernel of the whole level's
    call, the values have that call's bits.
    """
    pads = _beyond(step, box, below)
    even = tuple(min(pair) for pair in pads)
    uneven = [(lo - e, hi - e) for (lo, hi), e in zip(pads, even, strict=True)]
    if any(lo or hi for lo, hi in uneven):
        values = F.pad(values, [n for pair in reversed(uneven) for n in pair])
    if backend is not None:
        return conv_part(step, values[None], even, backend)[0]
    return F.conv3d(
        values[None], step.weight, step.bias, step.stride, even, step.dilation, step.groups
    )[0]


def _beyond(step: nn.Conv3d | nn.MaxPool3d, box: Box, below: Box) -> list[tuple[int, int]]:
    """How far, per axis and side, the windows of ``box`` look beyond ``below``: into padding."""
    reach = window(step).reach(box)
    return [(lo - r0, r1 - hi) for (r0, r1), (lo, hi) in zip(reach, below, strict=True)]


def pool_forward(
    step: nn.MaxPool3d, values: Tensor, box: Box, below: Box
) -> tuple[Tensor, Switches]:
    """Max-pooling with windows side by side: the output over ``box``, and the cells it took.

    Of equal cells the first in (t, h, w) order is taken, as everywhere in PyTorch.
    """
    starts = [lo for lo, _ in _beyond(step, box, below)]
    if any(starts):
        values = F.pad(values, [n for lo in reversed(starts) for n in (lo, 0)], value=-torch.inf)
    kernel = window(step).kernel
    pooled, offsets = pool_with_offsets(values, kernel)
    sizes = tuple(values.shape[1:])
    covered = tuple((r0, r0 + n) for (r0, _), n in zip(window(step).reach(box), sizes, strict=True))
    return pooled, Switches(Unpool(offsets, kernel, sizes), box, covered)


def joined(parts: Sequence[Switches]) -> Switches:
    """Switches of pieces that follow each other in time, as of one pooling."""
    first, last = parts[0], parts[-1]
    box, below = (
        ((a[0][0], b[0][1]), *a[1:]) for a, b in ((first.box, last.box), (first.below, last.below))
    )
    return Switches(Unpool.joined([part.unpool for part in parts]), box, below)


def unpool(
    step: nn.MaxPool3d, signal: Tensor, box: Box, switches: Switches, sizes: Sequence[int]
) -> tuple[Tensor, Box]:
    """Max-unpooling: each cell's signal goes to the cell that the pooling took, the rest is 0.

    The answer is valid until the next unpooling with the same switches.

    Args:
        signal, box: (C, cells of box) above the pooling.
        sizes: of the level below.
    """
    reach = tuple(
        (lo, min(hi, stop))
        for (lo, hi), (_, stop) in zip(window(step).reach(box), switches.below, strict=True)
    )
    answer = switches.unpool(signal, cut(box, switches.box)[1:], cut(reach, switches.below)[1:])
    return inside(answer, reach, sizes)


class ConvBack:
    """The transpose of a convolution, without bias, prepared for many signals.

    Args:
        like: a tensor of the device and dtype of the signals.
        once: for one signal only, for which large weights are not worth preparing.
    """

    def __init__(self, step: nn.Conv3d, like: Tensor, *, once: bool = False) -> None:
        self._step = step
        view = window(step)
        plain = set(view.stride) == {1} and set(view.dilation) == {1} and step.groups == 1
        plain = plain and all(p < k for p, k in zip(view.padding, view.kernel, strict=True))
        plain = plain and not (once and step.weight.numel() > _HEAVY)
        self._transposed = TransposedConv(step, like) if plain else None
        self._weight = None if plain else step.weight.to(like.dtype)

    def __call__(self, signal: Tensor, box: Box, sizes: Sequence[int]) -> tuple[Tensor, Box]:
        """The signal below the convolution, and the cells it reaches.

        Args:
            signal, box: (C_out, cells of box) above the convolution.
            sizes: of the level below.
        """
        step = self._step
        lost, margin, kept = self._extent(box, sizes)
        if self._transposed is not None:
            answer = self._transposed(channels_last(signal[None]), margin)[0]
        else:
            assert self._weight is not None
            answer = F.conv_transpose3d(
                signal[None].contiguous(),
                self._weight,
                None,
                step.stride,
                lost,
                0,
                step.groups,
                step.dilation,
            )[0]
        return inside(answer, kept, sizes)

    @property
    def by_frames(self) -> bool:
        """Whether frames go back apart from each other (``behind`` may be used)."""
        return self._transposed is not None and self._transposed.taps > 1

    def behind(
        self,
        pool: nn.MaxPool3d,
        signal: Tensor,
        box: Box,
        switches: Switches,
        between: Sequence[int],
        sizes: Sequence[int],
    ) -> tuple[Tensor, Box]:
        """``unpool`` and then this, a few frames at a time.

        The unpooled signal is the largest thing of a walk. Made whole, it would go out to memory
        and come back; a few frames of it stay in the cache, and take a fraction of the room.

        Args:
            pool: its windows must not span frames.
            signal, box: (C, cells of box) above the pooling.
            between: sizes of the level between pooling and convolution.
            sizes: of the level below the convolution.
        """
        assert self._transposed is not None
        whole = clip(window(pool).reach(box), between)
        _, margin, kept = self._extent(whole, sizes)
        answer = signal.new_zeros((1, self._step.in_channels, *(hi - lo for lo, hi in kept)))
        (first, last), frame = box[0], signal.shape[0] * between[1] * between[2]
        some = max(1, CACHED // frame)
        for start in range(first, last, some):
            stop = min(start + some, last)
            part, part_box = unpool(
                pool,
                signal[:, start - first : stop - first],
                ((start, stop), *box[1:]),
                switches,
                between,
            )
            offset = part_box[0][0] - whole[0][0]
            self._transposed.add_frames(answer, channels_last(part[None]), offset, margin)
        return inside(answer[0], kept, sizes)

    def _extent(
        self, box: Box, sizes: Sequence[int]
    ) -> tuple[tuple[int, ...], tuple[int, ...], Box]:
        """What both sides lose beyond the border and is never computed, the zeros to put around a
        signal over ``box`` for that, and the cells that are computed; an uneven rest is cut off
        afterwards."""
        view = window(self._step)
        reach = view.reach(box)
        lost = tuple(
            min(max(-lo, 0), max(hi - n, 0)) for (lo, hi), n in zip(reach, sizes, strict=True)
        )
        margin = tuple(k - 1 - e for k, e in zip(view.kernel, lost, strict=True))
        kept = tuple((lo + e, hi - e) for (lo, hi), e in zip(reach, lost, strict=True))
        return lost, margin, kept


def inside(values: Tensor, box: Box, sizes: Sequence[int]) -> tuple[Tensor, Box]:
    """The part of ``values`` (C, cells of box) that lies inside a level of ``sizes``."""
    inner = clip(box, sizes)
    cells = tuple(slice(a - lo, b - lo) for (lo, _), (a, b) in zip(box, inner, strict=True))
    return values[(slice(None), *cells)], inner
