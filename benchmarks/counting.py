"""What a piece of work spends in convolutions and matrix products: FLOP counted, seconds measured.

A dispatch mode sees every operator that reaches a kernel, forward and backward, whichever tool
calls it, so peers and c3d_viz are counted by the same rule: 2 x the multiplications of the dense
operator, padding included.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class Counter(TorchDispatchMode):
    """Within the block: ``flop`` and ``seconds`` of this thread's convolutions and products.

    On an accelerator only ``flop`` means something, because kernels run on after the call.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flop = 0
        self.seconds = 0.0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        count = _COUNTS.get(func.overloadpacket._qualified_op_name)
        if count is None:
            return func(*args, **(kwargs or {}))
        start = time.perf_counter()
        answer = func(*args, **(kwargs or {}))
        self.seconds += time.perf_counter() - start
        self.flop += count(answer, args)
        return answer


def _forward(answer: Tensor, args: tuple[Any, ...]) -> int:
    """aten::convolution and oneDNN's: (input, weight, bias, ...)."""
    x, weight = args[0], args[1]
    if len(args) > 6 and args[6] is True:  # transposed: every input cell meets every tap
        return 2 * x.numel() * math.prod(weight.shape[1:])
    return 2 * answer.numel() * math.prod(weight.shape[1:])


def _backward(answer: tuple[Tensor | None, ...], args: tuple[Any, ...]) -> int:
    """aten::convolution_backward: (gradient, input, weight, ...), for the input and the weight."""
    gradient, x, weight = args[:3]
    transposed = args[7] is True
    once = 2 * (x if transposed else gradient).numel() * math.prod(weight.shape[1:])
    return once * sum(result is not None for result in answer[:2])


def _product(answer: Tensor, args: tuple[Any, ...]) -> int:
    """mm, mv: (a, b)."""
    return 2 * answer.numel() * int(args[0].shape[-1])


def _add_product(answer: Tensor, args: tuple[Any, ...]) -> int:
    """addmm, addmv: (c, a, b)."""
    return 2 * answer.numel() * int(args[1].shape[-1])


_COUNTS: dict[str, Callable[[Any, tuple[Any, ...]], int]] = {
    "aten::convolution": _forward,
    "mkldnn::_convolution_pointwise": _forward,
    "aten::convolution_backward": _backward,
    "aten::mm": _product,
    "aten::mv": _product,
    "aten::addmm": _add_product,
    "aten::addmv": _add_product,
}
