"""Which calls of PyTorch are known, and the step that each of them is.

A function here takes what the call is given and answers with the step, as far as it can be told
without its place in the graph, or None where the call does something that no step does. It is
never asked about a call that gives another dtype, or anything but one clip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...nets import triple
from ..relu_forms import rectifier
from .boxes import Stencil
from .convolution import Conv
from .kernels import Filters
from .pooling import MaxPool
from .steps import Flatten, Linear, ReLU, Step
from .sums import Add, Affine, AveragePool, Cat, Mean

_ONES = (1, 1, 1)


class Operation(NamedTuple):
    """What a call does.

    Attributes:
        kind: of the step; None where nothing changes, as in a dropout, which is off.
        inputs: the tensors that follow the clip.
        settings: of the step.
        makes: shape of the answer, a new tensor, where that is told here; else PyTorch is asked.
            For convolutions and poolings it imports a package of symbolic algebra at first, which
            takes a second.
    """

    kind: type[Step] | None
    inputs: Sequence[Tensor]
    settings: dict[str, Any] = {}  # noqa: RUF012 (nobody writes to it)
    makes: Sequence[int] | None = None


Reader = Callable[..., Operation | None]


def operation(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Operation | None:
    """The call as an operation; None where it is not known."""
    try:
        rectified = rectifier(func, args, kwargs)
        if rectified is not None:
            settings = {"ceiling": rectified.ceiling}
            makes = None if rectified.in_place else rectified.x.shape
            return Operation(ReLU, (rectified.x,), settings, makes)
        read = OPERATIONS.get(func)
        return None if read is None else read(*args, **kwargs)
    except (TypeError, ValueError, RuntimeError):  # a form of the call that is not known
        return None


def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Operation | None:
    kernel, spread = tuple(weight.shape[2:]), triple(dilation)
    if padding == "valid":
        padding = 0
    elif padding == "same":
        rooms = [d * (k - 1) for d, k in zip(spread, kernel, strict=True)]
        if any(room % 2 for room in rooms):
            return None
        padding = tuple(room // 2 for room in rooms)
    view = Stencil(kernel, triple(stride), triple(padding), spread)
    bias = None if bias is None else bias.detach()
    settings = {"conv": Filters(weight.detach(), bias, view, groups)}
    fits = x.shape[1] == weight.shape[1] * groups and len(weight) % groups == 0
    return Operation(Conv, (x,), settings, _swept(x, len(weight), view) if fits else None)


def _swept(x: Tensor, channels: int, view: Stencil, ceil: bool = False) -> Sequence[int] | None:
    """The shape of the answer where windows go over a clip; None where they do not fit."""
    cells = []
    for n, k, s, p, d in zip(
        x.shape[2:], view.kernel, view.stride, view.padding, view.dilation, strict=True
    ):
        room = n + 2 * p - d * (k - 1) - 1
        count = (room + s - 1 if ceil else room) // s + 1
        count -= ceil and (count - 1) * s >= n + p  # a window begins within the clip
        cells.append(count)
    return (len(x), channels, *cells) if min(cells) > 0 else None


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Operation | None:
    if x.ndim != 2:
        return None
    bias = None if bias is None else bias.detach()
    makes = (len(x), len(weight)) if x.shape[1] == weight.shape[1] else None
    return Operation(Linear, (x,), {"weight": weight.detach(), "bias": bias}, makes)


def _batch_norm(
    x: Tensor,
    mean: Tensor | None,
    variance: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Operation | None:
    if training or mean is None or variance is None:
        return None  # a channel is divided by what all its cells are
    call = partial(_normalised, given=(mean, variance, weight, bias), eps=eps)
    scale = 1 / (variance + eps).sqrt()
    scale = (scale if weight is None else scale * weight).detach()
    return Operation(Affine, (x,), {"call": call, "scale": scale}, x.shape)


def _normalised(x: Tensor, given: tuple[Tensor | None, ...], eps: float) -> Tensor:
    mean, variance, weight, bias = given
    return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)


def _max_pool(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Operation | None:
    if return_indices:
        return None
    stride = stride or kernel_size
    view = Stencil(triple(kernel_size), triple(stride), triple(padding), triple(dilation))
    fits = all(2 * p <= k for k, p in zip(view.kernel, view.padding, strict=True))
    makes = _swept(x, x.shape[1], view, ceil_mode) if fits else None
    return Operation(MaxPool, (x,), {"stencil": view}, makes)


def _average_pool(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Operation | None:
    view = Stencil(triple(kernel_size), triple(stride or kernel_size), triple(padding), _ONES)
    if any(view.padding) and (ceil_mode or not count_include_pad):
        return None  # windows divided by other numbers than their size
    sizes = zip(x.shape[2:], view.kernel, view.stride, strict=True)
    if divisor_override is not None or (ceil_mode and any((n - k) % s for n, k, s in sizes)):
        return None
    call = partial(F.avg_pool3d, kernel_size=view.kernel, stride=view.stride)
    return Operation(AveragePool, (x,), {"stencil": view, "call": call})


def _adaptive(
    x: Tensor, output_size: Any, return_indices: bool = False, *, average: bool
) -> Operation | None:
    wanted = output_size if isinstance(output_size, tuple | list) else (output_size,) * 3
    sizes = [n if w is None else w for n, w in zip(x.shape[2:], wanted, strict=True)]
    if any(n % w for n, w in zip(x.shape[2:], sizes, strict=True)):
        return None  # windows of several sizes
    if return_indices:
        return None
    kernel = tuple(n // w for n, w in zip(x.shape[2:], sizes, strict=True))
    view = Stencil(kernel, kernel, (0, 0, 0), _ONES)
    if not average:
        return Operation(MaxPool, (x,), {"stencil": view})
    if prod(sizes) == 1:
        return Operation(Mean, (x,), {"call": partial(F.adaptive_avg_pool3d, output_size=1)})
    call = partial(F.avg_pool3d, kernel_size=kernel)
    return Operation(AveragePool, (x,), {"stencil": view, "call": call})


def _mean(x: Tensor, dim: Any = None, keepdim: bool = False) -> Operation | None:
    axes = dim if isinstance(dim, tuple | list) else (dim,)
    if x.ndim < 3 or sorted(axis % x.ndim for axis in axes) != list(range(2, x.ndim)):
        return None
    call = partial(torch.mean, dim=tuple(axes), keepdim=keepdim)
    return Operation(Mean, (x,), {"call": call})


def _flatten(x: Tensor, *_: Any, **__: Any) -> Operation:
    return Operation(Flatten, (x,))  # if the answer is a vector, which is looked at afterwards


def _same(x: Tensor, *_: Any, **__: Any) -> Operation:
    return Operation(None, (x,))


def _dropout(
    x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Operation | None:
    return None if training and p else Operation(None, (x,))


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Operation | None:
    if dim % tensors[0].ndim != 1:
        return None
    return Operation(Cat, tuple(tensors))


def _add(x: Any, y: Any, *, alpha: float = 1) -> Operation | None:
    if isinstance(x, Tensor) and isinstance(y, Tensor) and x.is_meta and y.is_meta:
        if alpha != 1 or x.shape != y.shape:
            return None
        return Operation(Add, (x, y))
    return _by_number(torch.add, x, y, alpha)


def _by_number(func: Any, x: Any, y: Any, alpha: float = 1) -> Operation | None:
    """A clip with a number, or a channel each with one of its own, on either side."""
    first = isinstance(x, Tensor) and x.is_meta
    level, other = (x, y) if first else (y, x)
    if alpha != 1 or (func is torch.div and not first):
        return None
    channels = level.shape[1]
    number = other
    if isinstance(other, Tensor):
        if other.is_meta:
            return None
        padded = (1,) * (level.ndim - other.ndim) + tuple(other.shape)
        if padded[0] != 1 or padded[1] not in (1, channels) or prod(padded[2:]) != 1:
            return None
        number = other.detach().reshape(-1).expand(channels)
    elif not isinstance(other, int | float):
        return None
    call = partial(func, other=other) if first else partial(func, other)
    scale: Any = 1.0
    if func is torch.mul:
        scale = number
    elif func is torch.div:
        scale = 1 / number
    elif func is torch.sub and not first:
        scale = -1.0
    return Operation(Affine, (level,), {"call": call, "scale": scale})


def _numeric(func: Any) -> Reader:
    return lambda x, y: _by_number(func, x, y)


OPERATIONS: dict[Callable[..., Any], Reader] = {
    F.conv3d: _convolution,
    F.linear: _linear,
    F.batch_norm: _batch_norm,
    F.max_pool3d: _max_pool,
    F.avg_pool3d: _average_pool,
    F.adaptive_avg_pool3d: partial(_adaptive, average=True),
    F.adaptive_max_pool3d: partial(_adaptive, average=False),
    F.dropout: _dropout,
    F.dropout3d: _dropout,
    torch.mean: _mean,
    Tensor.mean: _mean,
    **dict.fromkeys((torch.cat, torch.concat, torch.concatenate), _cat),
    **dict.fromkeys((torch.add, Tensor.add, Tensor.add_, Tensor.__add__, Tensor.__iadd__), _add),
    **dict.fromkeys((torch.flatten, Tensor.flatten, torch.reshape, Tensor.reshape), _flatten),
    **dict.fromkeys((Tensor.view, torch.squeeze, Tensor.squeeze), _flatten),
    **dict.fromkeys((Tensor.contiguous, torch.clone, Tensor.clone), _same),
    **dict.fromkeys((torch.sub, Tensor.sub, Tensor.sub_), _numeric(torch.sub)),
    **dict.fromkeys((torch.mul, Tensor.mul, Tensor.mul_), _numeric(torch.mul)),
    **dict.fromkeys((torch.div, Tensor.div, Tensor.div_), _numeric(torch.div)),
}
