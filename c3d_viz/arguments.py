"""Arguments of the public functions, held against their annotations: one check for all of them."""

from __future__ import annotations

import functools
import inspect
import math
import numbers
import operator
import os
import reprlib
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import numpy as np

from .errors import VizError

_F = TypeVar("_F", bound=Callable[..., Any])
_LISTS = (Sequence, Iterable, list, tuple)
_MAPPINGS = (Mapping, dict)
MAX_SEED = 2**31 - 1  # what is counted up from a multiple of it still has 64 bits


def check_seed(seed: int, error: type[VizError] = VizError) -> None:
    """Refuse, before any work, a seed that not everything that draws by it can carry.

    Raises:
        VizError: ``error``, where it is not 0 to ``MAX_SEED``.
    """
    if not 0 <= seed <= MAX_SEED:
        raise error(f"seed must be 0 to {MAX_SEED}, got {given(seed)}")


def checked(error: type[VizError], *own: str) -> Callable[[_F], _F]:
    """A function whose arguments are held against its annotations at each call.

    Numbers may be of numpy, and whole ones, of 64 bits at most, stand for a float too; True, False,
    NaN and infinities are no numbers. Missing or unknown arguments are Python's own error.

    Args:
        error: what the function raises for an argument of the wrong kind.
        own: arguments that the function checks itself, with better words.
    """

    def decorate(function: _F) -> _F:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:
                return function(*args, **kwargs)
            passed, kinds = bound.arguments, _kinds(function)
            for name in [name for name in passed if name in kinds and name not in own]:
                if get_origin(kinds[name]) is Iterable and isinstance(passed[name], Iterator | Set):
                    passed[name] = list(passed[name])  # an iterator is spent by looking
                _check(error, function.__qualname__, name, passed[name], kinds[name])
            return function(*bound.args, **bound.kwargs)

        return call  # type: ignore[return-value]

    return decorate


def check_fields(instance: Any, error: type[VizError]) -> None:
    """Hold a dataclass's fields against their annotations, as ``checked`` does arguments."""
    kind: Any = type(instance)
    for name, wanted in _kinds(kind).items():
        _check(error, kind.__name__, name, getattr(instance, name), wanted)


@functools.cache
def _kinds(owner: Any) -> dict[str, Any]:
    """The annotations by name, evaluated when first asked for, as no module is half imported then.

    Not ``typing.get_type_hints``: what a function returns may be known to type checkers only.
    """
    names = vars(inspect.getmodule(owner))
    return {
        name: eval(text, names) if isinstance(text, str) else text
        for name, text in inspect.get_annotations(owner).items()
        if name != "return"
    }


def _check(error: type[VizError], of: str, name: str, value: object, kind: Any) -> None:
    if not _fits(value, kind):
        raise error(f"{of}: {name} must be {_named(kind)}, got {given(value)}")


def _parts(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """Origin and arguments of a generic kind; an alias (NumPy 2.5's NDArray) is seen through."""
    origin, inner = get_origin(kind), get_args(kind)
    alias = kind if origin is None else origin
    return _parts(alias.__value__) if hasattr(alias, "__value__") else (origin, inner)


def _fits(value: Any, kind: Any) -> bool:
    origin, inner = _parts(kind)
    if kind is Any:
        return True
    if kind is None:
        return value is None
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if origin is Callable:
        return callable(value)
    if origin is os.PathLike:
        return isinstance(value, os.PathLike) and isinstance(os.fspath(value), str)
    if origin in _MAPPINGS:
        return isinstance(value, Mapping)
    if origin in _LISTS:
        rows = isinstance(value, np.ndarray) and value.ndim
        if isinstance(value, str | bytes) or not (rows or isinstance(value, Sequence)):
            return False
        if origin is tuple and inner[-1] is not Ellipsis:
            return len(value) == len(inner) and all(map(_fits, value, inner))
        return all(_fits(one, inner[0]) for one in value)
    if kind is bool:
        return isinstance(value, bool | np.bool_)
    if kind in (int, float) and isinstance(value, bool | np.bool_):
        return False
    if kind is int:
        return _answers(lambda number: abs(operator.index(number)) < 2**64, value)
    if kind is float:
        return isinstance(value, numbers.Real) and _answers(math.isfinite, value)
    return isinstance(value, origin or kind)


def _answers(question: Callable[[Any], Any], value: object) -> bool:
    try:
        return question(value) is not False
    except (TypeError, OverflowError):
        return False


def _named(kind: Any) -> str:
    """A kind for people: "a list of str, or None"."""
    origin, inner = _parts(kind)
    if origin in (Union, types.UnionType):
        names = [_named(one) for one in inner]
        return f"{', '.join(names[:-1])} or {names[-1]}"
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin is tuple and inner[-1] is not Ellipsis:
        return f"({', '.join(_named(one) for one in inner)})"
    if origin in _LISTS:
        return f"a list of {_named(inner[0]).removeprefix('a ').removeprefix('an ')}"
    if origin is Callable:
        return "a function"
    if origin is os.PathLike:
        return "a Path"
    words = {
        bool: "True or False",
        int: "a 64-bit whole number",
        float: "a finite number",
        str: "a string",
    }
    name = (origin or kind).__name__ if kind is not None else "None"
    return "None" if kind in (None, type(None)) else words.get(kind, f"a {name}")


def given(value: object) -> str:
    """A value for people: itself where it is a plain one, else its type."""
    if not isinstance(value, str | bytes | int | float | complex | list | tuple | dict | None):
        return f"a {type(value).__name__}"
    try:
        return reprlib.repr(value)
    except ValueError:  # more digits than Python turns into text
        return "a number of thousands of digits"
