"""Every way in which a network may spell a ReLU, caught as it runs and sent back by a rule.

A ``TorchFunctionMode`` sees each operation of its thread, so that modules, functions, tensor
methods, in-place and reused ReLUs are all caught, and the model is never touched. Beside the
known functions it knows the spelled-out forms, by where their parts came from: ``x * (x > 0)`` is a
ReLU, ``x * mask`` with a mask that happens to be equal is none; ``relu_forms`` has the functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node
from torch.overrides import TorchFunctionMode

from ..errors import VizError
from .facts import Facts, Value, version
from .relu_forms import (
    COMPARISONS,
    FILLS,
    HEAVISIDES,
    MAXIMA,
    PRODUCTS,
    SUMS_IN_PLACE,
    WHERES,
    Rectified,
    is_zero,
    negated,
    rectifier,
    terms,
)
from .rules import Rule


class _RuledReLU(torch.autograd.Function):
    """A rectifier whose backward is a rule. ``relu_mask`` is where it has slope 1."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, answer: Tensor, relu_mask: Tensor, ruled: RuledReLUs
    ) -> Tensor:
        ctx.ruled = ruled
        ctx.save_for_backward(relu_mask)
        return answer.detach()  # no view: the network may add to it in place

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor, None, None, None]:
        (relu_mask,) = ctx.saved_tensors
        ctx.ruled.met = ctx.ruled.met or bool(signals[0].any())
        return ctx.ruled.rule(signals[0], relu_mask), None, None, None


_RELU_OF = "c3d_viz: ReLU of"  # in a node's metadata: the Value of which it is the ReLU


class RuledReLUs(TorchFunctionMode):
    """Within the block, every ReLU this thread runs goes back by ``rule``.

    Covered: ``nn.ReLU``, ``F.relu``, ``torch.relu``, ``Tensor.relu``, their in-place forms,
    ``clamp(min=0)`` / ``clip`` / ``clamp_min``, ``F.threshold(x, 0, 0)``, ``F.leaky_relu(x, 0)``;
    ``maximum(x, 0)`` and ``max``, ``where(x > 0, x, 0)``, ``x * (x > 0)``, ``x * heaviside(x)``,
    ``masked_fill(x < 0, 0)``, ``x[x < 0] = 0``, ``x + relu(-x)`` and ``relu(-x) - (-x)``, also by
    copies of x; and the ReLU with a ceiling (``nn.ReLU6``, ``nn.Hardtanh(0, m)``, ``clamp(0, m)``;
    1[x > 0] is then 1[0 < x < m]). Every other activation (leaky ReLU, GELU, SiLU ...) keeps its
    ordinary gradient under each rule, and so does code that is compiled or scripted, which no mode
    can see into; ``report`` says where that is so. Inside ``torch.vmap`` and the like a ReLU is
    refused by the rules that change it.

    ``follow`` lets it hold on the way back too, where activation checkpointing runs parts of the
    network again.

    Attributes:
        met: whether a signal that is not zero has come to a ReLU on its way back.
        facts: what was heard of the tensors.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule = rule
        self.met = False
        self.facts = Facts()

    def __exit__(self, *error: Any) -> None:
        self.facts.clear()
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
        if torch._C._functorch.peek_interpreter_stack() is not None:
            return self._transformed(func, args, kwargs)
        rectified = rectifier(func, args, kwargs) or self._spelled_out(func, args, kwargs)
        if rectified is None or kwargs.get("out") is not None:
            x = negated(func, args, kwargs)
            minus = None if x is None else self.facts.value(x).times(-1)  # before it is written to
            before = version(args[0]) if args else -1
            with torch.no_grad() if func in HEAVISIDES else nullcontext():  # has no gradient
                result = func(*args, **kwargs)
            if x is None or minus is None:
                wrote = bool(args) and version(args[0]) != before
                self.facts.remember(func, args, kwargs, result, wrote=wrote)
            elif (x.shape, x.dtype) == (result.shape, result.dtype):
                self.facts.keep(result, "copy", minus)
            return result
        x, ceiling, in_place = rectified
        with torch.no_grad():
            answer = x.clamp(0, ceiling) if in_place else func(*args, **kwargs)
            relu_mask = x > 0 if ceiling is None else (x > 0) & (x < ceiling)
        if answer.shape != x.shape or answer.dtype != x.dtype:  # broadcast or promoted: no ReLU
            result = func(*args, **kwargs)
            self.facts.remember(func, args, kwargs, result, wrote=False)
            return result
        apply: Callable[..., Any] = _RuledReLU.apply
        ruled = apply(x, answer, relu_mask, self)
        of = self.facts.value(x)
        # copy_ rather than a dirty mark: it also keeps the history of views right
        result = (args[0] if args else x).copy_(ruled) if in_place else ruled
        node: Any = result.grad_fn
        if ceiling is None and node is not None:
            node.metadata[_RELU_OF] = of
        if not result.requires_grad:
            self.facts.remember(func, args, kwargs, result, wrote=in_place)
        return result

    def _transformed(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """A call inside a transform of torch.func: its ordinary gradient, or none of a ReLU."""
        may_rectify = func in COMPARISONS or func in MAXIMA or rectifier(func, args, kwargs)
        if self.rule.asks_backward and may_rectify:
            raise VizError(
                f"the network runs {func.__name__} inside torch.vmap or another transform of "
                f"torch.func, where no ReLU can be followed; ask for method 'gradient', or call "
                f"the part without the transform"
            )
        return func(*args, **kwargs)

    def _spelled_out(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Rectified | None:
        if func in MAXIMA:
            pair = (*args, *kwargs.values())
            if len(pair) == 2 and all(isinstance(v, Tensor) for v in pair):
                for x, other in (pair, pair[::-1]):
                    if x.is_floating_point() and x.requires_grad and is_zero(other):
                        return Rectified(x)
            return None
        if summands := terms(func, args, kwargs):
            return self._sum(func, summands)
        if not self.facts:
            return None
        if func in WHERES and len(args) == 3:
            mask, chosen, other = args if func is torch.where else (args[1], args[0], args[2])
            for x, zero, sign in ((chosen, other, "positive"), (other, chosen, "negative")):
                if self.facts.holds(sign, mask, x) and is_zero(zero):
                    return Rectified(x)
        elif func in PRODUCTS and len(args) == 2:
            for x, mask in (args, args[::-1])[: 2 - PRODUCTS[func]]:
                if self.facts.holds("positive", mask, x):
                    return Rectified(x, in_place=PRODUCTS[func])
        elif func in FILLS and len(args) == 3:
            x, mask, value = args
            if self.facts.holds("negative", mask, x) and is_zero(value):
                return Rectified(x, in_place=FILLS[func])
        return None

    def _sum(
        self, func: Callable[..., Any], pair: tuple[tuple[Any, int], tuple[Any, int]]
    ) -> Rectified | None:
        """A sum with its signs as a ReLU: x + relu(-x)."""
        for (x, sign), (relu, of_relu) in (pair, pair[::-1]):
            if not (isinstance(x, Tensor) and isinstance(relu, Tensor)) or of_relu != 1:
                continue
            node: Any = relu.grad_fn
            if not x.requires_grad or node is None:
                continue
            of: Value | None = node.metadata.get(_RELU_OF)
            if of is not None and of.same(self.facts.value(x).times(-sign)):
                return Rectified(x if sign == 1 else -x, in_place=func in SUMS_IN_PLACE)
        return None
