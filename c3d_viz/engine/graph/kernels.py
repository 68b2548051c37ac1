"""The transposed convolutions and the unpooling that a walk back is made of, on the fastest path.

Chosen by measurement (docs/benchmarks.md), for one clip at a time and without autograd:

* signals are kept channels-last: rules and unpooling run along contiguous channels;
* on the CPU a convolution runs through oneDNN with its weights arranged once for all units; an
  ordinary call arranges them again each time, which for the small volumes of conv4 and conv5
  takes longer than the convolution. The same primitive computes, so results do not depend on how
  many units share the arrangement;
* a convolution back to few channels (conv1a: 3) would leave most of a vector register empty. Its
  temporal taps are computed as channels and added afterwards;
* unpooling writes into a buffer that is used again: fresh memory costs more than the writing.

Where oneDNN does not apply (CUDA, float64, other builds), the ordinary PyTorch operators run.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .boxes import Stencil

_ONES = [1, 1, 1]
FEW_CHANNELS = 8  # below it, temporal taps become channels: half a 16-wide register


def channels_last(x: Tensor) -> Tensor:
    """``x`` (N, C, T, H, W) with the channels next to each other in memory."""
    return x.contiguous(memory_format=torch.channels_last_3d)


@dataclass(frozen=True, eq=False)
class Filters:
    """The numbers of a convolution with zero padding.

    Attributes:
        weight: (out channels, in channels / groups, kt, kh, kw).
        bias: (out channels,) or None.
        stencil: where it looks.
    """

    weight: Tensor
    bias: Tensor | None
    stencil: Stencil
    groups: int = 1


class TransposedConv:
    """A convolution's way back, prepared once for many signals: its transpose, without bias.

    Args:
        weight: (out channels, in channels, kt, kh, kw) of a convolution of stride 1, dilation 1,
            one group.
        like: a tensor of the device and dtype the signals will have.
    """

    def __init__(self, weight: Tensor, like: Tensor) -> None:
        outs, self.channels, *kernel = weight.shape
        self.kernel = tuple(kernel)
        depth = self.kernel[0]
        # transposed convolution = convolution with mirrored kernels and swapped channels
        weight = weight.detach().to(like.dtype).flip(2, 3, 4).transpose(0, 1)
        self.taps = depth if depth > 1 and self.channels < FEW_CHANNELS else 1
        if self.taps > 1:  # (in, out, kt, kh, kw) -> (kt * in, out, 1, kh, kw)
            weight = weight.permute(2, 0, 1, 3, 4).flatten(0, 1).unsqueeze(2)
        self.weight = weight.contiguous()
        if _onednn(like):
            size = [1, outs, 16, 16, 16]
            padding = [0 if self.taps > 1 else depth // 2, *(k // 2 for k in self.kernel[1:])]
            self.weight = _pack_size(self.weight, size, padding)

    def __call__(self, signal: Tensor, margin: tuple[int, ...]) -> Tensor:
        """The signal below the convolution.

        Args:
            signal: (1, out channels, T, H, W) above it; zero outside of what is given.
            margin: (t, h, w), 0 .. kernel - 1: zeros put around the signal, so that a side of
                length n gives n + 2 * margin - kernel + 1. ``kernel - 1`` gives every cell the
                signal reaches.

        Returns:
            (1, in channels, T', H', W').
        """
        if self.taps == 1:
            return self._convolve(signal, list(margin))
        length = signal.shape[2] + 2 * margin[0] - self.taps + 1
        sides = (
            n + 2 * m - k + 1
            for n, m, k in zip(signal.shape[3:], margin[1:], self.kernel[1:], strict=True)
        )
        answer = signal.new_zeros((1, self.channels, length, *sides))
        self.add_frames(answer, signal, 0, margin)
        return answer

    def add_frames(
        self, answer: Tensor, signal: Tensor, start: int, margin: tuple[int, ...]
    ) -> None:
        """Add to ``answer`` what the frames ``signal``, from frame ``start`` on, send below.

        Only with ``taps`` above 1, where frames are computed apart: a caller may then make a long
        signal a few frames at a time.
        """
        parts = self._convolve(signal, [0, *margin[1:]])  # (1, kt * in, T, H', W')
        for tap in range(self.taps):  # frame s of this tap lands in frame s + margin - tap
            shift = start + margin[0] - tap
            first, last = max(0, shift), min(answer.shape[2], signal.shape[2] + shift)
            if first < last:
                part = parts[:, tap * self.channels : (tap + 1) * self.channels]
                answer[:, :, first:last] += part[:, :, first - shift : last - shift]

    def _convolve(self, signal: Tensor, padding: list[int]) -> Tensor:
        if self.weight.is_mkldnn:
            return _onednn_conv(signal, self.weight, padding)
        return F.conv3d(signal, self.weight, padding=padding)


def pool_with_offsets(
    values: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...] | None = None,
    dilation: tuple[int, ...] = (1, 1, 1),
) -> tuple[Tensor, Tensor]:
    """Max-pooling, and where in its window each maximum lies.

    Of equal cells the first in (t, h, w) order is taken, as everywhere in PyTorch; a window that
    the border cuts off still counts.

    Args:
        values: (C, T, H, W).
        stride: None for windows side by side.

    Returns:
        The maxima (C, t, h, w), and their distances in ``values``' flat (T, H, W) order from
        their windows' first cells: channels next to each other in memory, in the smallest integer
        type that holds them.
    """
    stride = stride or kernel
    sizes = values.shape[1:]
    strides = (sizes[1] * sizes[2], sizes[2], 1)
    most = sum((k - 1) * d * s for k, d, s in zip(kernel, dilation, strides, strict=True))
    dtype = torch.uint8 if most < 256 else torch.int16 if most < 1 << 15 else torch.int32
    halves = all(k in (1, 2) and n % k == 0 for k, n in zip(kernel, sizes, strict=True))
    if halves and kernel == stride and set(dilation) == {1}:
        offsets: Tensor | None = None
        for axis in (3, 2, 1):  # the innermost first: of equal cells the first is to win
            if kernel[axis - 1] == 2:
                first, second = _pairs(values, axis)
                later = second > first
                values = torch.maximum(first, second)
                if offsets is None:
                    offsets = later.to(dtype).mul_(strides[axis - 1])
                else:
                    near, far = _pairs(offsets, axis)
                    offsets = torch.where(later, far + strides[axis - 1], near)
        if offsets is None:
            offsets = torch.zeros(values.shape, dtype=dtype, device=values.device)
    else:
        pooled, taken = F.max_pool3d(
            values[None], kernel, stride, 0, dilation, ceil_mode=True, return_indices=True
        )
        values = pooled[0]
        offsets = (taken[0] - _first_cells(values.shape[1:], stride, strides, taken)).to(dtype)
    return values, channels_last(offsets[None])[0]


def _pairs(values: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Every first and every second cell along an axis of even length; views."""
    before = (slice(None),) * axis
    return values[(*before, slice(0, None, 2))], values[(*before, slice(1, None, 2))]


def _first_cells(
    cells: Sequence[int], stride: Sequence[int], strides: Sequence[int], like: Tensor
) -> Tensor:
    """Flat index of the first cell of each window, int64 (t, h, w)."""
    t, h, w = (
        torch.arange(n, device=like.device) * (k * s)
        for n, k, s in zip(cells, stride, strides, strict=True)
    )
    return t[:, None, None] + h[:, None] + w


class Unpool:
    """Puts signals where a max-pooling took its values. The buffer is used again.

    Not for two threads at once. An answer is a view of the buffer, valid until the next call.

    Args:
        offsets: (C, t, h, w), as ``pool_with_offsets`` gives them.
        stride: of the pooling.
        size: (T, H, W) below the pooling.
        adds: whether windows overlap, so that signals may meet in a cell.
    """

    def __init__(
        self,
        offsets: Tensor,
        stride: tuple[int, ...],
        size: tuple[int, ...],
        *,
        adds: bool = False,
    ) -> None:
        self._offsets = offsets.movedim(0, -1)  # free: channels are next to each other
        self._stride = stride
        self._size = size
        self._adds = adds
        self._buffer: Tensor | None = None
        self._dirty: tuple[slice, ...] = ()

    @staticmethod
    def joined(parts: Sequence[Unpool]) -> Unpool:
        """Of pieces that follow each other in time."""
        offsets = torch.cat([part._offsets for part in parts]).movedim(-1, 0)
        frames = sum(part._size[0] for part in parts)
        first = parts[0]
        return Unpool(offsets, first._stride, (frames, *first._size[1:]), adds=first._adds)

    def __call__(
        self, signal: Tensor, cells: tuple[slice, ...], below: tuple[slice, ...]
    ) -> Tensor:
        """The signal below the pooling, (C, cells of ``below``).

        Args:
            signal: (C, pooled cells in ``cells``); zero elsewhere.
            below: the cells that the windows of ``cells`` cover.
        """
        channels, frames = len(signal), below[0].stop - below[0].start
        room = (*self._size[1:], channels)
        old = self._buffer
        if old is None or old.dtype != signal.dtype or len(old) < frames:
            self._buffer = old = signal.new_zeros((frames, *room))
        else:
            old[self._dirty] = 0
        self._dirty = (slice(0, frames), *below[1:])
        height, width = self._size[1:]
        strides = (height * width, width, 1)
        shape = [cells[0].stop - cells[0].start, *self._offsets.shape[1:3]]
        first = _first_cells(shape, self._stride, strides, signal)[:, cells[1], cells[2]]
        taken = (first[..., None] + self._offsets[cells]).reshape(-1, channels)
        values = signal.movedim(0, -1).reshape(-1, channels)
        if self._adds:
            old.view(-1, channels).scatter_add_(0, taken, values)
        else:
            old.view(-1, channels).scatter_(0, taken, values)
        return old[self._dirty].movedim(-1, 0)


@functools.cache
def _onednn_works(dtype: torch.dtype) -> bool:
    """Whether this build arranges weights and convolves with them as expected. Tried once.

    The two operators carry an underscore in PyTorch, so nothing is taken for granted.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((1, 4, 3, 5, 6), generator=generator).to(dtype)
    weight = torch.randn((8, 4, 3, 3, 3), generator=generator).to(dtype)
    try:
        packed = _pack_size(weight, [1, 4, 16, 16, 16], _ONES)
        answer = _onednn_conv(channels_last(x), packed, [2, 1, 1])
    except (RuntimeError, AttributeError, NotImplementedError):
        return False
    expected = F.conv3d(x.double(), weight.double(), padding=(2, 1, 1))
    bound = (1e-5 if dtype == torch.float32 else 2e-2) * float(expected.abs().max())
    return answer.shape == expected.shape and bool(((answer - expected).abs() <= bound).all())


def _onednn(x: Tensor) -> bool:
    mkldnn: Any = torch.backends.mkldnn
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.bfloat16)
        and mkldnn.is_available()
        and bool(mkldnn.enabled)
        and _onednn_works(x.dtype)
    )


def _pack_size(
    weight: Tensor,
    size: list[int],
    padding: list[int],
) -> Tensor:
    """Weights in the order in which the machine's convolution reads them, for about this size."""
    arrange: Any = torch._C._nn.mkldnn_reorder_conv3d_weight  # its stub lacks the size
    packed: Tensor = arrange(weight.detach().to_mkldnn(), padding, _ONES, _ONES, 1, size)
    return packed


def _onednn_conv(x: Tensor, weight: Tensor, padding: list[int]) -> Tensor:
    answer: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x, weight, None, padding, _ONES, _ONES, 1, "none", [], ""
    )
    return answer
