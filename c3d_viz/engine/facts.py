"""What is known of tensors while a network runs: copies, signs, masks, and what follows the clip.

A gradient tells what follows the clip, except where there is none: a comparison, an index, what is
detached. Who works with such a value is not linear in the clip, and its node of the graph is marked
(``nonlinear.CUT``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import ref

from torch import Tensor
from torch.autograd.graph import Node

from .nonlinear import CUT, WRITTEN
from .relu_forms import (
    CASTS,
    COMPARISONS,
    COPIES,
    HEAVISIDES,
    NEGATIONS,
    UNPOOLINGS,
    argument,
    is_zero,
    tensors,
)


class Value(NamedTuple):
    """What a tensor held, or its negative, when it had been written to ``version`` times.

    It does not keep the tensor: Python has one plain weak reference to it, which tells it apart.
    """

    tensor: ref[Tensor]
    version: int
    sign: int
    depends: bool  # on the clip

    def times(self, sign: int) -> Value:
        return self._replace(sign=self.sign * sign)

    def same(self, other: Value) -> bool:
        pairs = self.version == other.version and self.sign == other.sign
        return pairs and self.tensor is other.tensor


class _Fact(NamedTuple):
    """What a tensor is of a value, as long as nobody has written to it since."""

    tensor: Tensor  # kept, or another one might get its id
    version: int
    role: str  # copy; positive (1[x > 0]), negative (1[x < 0]), mask
    of: Value


_MASKS = ("positive", "negative", "mask")


class Facts:
    """What was heard of the tensors of one forward pass.

    Attributes:
        clip: the graph's node of the clip; without one everything that has a gradient follows it.
    """

    def __init__(self) -> None:
        self.clip: Node | None = None
        self._facts: dict[int, _Fact] = {}  # by the id of their tensor
        self._cut: dict[int, ref[Tensor]] = {}  # follow the clip, without a gradient; by id
        self._leads: dict[Node, bool] = {}  # whether a path goes to the clip

    def __bool__(self) -> bool:
        return bool(self._facts)

    def clear(self) -> None:
        """Let all of it go."""
        self.clip = None
        for known in (self._facts, self._cut, self._leads):
            known.clear()

    def remember(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
        *,
        wrote: bool,
    ) -> None:
        """Keep what the result of a call is: a copy, a sign, another mask, or cut off.

        Args:
            func, args, kwargs: the call.
            result: what it gave.
            wrote: whether it wrote into its first argument.
        """
        x = args[0] if args else kwargs.get("input")
        if isinstance(x, Tensor) and isinstance(result, Tensor) and result is not x:
            role, of = self._named(func, args, kwargs, x)
            if role is not None:
                return self.keep(result, role, of)
        made = tensors(x if wrote else result)
        if wrote and isinstance(x, Tensor) and x._base is not None:
            made.append(x._base)  # of which it is a part
        name = getattr(func, "__name__", "")
        if func in UNPOOLINGS or name.endswith("_like") or name.startswith("new_"):
            return None
        one = func in CASTS or name.endswith("_as")  # the other says only of which kind
        given = [*tensors(args[:1] if one else (args, kwargs))]
        cut = [tensor for tensor in given if self._is_cut(tensor)]
        masks = [fact.of for t in cut if (fact := self._fact(t)) and fact.role in _MASKS]
        for tensor in made:
            if tensor.requires_grad:
                parts = _parts(tensor, wrote)
                if cut:
                    _mark(parts, CUT, "comparison" if masks else "value without gradient")
                if wrote and tensor._is_view():
                    _mark(parts[1:], WRITTEN, _written(name, args))
            elif masks and tensor is result:
                self.keep(tensor, "mask", masks[0])
            elif cut or any(self.follows(t) for t in given):
                self._cut[id(tensor)] = ref(tensor)
        return None

    def _named(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], x: Tensor
    ) -> tuple[str | None, Value]:
        """What the result is of ``x``, or of what ``x`` is itself a sign of."""
        fact = self._fact(x)
        of = fact.of if fact is not None else self.value(x)
        if func in COMPARISONS and x.is_floating_point():
            of, role = self.value(x), COMPARISONS[func]
            if func not in HEAVISIDES and not is_zero(argument(args, kwargs, 1, "other")):
                role = "mask"
            return (None if role == "mask" and not of.depends else role), of
        if fact is not None and fact.role in _MASKS:
            if func in COPIES or func in CASTS:
                return fact.role, of
            if func in NEGATIONS:
                return {"positive": "negative", "negative": "positive"}.get(fact.role, "mask"), of
        elif func in COPIES and x.is_floating_point():
            return "copy", self.value(x)
        return None, of

    def keep(self, tensor: Tensor, role: str, of: Value) -> None:
        """``tensor`` is a copy, a sign or another mask of a value."""
        if of.depends and not tensor.requires_grad:
            self._cut[id(tensor)] = ref(tensor)
        if not tensor.is_inference():  # has no versions
            self._facts[id(tensor)] = _Fact(tensor, tensor._version, role, of)

    def value(self, x: Tensor) -> Value:
        """What a tensor holds: equal for copies."""
        fact = self._fact(x)
        if fact is not None and fact.role == "copy":
            return fact.of
        return Value(ref(x), version(x), 1, self.follows(x))

    def holds(self, role: str, other: Any, x: Any) -> bool:
        """Whether ``other`` is that of ``x``, as in "positive": 1[x > 0]."""
        fact = self._fact(other)
        if fact is None or fact.role != role or not isinstance(x, Tensor):
            return False
        return fact.of.same(self.value(x))

    def follows(self, x: Tensor) -> bool:
        """Whether what a tensor holds depends on the clip."""
        if not x.requires_grad:
            return self._is_cut(x)
        return self.clip is None or (x.grad_fn is not None and self._leads_to_clip(x.grad_fn))

    def _leads_to_clip(self, start: Node) -> bool:
        leads, waiting = self._leads, [start]
        while waiting:
            node = waiting[-1]
            below = (
                [n for n, _ in node.next_functions if n is not None] if node not in leads else ()
            )
            if unknown := [n for n in below if n not in leads]:
                waiting += unknown
                continue
            waiting.pop()
            leads.setdefault(node, node == self.clip or any(leads[n] for n in below))
        return leads[start]

    def _is_cut(self, x: Tensor) -> bool:
        """Whether a tensor follows the clip without a gradient."""
        found = self._cut.get(id(x))
        return found is not None and found() is x and not x.requires_grad

    def _fact(self, x: Any) -> _Fact | None:
        """What is known of a tensor that nobody has written to since."""
        fact = self._facts.get(id(x))
        return fact if fact is not None and fact.version == x._version else None


def version(x: Any) -> int:
    """How often a tensor was written to; -1 where nobody counts."""
    return x._version if isinstance(x, Tensor) and not x.is_inference() else -1


def _parts(tensor: Tensor, wrote: bool) -> list[Any]:
    """The nodes that made a tensor, and, where it was written into a part, the whole."""
    whole = tensor._base if wrote and tensor._is_view() else None
    return [t.grad_fn for t in (tensor, whole) if t is not None and t.grad_fn is not None]


def _mark(nodes: list[Any], key: str, what: str) -> None:
    for node in nodes:
        node.metadata.setdefault(key, what)


def _written(name: str, args: tuple[Any, ...]) -> str:
    chosen = name == "__setitem__" and tensors(args[1])
    return "masked assignment" if chosen else name
