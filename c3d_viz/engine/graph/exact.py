"""Convolutions over a part of a level that have, bit for bit, the values of the whole level.

A last bit may decide which cell a pooling takes, and an activation must not depend on what else is
asked for: a pass over a part of a level must not round otherwise than the model does. PyTorch
picks a kernel by the size of its input, and kernels differ in the order in which they add up.
Called with the kernel that the *whole* level gets, a part has the same bits on a CPU: an output is
one dot product, whose order does not depend on where the cell lies. That is no promise of the
libraries, so it is tried out once per process, and where it does not hold, or the kernel is another
one (CUDA), whole levels are computed.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .boxes import Box, Stencil, grown
from .kernels import Filters

Backend = Literal["onednn", "columns"]  # direct convolution; matrix product of unfolded columns
_BACKENDS: dict[str, Backend] = {"Mkldnn": "onednn", "Slow3d": "columns"}
# cells per axis that a part is tried out with
_PARTS = {"columns": ((1, 8, 9), (4, 4, 4)), "onednn": ((1, 1, 1), (1, 8, 9), (3, 6, 24))}
_FEW = 64  # cells; a matrix product with fewer rows (10 were seen) may take another path


def backend_of(conv: Filters, sizes: Sequence[int]) -> Backend | None:
    """The kernel the model's own call gets, if a part of the level can be computed exactly by it.

    Args:
        sizes: (T, H, W) of the whole input level.
    """
    weight, view = conv.weight, conv.stencil
    if weight.device.type != "cpu" or not weight.is_contiguous():
        return None
    outs, ins = weight.shape[0], weight.shape[1] * conv.groups
    x = weight.new_empty((1, ins, *sizes))
    way = view.stride, view.padding, view.dilation
    backend = _BACKENDS.get(kernel_of(x, weight, conv.bias, *way, conv.groups))
    if backend is None or not _holds(backend, weight.dtype, torch.get_num_threads()):
        return None
    # One product a group, put together by PyTorch; and of oneDNN, what was seen to follow the
    # level's size: how it splits the sum over channels where the kernel is one cell, and which
    # kernel takes groups of a few channels.
    grouped, depthwise = conv.groups != 1, conv.groups == ins == outs
    pointwise = set(view.kernel) == {1}
    if (grouped and (backend == "columns" or not depthwise)) or (backend == "onednn" and pointwise):
        return None
    return backend


def kernel_of(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> str:
    """PyTorch's name of the kernel that it takes for a convolution; "" where it does not tell."""
    select: Any = getattr(torch._C, "_select_conv_backend", None)
    if select is None:
        return ""
    way, outs = (stride, padding, dilation, False, [0, 0, 0], groups), [weight.shape[0]]
    with torch.no_grad():
        name: str = select(x, weight, bias, *way, outs).name
    return name


def exact_box(backend: Backend | None, box: Box, sizes: Sequence[int]) -> Box:
    """The smallest box around ``box`` that has the bits of the whole level of ``sizes``."""
    if backend == "onednn":
        return box
    return grown(box, sizes, _FEW) if backend else tuple((0, n) for n in sizes)


def conv_part(conv: Filters, x: Tensor, padding: Sequence[int], backend: Backend) -> Tensor:
    """``conv`` over ``x`` (1, C, T, H, W) by a given kernel; ``padding`` replaces its own."""
    view = conv.stencil
    if backend == "onednn":
        answer: Tensor = torch.mkldnn_convolution(
            x.contiguous(),
            conv.weight,
            conv.bias,
            list(padding),
            list(view.stride),
            list(view.dilation),
            conv.groups,
        )
        return answer
    columns: Any = getattr(torch._C._nn, "slow_conv3d")  # noqa: B009 (not in its stub)
    answer = columns(x, conv.weight, view.kernel, conv.bias, view.stride, list(padding))
    return answer


@functools.cache
def _holds(backend: Backend, dtype: torch.dtype, threads: int) -> bool:
    """Whether parts have the bits of the whole here. Depends on threads, as kernels may."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn((32, 32, 3, 3, 3), generator=generator).to(dtype)
    conv = Filters(weight, None, Stencil((3,) * 3, (1,) * 3, (1,) * 3, (1,) * 3))
    x = torch.randn((1, 32, 4, 24, 24), generator=generator).to(dtype)
    try:
        whole = conv_part(conv, x, (1, 1, 1), backend)
        for t, h, w in _PARTS[backend]:
            part = conv_part(
                conv, F.pad(x, (1,) * 6)[..., : t + 2, 1 : h + 3, : w + 2], (0,) * 3, backend
            )
            if not torch.equal(part, whole[..., :t, 1 : h + 1, :w]):
                return False
    except (AttributeError, RuntimeError, TypeError):
        return False
    return True
