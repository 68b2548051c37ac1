"""Convolutions of one clip, a time step at a time: the same bits in about half the time.

For a single clip PyTorch writes out a matrix with a column for each cell of the result and
multiplies it with the weights (``slow_conv3d``): 65 MB of conv1a, which go to memory and back. The
columns of one time step stay in the processor's cache, and the steps can be shared out to threads.
Each number is the sum of the same products in the same order; that this processor's library keeps
to that order is not taken on trust but looked at once for each shape.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from .graph.exact import kernel_of
from .threads import one_thread_each

LARGE = 16 * 1024**2  # bytes of the matrix from which it pays

Triple = tuple[int, int, int]


class sliced(TorchFunctionMode):  # noqa: N801 - used as a function
    """Within the block, this thread's large convolutions without gradients go by time steps.

    The steps are shared out to as many threads as PyTorch had. All the rest is computed by one:
    threads of PyTorch's own that wait for work would take their cores. (A convolution of 1 x 1 x 1
    may be summed in another order then; C3D has none.)
    """

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            threads = torch.get_num_threads()
            stack.enter_context(one_thread_each)
            pool = stack.enter_context(ThreadPoolExecutor(threads)) if threads > 1 else None
            self._map: Callable[..., Iterable[None]] = pool.map if pool else map
            super().__enter__()  # type: ignore[no-untyped-call]
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *raised: Any) -> None:
        with self._stack:
            super().__exit__(*raised)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is F.conv3d:
            made = self._convolved(*args, **(kwargs or {}))
            if made is not None:
                return made
        return func(*args, **(kwargs or {}))

    def _convolved(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int | Sequence[int] = 1,
        padding: int | str | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
    ) -> Tensor | None:
        """The convolution in slices; None where PyTorch should do it as ever."""
        given = [x for x in (input, weight, bias) if x is not None]
        if torch.is_grad_enabled() or not all(type(x) in (Tensor, Parameter) for x in given):
            return None
        if input.ndim != 5 or isinstance(padding, str) or _triple(dilation) != (1, 1, 1):
            return None
        way = _triple(stride), _triple(padding)
        steps = _steps(input, weight, *way)
        cells = math.prod(steps) * math.prod(weight.shape[1:])
        if steps[0] < 2 or cells * input.element_size() < LARGE:
            return None
        if input.device.type != "cpu" or input.shape[0] != 1:
            return None
        # PyTorch's other ways sum in another order
        if kernel_of(input, weight, bias, *way, (1, 1, 1), groups) != "Slow3d":
            return None
        shapes = tuple(input.shape), tuple(weight.shape), bias is not None
        if not _is_exact(*shapes, *way, input.dtype):
            return None
        return _in_slices(input, weight, bias, *way, self._map)


@functools.cache
def _is_exact(
    shape: tuple[int, ...],
    weights: tuple[int, ...],
    biased: bool,
    stride: Triple,
    padding: Triple,
    dtype: torch.dtype,
) -> bool:
    """Whether slices give the very bits on this machine, by trying it."""
    made = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(s, generator=made, dtype=dtype) for s in (shape, weights))
    bias = torch.randn(weights[0], generator=made, dtype=dtype) if biased else None
    whole = F.conv3d(x, weight, bias, stride, padding)
    return torch.equal(whole, _in_slices(x, weight, bias, stride, padding, map))


def _in_slices(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Triple,
    padding: Triple,
    each: Callable[..., Iterable[None]],
) -> Tensor:
    steps = _steps(x, weight, stride, padding)
    made = x.new_empty((1, weight.shape[0], *steps))
    x = F.pad(x, (0, 0, 0, 0, padding[0], padding[0]))
    beside = (0, *padding[1:])

    def step(t: int) -> None:
        seen = x[:, :, t * stride[0] : t * stride[0] + weight.shape[2]]
        with torch.no_grad():  # which belongs to a thread
            made[:, :, t : t + 1] = F.conv3d(seen, weight, bias, stride, beside)

    for _ in each(step, range(steps[0])):
        pass
    return made


def _steps(x: Tensor, weight: Tensor, stride: Triple, padding: Triple) -> list[int]:
    """Cells of the result along time, height and width."""
    sides = zip(x.shape[2:], weight.shape[2:], stride, padding, strict=True)
    return [(n + 2 * p - k) // s + 1 for n, k, s, p in sides]


def _triple(value: int | Sequence[int]) -> Triple:
    return (value,) * 3 if isinstance(value, int) else tuple(value)  # type: ignore[return-value]
