"""Every way in which a network may spell a ReLU, caught as it runs and sent back by a rule.

A ``TorchFunctionMode`` sees each operation of its thread, so that modules, functions, tensor
methods, in-place and reused ReLUs are all caught, and the model is never touched. Beside the
known functions it knows the spelled-out forms, by where their mask came from: ``x * (x > 0)`` is a
ReLU, ``x * mask`` with a mask that happens to be equal is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.graph import Node
from torch.overrides import TorchFunctionMode

from .rules import Rule


class _RuledReLU(torch.autograd.Function):
    """A rectifier whose backward is a rule. ``relu_mask`` is where it has slope 1."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, answer: Tensor, relu_mask: Tensor, ruled: RuledReLUs
    ) -> Tensor:
        ctx.ruled = ruled
        ctx.save_for_backward(relu_mask)
        return answer.view_as(answer)

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor, None, None, None]:
        (relu_mask,) = ctx.saved_tensors
        ctx.ruled.met = ctx.ruled.met or bool(signals[0].any())
        return ctx.ruled.rule(signals[0], relu_mask), None, None, None


class Rectified(NamedTuple):
    """A call that is a ReLU: of what, up to which value, and whether it writes into it."""

    x: Tensor
    ceiling: float | None = None
    in_place: bool = False


class RuledReLUs(TorchFunctionMode):
    """Within the block, every ReLU this thread runs goes back by ``rule``.

    Covered: ``nn.ReLU``, ``F.relu``, ``torch.relu``, ``Tensor.relu``, their in-place forms,
    ``clamp(min=0)`` / ``clip`` / ``clamp_min``, ``F.threshold(x, 0, 0)``, ``F.leaky_relu(x, 0)``;
    ``maximum(x, 0)`` and ``max``, ``where(x > 0, x, 0)``, ``x * (x > 0)``, ``masked_fill(x < 0,
    0)`` and ``x[x < 0] = 0``; and the ReLU with a ceiling (``nn.ReLU6``, ``nn.Hardtanh(0, m)``,
    ``clamp(0, m)``; 1[x > 0] is then 1[0 < x < m]). Every other activation (leaky ReLU, GELU, SiLU
    ...) keeps its ordinary gradient under each rule, and so does code that is compiled or
    scripted, which no mode can see into; ``report`` says where that is so.

    ``follow`` lets it hold on the way back too, where activation checkpointing runs parts of the
    network again.

    Attributes:
        met: whether a signal that is not zero has come to a ReLU on its way back.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule = rule
        self.met = False
        # id of a mask -> (the mask, whose sign it is, which version of it, True for x > 0)
        self._signs: dict[int, tuple[Tensor, Tensor, int, bool]] = {}

    def __exit__(self, *error: Any) -> None:
        self._signs.clear()
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def follow(self, nodes: Iterable[Node]) -> None:
        """Hold while each of these nodes of the graph is walked.

        A block around the whole way back would not do: autograd puts modes aside on entering. It
        walks a node in a thread state of its own, which also ends what a failing node leaves open.
        """
        for node in nodes:
            node.register_prehook(self._begin)
            node.register_hook(self._end)

    def _begin(self, *_signals: object) -> None:
        self.__enter__()  # type: ignore[no-untyped-call]

    def _end(self, *_signals: object) -> None:
        self.__exit__(None, None, None)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        rectified = rectifier(func, args, kwargs) or self._spelled_out(func, args, kwargs)
        if rectified is None or kwargs.get("out") is not None:
            result = func(*args, **kwargs)
            self._remember(func, args, kwargs, result)
            return result
        x, ceiling, in_place = rectified
        with torch.no_grad():
            answer = x.clamp(0, ceiling) if in_place else func(*args, **kwargs)
            relu_mask = x > 0 if ceiling is None else (x > 0) & (x < ceiling)
        if answer.shape != x.shape or answer.dtype != x.dtype:  # broadcast or promoted: no ReLU
            return func(*args, **kwargs)
        apply: Callable[..., Any] = _RuledReLU.apply
        ruled = apply(x, answer, relu_mask, self)
        # copy_ rather than a dirty mark: it also keeps the history of views right
        return x.copy_(ruled) if in_place else ruled

    def _remember(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        """Keep whose sign a mask is: of a comparison with 0, and of what is made from it."""
        if func in _COMPARISONS and _is_zero(_argument(args, kwargs, 1, "other")):
            x = args[0] if args else kwargs.get("input")
            if isinstance(x, Tensor) and x.is_floating_point() and not x.is_inference():
                self._signs[id(result)] = (result, x, x._version, _COMPARISONS[func])
        elif (func in _CASTS or func in _NEGATIONS) and args and id(args[0]) in self._signs:
            _, x, version, positive = self._signs[id(args[0])]
            self._signs[id(result)] = (result, x, version, positive ^ (func in _NEGATIONS))

    def _is_sign(self, mask: Any, x: Any, positive: bool) -> bool:
        """Whether ``mask`` is 1[x > 0] (positive) or 1[x < 0], zeros either way."""
        known = self._signs.get(id(mask))
        return (
            known is not None
            and isinstance(x, Tensor)
            and known[1] is x
            and known[2:] == (x._version, positive)
        )

    def _spelled_out(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Rectified | None:
        if func in _MAXIMA:
            pair = (*args, *kwargs.values())
            if len(pair) == 2 and all(isinstance(v, Tensor) for v in pair):
                for x, other in (pair, pair[::-1]):
                    if x.is_floating_point() and x.requires_grad and _is_zero(other):
                        return Rectified(x)
            return None
        if not self._signs:
            return None
        if func in _WHERES and len(args) == 3:
            mask, chosen, other = args if func is torch.where else (args[1], args[0], args[2])
            for x, zero, positive in ((chosen, other, True), (other, chosen, False)):
                if self._is_sign(mask, x, positive) and _is_zero(zero):
                    return Rectified(x)
        elif func in _PRODUCTS and len(args) == 2:
            for x, mask in (args, args[::-1])[: 1 if func is Tensor.mul_ else 2]:
                if self._is_sign(mask, x, True):
                    return Rectified(x, in_place=func is Tensor.mul_)
        elif func in _FILLS and len(args) == 3:
            x, mask, value = args
            if self._is_sign(mask, x, False) and _is_zero(value):
                return Rectified(x, in_place=_FILLS[func])
        return None


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
_MAXIMA = {torch.maximum, Tensor.maximum, torch.max, Tensor.max, torch.fmax, Tensor.fmax}
_WHERES = {torch.where, Tensor.where}
_PRODUCTS = {torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__, Tensor.mul_, torch.multiply}
_PRODUCTS |= {Tensor.multiply}
# whether the form writes into its tensor
_FILLS = {torch.masked_fill: False, Tensor.masked_fill: False, Tensor.masked_fill_: True}
_FILLS |= {Tensor.__setitem__: True}
# True where it says that x is positive. At 0 itself both forms give the ReLU's 0.
_COMPARISONS: dict[Callable[..., Any], bool] = {
    torch.gt: True, torch.ge: True, torch.lt: False, torch.le: False,
    Tensor.gt: True, Tensor.ge: True, Tensor.lt: False, Tensor.le: False,
    torch.greater: True, torch.greater_equal: True, torch.less: False, torch.less_equal: False,
}  # fmt: skip
_CASTS = {Tensor.float, Tensor.double, Tensor.half, Tensor.bfloat16, Tensor.to, Tensor.type}
_CASTS |= {Tensor.type_as, Tensor.detach, Tensor.clone, torch.clone}
_NEGATIONS = {Tensor.logical_not, torch.logical_not, Tensor.bitwise_not, torch.bitwise_not}
_NEGATIONS |= {Tensor.__invert__}


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
        return Rectified(x, None, bool(_argument(args, kwargs, 1, "inplace", False)))
    if func in _CLAMPS or func in _CLAMPS_IN_PLACE:
        low, high = _argument(args, kwargs, 1, "min"), _argument(args, kwargs, 2, "max")
        if _is_zero(low) and (high is None or _is_ceiling(high)):
            return Rectified(x, high, func in _CLAMPS_IN_PLACE)
    elif func in _THRESHOLDS:
        low, value = _argument(args, kwargs, 1, "threshold"), _argument(args, kwargs, 2, "value")
        if _is_zero(low) and _is_zero(value):
            return Rectified(x, None, bool(_argument(args, kwargs, 3, "inplace", False)))
    elif func is F.leaky_relu:
        if _is_zero(_argument(args, kwargs, 1, "negative_slope", 0.01)):
            return Rectified(x, None, bool(_argument(args, kwargs, 2, "inplace", False)))
    elif func is F.relu6:
        return Rectified(x, 6.0, bool(_argument(args, kwargs, 1, "inplace", False)))
    elif func in _HARDTANHS:
        high = _argument(args, kwargs, 2, "max_val", 1.0)
        if _is_zero(_argument(args, kwargs, 1, "min_val", -1.0)) and _is_ceiling(high):
            return Rectified(x, high, bool(_argument(args, kwargs, 3, "inplace", False)))
    return None


def _argument(
    args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str, default: Any = None
) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)


def _is_zero(value: Any) -> bool:
    """Whether a number is 0, or a tensor that nothing learns or depends on holds only zeros."""
    if isinstance(value, Tensor):
        return not value.requires_grad and not bool(value.any())
    return isinstance(value, int | float) and value == 0


def _is_ceiling(value: Any) -> bool:
    return isinstance(value, int | float) and value > 0
