"""How a signal passes one layer back, and what the forward pass must keep for it.

Tensors have no batch axis: (C, T, H, W) over the cells of a box (``boxes``). Every function gives
exactly what the layer's transpose gives on the whole level, for the cells the signal can reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .boxes import Box, clip, window

_FEW = 4  # channels; below, a convolution kernel's vector units would run mostly empty
_SLAB = 1 << 20  # numbers of a product that stays in the cache


@dataclass(frozen=True)
class Switches:
    """Which cell of its window each output cell of a max-pooling took.

    Attributes:
        offsets: int32 (C, T', H', W'), flat distance of the cell taken from the window's first.
        strides: flat distance of neighbours along t, h, w in those offsets.
    """

    offsets: Tensor
    strides: tuple[int, int, int]


def conv_forward(step: nn.Conv3d, values: Tensor, box: Box, below: Box) -> Tensor:
    """The convolution's output over ``box``, from its input over ``below``.

    ``below`` is what ``box`` depends on, cut off at the border of the level: where a window looks
    beyond it is zero padding, and nowhere else.
    """
    pads = _beyond(step, box, below)
    even = tuple(min(pair) for pair in pads)
    uneven = [(lo - e, hi - e) for (lo, hi), e in zip(pads, even, strict=True)]
    if any(lo or hi for lo, hi in uneven):
        values = F.pad(values, [n for pair in reversed(uneven) for n in pair])
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
    # ceil mode: where the last window is cut off by the border, it still counts
    pooled, indices = F.max_pool3d(
        values[None], kernel, kernel, ceil_mode=True, return_indices=True
    )
    _, height, width = values.shape[1:]
    strides = (height * width, width, 1)
    first_t, first_h, first_w = (
        torch.arange(n, device=values.device) * (k * stride)
        for n, k, stride in zip(pooled.shape[2:], kernel, strides, strict=True)
    )
    first = first_t[:, None, None] + first_h[:, None] + first_w
    return pooled[0], Switches(indices[0].sub_(first).to(torch.int32), strides)


def unpool(
    step: nn.MaxPool3d,
    signal: Tensor,
    box: Box,
    switches: Switches,
    sizes: Sequence[int],
    out: Tensor,
) -> tuple[Tensor, Box]:
    """Max-unpooling: each cell's signal goes to the cell that the pooling took, the rest is 0.

    Args:
        signal, box: (C, cells of box) above the pooling.
        switches: cut to ``box``.
        sizes: of the level below.
        out: scratch of (C, cells of the windows in box); the answer is a view of it.
    """
    view = window(step)
    for phase in product(*map(range, view.kernel)):
        offset = sum(i * s for i, s in zip(phase, switches.strides, strict=True))
        cells = tuple(slice(i, None, k) for i, k in zip(phase, view.kernel, strict=True))
        torch.mul(signal, switches.offsets == offset, out=out[(slice(None), *cells)])
    return inside(out, view.reach(box), sizes)


def conv_back(
    step: nn.Conv3d, weight: Tensor, signal: Tensor, box: Box, sizes: Sequence[int]
) -> tuple[Tensor, Box]:
    """The transpose of the convolution, without bias.

    Args:
        weight: the convolution's, in the signal's precision.
        signal, box: (C_out, cells of box) above the convolution.
        sizes: of the level below.
    """
    view = window(step)
    reach = view.reach(box)
    plain = set(view.stride) == {1} and set(view.dilation) == {1} and step.groups == 1
    if plain and step.in_channels <= _FEW and signal.device.type == "cpu":
        return inside(_few_channels(weight, signal), reach, sizes)
    # what both sides lose beyond the border is never computed; an uneven rest is cut off after
    lost = tuple(min(max(-lo, 0), max(hi - n, 0)) for (lo, hi), n in zip(reach, sizes, strict=True))
    answer = F.conv_transpose3d(
        signal[None], weight, None, step.stride, lost, 0, step.groups, step.dilation
    )[0]
    kept = tuple((lo + e, hi - e) for (lo, hi), e in zip(reach, lost, strict=True))
    return inside(answer, kept, sizes)


def _few_channels(weight: Tensor, signal: Tensor) -> Tensor:
    """Transposed convolution into few channels (the pixels), by a matrix product and shifts.

    (k_t k_h k_w C_in, C_out) @ (C_out, cells) gives what each cell sends to each of its
    neighbours; adding it there is cheap. Frame by frame, so that the product stays in the cache.

    Args:
        weight: (C_out, C_in, k_t, k_h, k_w), stride 1.
        signal: (C_out, T, H, W).

    Returns:
        (C_in, T + k_t - 1, H + k_h - 1, W + k_w - 1)
    """
    channels, depth, height, width = signal.shape
    _, inputs, k_t, k_h, k_w = weight.shape
    matrix = weight.permute(2, 1, 3, 4, 0).reshape(-1, channels)  # rows k_t, C_in, k_h, k_w
    out = signal.new_zeros(depth + k_t - 1, inputs, height + k_h - 1, width + k_w - 1)
    frames = depth if depth * height * width * len(matrix) <= _SLAB else 1
    for t in range(0, depth, frames):
        sent = matrix @ signal[:, t : t + frames].reshape(channels, -1)
        sent = sent.view(k_t, inputs, k_h, k_w, frames, height, width)
        for h, w in product(range(k_h), range(k_w)):
            cells = out[:, :, h : h + height, w : w + width]
            if frames == 1:
                cells[t : t + k_t] += sent[:, :, h, w, 0]
                continue
            for d in range(k_t):
                cells[d : d + frames] += sent[d, :, h, w].transpose(0, 1)
    return out.transpose(0, 1)


def inside(values: Tensor, box: Box, sizes: Sequence[int]) -> tuple[Tensor, Box]:
    """The part of ``values`` (C, cells of box) that lies inside a level of ``sizes``."""
    inner = clip(box, sizes)
    cells = tuple(slice(a - lo, b - lo) for (lo, _), (a, b) in zip(box, inner, strict=True))
    return values[(slice(None), *cells)], inner
