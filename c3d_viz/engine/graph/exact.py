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
from torch import Tensor, nn

from .boxes import Box, grown

Backend = Literal["onednn", "columns"]  # direct convolution; matrix product of unfolded columns
_BACKENDS: dict[str, Backend] = {"Mkldnn": "onednn", "Slow3d": "columns"}
# cells per axis that a part is tried out with
_PARTS = {"columns": ((1, 8, 9), (4, 4, 4)), "onednn": ((1, 1, 1), (1, 8, 9), (3, 6, 24))}
_FEW = 64  # cells; a matrix product with fewer rows (10 were seen) may take another path


def backend_of(step: nn.Conv3d, sizes: Sequence[int]) -> Backend | None:
    """The kernel the model's own call gets, if a part of the level can be computed exactly by it.

    Args:
        sizes: (T, H, W) of the whole input level.
    """
    weight = step.weight
    if weight.device.type != "cpu" or isinstance(step.padding, str) or not weight.is_contiguous():
        return None
    select: Any = getattr(torch._C, "_select_conv_backend", None)
    if select is None:
        return None
    x = weight.new_empty((1, step.in_channels, *sizes))
    with torch.no_grad():
        chosen = select(
            x,
            weight,
            step.bias,
            step.stride,
            step.padding,
            step.dilation,
            False,
            [0, 0, 0],
            step.groups,
            [step.out_channels],
        )
    backend = _BACKENDS.get(chosen.name)
    if backend is None or not _holds(backend, weight.dtype, torch.get_num_threads()):
        return None
    return backend


def exact_box(backend: Backend | None, box: Box, sizes: Sequence[int]) -> Box:
    """The smallest box around ``box`` that has the bits of the whole level of ``sizes``."""
    if backend == "onednn":
        return box
    return grown(box, sizes, _FEW) if backend else tuple((0, n) for n in sizes)


def conv_part(step: nn.Conv3d, x: Tensor, padding: Sequence[int], backend: Backend) -> Tensor:
    """``step`` over ``x`` (1, C, T, H, W) by a given kernel; ``padding`` replaces its own."""
    if backend == "onednn":
        answer: Tensor = torch.mkldnn_convolution(
            x.contiguous(),
            step.weight,
            step.bias,
            list(padding),
            list(step.stride),
            list(step.dilation),
            step.groups,
        )
        return answer
    columns: Any = getattr(torch._C._nn, "slow_conv3d")  # noqa: B009 (not in its stub)
    answer = columns(x, step.weight, step.kernel_size, step.bias, step.stride, list(padding))
    return answer


@functools.cache
def _holds(backend: Backend, dtype: torch.dtype, threads: int) -> bool:
    """Whether parts have the bits of the whole here. Depends on threads, as kernels may."""
    generator = torch.Generator().manual_seed(0)
    step = nn.Conv3d(32, 32, 3, padding=1, dtype=dtype).requires_grad_(False)
    step.weight.copy_(torch.randn(step.weight.shape, generator=generator))
    x = torch.randn((1, 32, 4, 24, 24), generator=generator).to(dtype)
    try:
        whole = conv_part(step, x, (1, 1, 1), backend)
        for t, h, w in _PARTS[backend]:
            part = conv_part(
                step, F.pad(x, (1,) * 6)[..., : t + 2, 1 : h + 3, : w + 2], (0,) * 3, backend
            )
            if not torch.equal(part, whole[..., :t, 1 : h + 1, :w]):
                return False
    except (AttributeError, RuntimeError, TypeError):
        return False
    return True
