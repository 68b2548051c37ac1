"""The settings of a method: numbers and words with a range, checked where they are given.

A method's settings are a frozen dataclass whose fields are made by ``setting``; the same fields
read what a command line says, print it again, and stand in an export's manifest.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ..errors import ShapeError, VizError
from ..nets import nearest


def setting(
    default: Any,
    what: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field of ``Settings``: a whole number, a number, a word, or several whole numbers.

    Args:
        default: its kind is the kind of what may be given.
        what: it does, in a few words.
        low, high: bounds of every number, included.
        choices: the words there are; none means any.
    """
    bounds = {"what": what, "low": low, "high": high, "choices": choices}
    return dataclasses.field(default=default, metadata=bounds)


@dataclass(frozen=True)
class Settings:
    """Base of every method's settings.

    Raises:
        VizError: a value of another kind, or out of range.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = _checked(field, getattr(self, field.name))
            object.__setattr__(self, field.name, value)

    @classmethod
    def of(cls, method: str, given: Mapping[str, object]) -> Self:
        """The settings with the values given by name; texts are read as the command line's.

        Raises:
            VizError: no such setting (names the nearest), or a value that does not fit.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in given:
            if name not in known:
                raise VizError(f"{method} has no setting {str(name)!r}; it has "
                               f"{nearest(str(name), known)}")  # fmt: skip
        kinds = {field.name: field.default for field in dataclasses.fields(cls)}
        try:
            return cls(**{n: _read(kinds[n], v) for n, v in given.items()})
        except VizError as error:
            raise VizError(f"{method}.{error}") from None

    def check_clip(self, shape: tuple[int, ...]) -> None:
        """Refuse what a clip of (T, H, W) has no room for; called before any work is done.

        Raises:
            VizError: a value does not fit; mostly all do.
        """

    def to_json(self) -> dict[str, object]:
        """Every value by name, those left at their default too; tuples as lists."""
        values = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def __str__(self) -> str:
        """All of them in words, those left at their default too: "steps 32, baseline mean"."""
        given = (
            (field.name, _written(getattr(self, field.name))) for field in dataclasses.fields(self)
        )
        return ", ".join(f"{name} {value}" for name, value in given if value)

    def words(self, method: str) -> tuple[str, ...]:
        """``method.name=value`` of each value that is not the default, for a command line."""
        return tuple(
            f"{method}.{field.name}={_written(getattr(self, field.name))}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        )


def check_in_time(method: str, shape: tuple[int, ...]) -> None:
    """Refuse a clip that is not (T, H, W) beside its batch and channels.

    Raises:
        ShapeError: it has another number of dimensions.
    """
    if len(shape) != 3:
        raise ShapeError(
            f"{method} covers frames, rows and columns: x must be (1, C, T, H, W), got "
            f"{len(shape) + 2} dimensions"
        )


def described(settings: type[Settings]) -> list[str]:
    """``name=default: what it does (what is allowed)`` of each setting."""
    return [
        f"{field.name}={_written(field.default)}: {field.metadata['what']} ({_allowed(field)})"
        for field in dataclasses.fields(settings)
    ]


def _read(default: object, value: object) -> object:
    """A text as the kind of the default; what cannot be read is left for the check to refuse."""
    if not isinstance(value, str) or isinstance(default, str) or not value.isascii():
        return value  # int() would take digits of any script
    try:
        if isinstance(default, tuple):
            return tuple(int(part) for part in value.split(","))
        return int(value) if isinstance(default, int) else float(value)
    except ValueError:
        return value


def _written(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _checked(field: dataclasses.Field[Any], value: Any) -> Any:
    kind, limits = type(field.default), field.metadata
    if isinstance(value, list):
        value = tuple(value)
    if kind is float and type(value) is int:
        value = float(value)
    parts = value if kind is tuple and type(value) is tuple else (value,)
    fits = type(value) is kind and len(parts) == _length(field.default)
    if kind is str:
        fits = fits and (not limits["choices"] or value in limits["choices"])
    else:
        of = float if kind is float else int
        low, high = limits["low"], limits["high"]
        fits = fits and all(
            type(part) is of
            and math.isfinite(part)
            and (low is None or part >= low)
            and (high is None or part <= high)
            for part in parts
        )
    if not fits:
        raise VizError(f"{field.name} takes {_allowed(field)}, got {value!r}")
    return value


def _allowed(field: dataclasses.Field[Any]) -> str:
    limits, default = field.metadata, field.default
    if isinstance(default, str):
        return "one of " + ", ".join(limits["choices"]) if limits["choices"] else "a name"
    kinds = {int: "a whole number", float: "a number"}
    kind = kinds.get(type(default)) or f"{_length(default)} whole numbers as in {_written(default)}"
    low, high = limits["low"], limits["high"]
    if low is None or high is None:
        return kind if low is None else f"{kind} from {low:g} up"
    return f"{kind} from {low:g} to {high:g}"


def _length(default: object) -> int:
    return len(default) if isinstance(default, tuple) else 1
