"""The functions by which a network may spell a ReLU, and which of their calls are one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Rectified(NamedTuple):
    """A call that is a ReLU: of what, up to which value, whether into its first argument."""

    x: Tensor
    ceiling: float | None = None
    in_place: bool = False


_aten = torch.ops.aten  # what an exported program calls
_Functions = set[Callable[..., Any]]
_RELUS: _Functions = {torch.relu, Tensor.relu, F.relu, _aten.relu.default}
_RELUS_IN_PLACE: _Functions = {torch.relu_, Tensor.relu_, _aten.relu_.default}
_CLAMPS: _Functions = {torch.clamp, torch.clip, torch.clamp_min, _aten.clamp.default}
_CLAMPS |= {Tensor.clamp, Tensor.clip, Tensor.clamp_min, _aten.clamp_min.default}
_CLAMPS_IN_PLACE = {torch.clamp_, torch.clip_, Tensor.clamp_, Tensor.clip_, torch.clamp_min_}
_CLAMPS_IN_PLACE |= {Tensor.clamp_min_}
_THRESHOLDS = {F.threshold, torch.threshold}
_HARDTANHS: _Functions = {F.hardtanh, _aten.hardtanh.default}
MAXIMA = {torch.maximum, Tensor.maximum, torch.max, Tensor.max, torch.fmax, Tensor.fmax}
WHERES = {torch.where, Tensor.where}
# whether the form writes into its tensor
PRODUCTS = {
    torch.mul: False, Tensor.mul: False, Tensor.__mul__: False, Tensor.__rmul__: False,
    torch.multiply: False, Tensor.multiply: False, Tensor.mul_: True, Tensor.__imul__: True,
    Tensor.multiply_: True,
}  # fmt: skip
_SUMS = {torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__, Tensor.add_, Tensor.__iadd__}
FILLS = {torch.masked_fill: False, Tensor.masked_fill: False, Tensor.masked_fill_: True}
FILLS |= {Tensor.__setitem__: True}
HEAVISIDES: _Functions = {torch.heaviside, Tensor.heaviside}
# What the result says of x where it is compared with 0. At 0 itself every form gives a ReLU's 0.
COMPARISONS: dict[Callable[..., Any], str] = {
    torch.gt: "positive", torch.ge: "positive", torch.lt: "negative", torch.le: "negative",
    Tensor.gt: "positive", Tensor.ge: "positive", Tensor.lt: "negative", Tensor.le: "negative",
    torch.greater: "positive", torch.greater_equal: "positive",
    torch.less: "negative", torch.less_equal: "negative",
    torch.eq: "mask", Tensor.eq: "mask", torch.ne: "mask", Tensor.ne: "mask",
    torch.heaviside: "positive", Tensor.heaviside: "positive",
}  # fmt: skip
CASTS = {Tensor.float, Tensor.double, Tensor.half, Tensor.bfloat16, Tensor.to, Tensor.type}
CASTS |= {Tensor.type_as}
COPIES: _Functions = {Tensor.clone, torch.clone, Tensor.detach, torch.detach, Tensor.contiguous}
COPIES |= {Tensor.data.__get__}  # type: ignore[attr-defined]
_NEGATIVES = {torch.neg, torch.negative, Tensor.neg, Tensor.negative, Tensor.__neg__}
_NEGATIVES |= {torch.neg_, torch.negative_, Tensor.neg_, Tensor.negative_}
_QUOTIENTS = {torch.div, torch.divide, torch.true_divide, Tensor.div, Tensor.divide}
_QUOTIENTS |= {Tensor.true_divide, Tensor.__truediv__, Tensor.div_, Tensor.__itruediv__}
# which of the two is taken off the other
_DIFFERENCES = {
    torch.sub: 1, torch.subtract: 1, Tensor.sub: 1, Tensor.subtract: 1, Tensor.__sub__: 1,
    Tensor.sub_: 1, Tensor.subtract_: 1, Tensor.__isub__: 1, torch.rsub: 0, Tensor.__rsub__: 0,
}  # fmt: skip
SUMS_IN_PLACE = {Tensor.add_, Tensor.__iadd__, Tensor.sub_, Tensor.subtract_, Tensor.__isub__}
UNPOOLINGS: _Functions = {F.max_unpool1d, F.max_unpool2d, F.max_unpool3d}  # where a pooling chose
NEGATIONS = {Tensor.logical_not, torch.logical_not, Tensor.bitwise_not, torch.bitwise_not}
NEGATIONS |= {Tensor.__invert__}


def rectifier(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Rectified | None:
    """The call as a ReLU of a floating tensor, by its function and its numbers, else None."""
    x = args[0] if args else kwargs.get("input")
    if not isinstance(x, Tensor) or not x.is_floating_point():
        return None
    if func in _RELUS_IN_PLACE:
        return Rectified(x, None, True)
    if func in _RELUS:
        return Rectified(x, None, bool(argument(args, kwargs, 1, "inplace", False)))
    if func in _CLAMPS or func in _CLAMPS_IN_PLACE:
        low, high = argument(args, kwargs, 1, "min"), argument(args, kwargs, 2, "max")
        if is_zero(low) and (high is None or _is_ceiling(high)):
            return Rectified(x, high, func in _CLAMPS_IN_PLACE)
    elif func in _THRESHOLDS:
        low, value = argument(args, kwargs, 1, "threshold"), argument(args, kwargs, 2, "value")
        if is_zero(low) and is_zero(value):
            return Rectified(x, None, bool(argument(args, kwargs, 3, "inplace", False)))
    elif func is F.leaky_relu:
        if is_zero(argument(args, kwargs, 1, "negative_slope", 0.01)):
            return Rectified(x, None, bool(argument(args, kwargs, 2, "inplace", False)))
    elif func is F.relu6:
        return Rectified(x, 6.0, bool(argument(args, kwargs, 1, "inplace", False)))
    elif func in _HARDTANHS:
        high = argument(args, kwargs, 2, "max_val", 1.0)
        if is_zero(argument(args, kwargs, 1, "min_val", -1.0)) and _is_ceiling(high):
            return Rectified(x, high, bool(argument(args, kwargs, 3, "inplace", False)))
    return None


def negated(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tensor | None:
    """The tensor of which the call gives the negative, by its function and its numbers."""
    found, pair = None, (*args, *kwargs.values())
    if func in _NEGATIVES:
        found = pair[0]
    elif len(pair) == 2 and func in PRODUCTS and any(map(_is_minus_one, pair)):
        found = pair[0] if _is_minus_one(pair[1]) else pair[1]
    elif len(pair) == 2 and func in _QUOTIENTS and _is_minus_one(pair[1]):
        found = pair[0]
    elif len(pair) == 2 and func in _DIFFERENCES and is_zero(pair[1 - _DIFFERENCES[func]]):
        found = pair[_DIFFERENCES[func]]
    return found if isinstance(found, Tensor) and found.requires_grad else None


def terms(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, int], tuple[Any, int]] | None:
    """The two summands of a sum or difference, each with its sign, else None."""
    rest = {name: value for name, value in kwargs.items() if name != "alpha"}
    alpha, pair = kwargs.get("alpha", 1), (*args, *rest.values())
    if len(pair) != 2 or isinstance(alpha, Tensor) or alpha not in (1, -1):
        return None
    if func in _SUMS:
        return (pair[0], 1), (pair[1], alpha)
    if func in _DIFFERENCES:
        taken = _DIFFERENCES[func]
        return (pair[1 - taken], 1), (pair[taken], -alpha)
    return None


def argument(
    args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str, default: Any = None
) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)


def tensors(given: Any) -> list[Tensor]:
    """The tensors among what a call is given or gives, in lists and dictionaries too."""
    if isinstance(given, Tensor):
        return [given]
    if isinstance(given, dict):
        given = given.values()
    elif not isinstance(given, tuple | list):
        return []
    return [tensor for item in given for tensor in tensors(item)]


def is_zero(value: Any) -> bool:
    """Whether a number is 0, or a tensor that nothing learns or depends on holds only zeros."""
    if isinstance(value, Tensor):
        return not value.requires_grad and not bool(value.any())
    return isinstance(value, int | float) and value == 0


def _is_minus_one(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and not value.requires_grad and bool((value == -1).all())
    return isinstance(value, int | float) and value == -1


def _is_ceiling(value: Any) -> bool:
    return isinstance(value, int | float) and value > 0
