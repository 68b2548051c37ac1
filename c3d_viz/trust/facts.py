"""What a check found, in one small file, and the lines of it that stand beside a map."""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from ..errors import VizError
from ..files import read_json
from ..nets import fingerprint, unwrapped
from .judge import Judged

SCHEMA = 1
SHIPPED = Path(__file__).with_name("facts")
_MOST = {"layers": 2000, "methods": 100, "lines": 10, "characters": 300}
# what the sentences speak of: (metric, clips, over); all the rest stands in result.json
_TOLD = (
    ("cascade", "all", ""),
    ("cascade beyond paths", "all", ""),
    ("iou", "real", "frame difference"),
    ("iou", "synthetic", "frame difference"),
    ("faithfulness grey", "all", "random"),
)


@dataclass(frozen=True)
class Facts:
    """What was found of one network.

    Attributes:
        model: its name. fingerprint: of its weights, ``nets.fingerprint``.
        lines: layer -> method -> sentences, by the rule of docs/trust.md.
        short: layer -> method -> the same in one line.
        order: names of the network's layers, each after what it is made of; empty until ``of``.
    """

    model: str
    fingerprint: str
    lines: Mapping[str, Mapping[str, tuple[str, ...]]]
    short: Mapping[str, Mapping[str, str]]
    order: tuple[str, ...] = ()

    def of(self, model: nn.Module) -> Facts | None:
        """The same with the order of the network's layers; None where it is another network."""
        if fingerprint(model) != self.fingerprint:
            return None
        return replace(self, order=tuple(_in_order(unwrapped(model))))

    def about(self, layer: str, method: str) -> tuple[str, ...]:
        """The sentences that stand beside a map; none where nothing was measured.

        A layer that was not checked gets those of the nearest one that was, and they say so.
        """
        at, where = self._at(layer)
        return tuple(f"{line}{where}" for line in self.lines.get(at, {}).get(method, ()))

    def briefly(self, layer: str, method: str) -> str:
        """``about`` in one line; empty where nothing was measured."""
        at, where = self._at(layer)
        said = self.short.get(at, {}).get(method, "")
        return said and f"{said}{where}"

    def _at(self, layer: str) -> tuple[str, str]:
        if layer in self.lines or not self.lines:
            return layer, ""
        place = {name: number for number, name in enumerate(self.order)}
        known = [name for name in self.lines if name in place]
        if layer not in place or len(known) < 2:
            last = list(self.lines)[-1]
            return last, f" (measured at {last})"
        # of two as near the later one
        near = min(known, key=lambda name: (abs(place[name] - place[layer]), -place[name]))
        return near, f" (measured at {near}, the nearest layer that was)"


def _in_order(module: nn.Module, name: str = "") -> Iterator[str]:
    """Names of a module's parts, each after its own: where in the network its output is had."""
    for child, part in module.named_children():
        full = f"{name}.{child}" if name else child
        yield from _in_order(part, full)
        yield full


def facts_of(judged: Judged, about: Mapping[str, Any]) -> dict[str, Any]:
    """What a reader of maps needs of a check, as JSON; ``read_facts`` reads it again."""
    return {
        "schema": SCHEMA,
        "model": about["model"],
        "weights": about["weights"],
        "fingerprint": about["fingerprint"],
        "valid": judged.valid,
        "clips": len(about["cases"]),
        "lines": {
            layer: {m: list(judged.sentences[layer, m]) for m in judged.methods}
            for layer in judged.layers
        },
        "short": {
            layer: {m: judged.short[layer, m] for m in judged.methods} for layer in judged.layers
        },
        "numbers": [
            {
                **{k: getattr(s, k) for k in ("layer", "method", "metric", "clips", "over")},
                "value": _number(s.interval.value),
                "low": _number(s.interval.low),
                "high": _number(s.interval.high),
                "videos": s.interval.clusters,
            }
            for s in judged.summaries
            if (s.metric, s.clips, s.over) in _TOLD and s.method in judged.methods
        ],
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


@functools.lru_cache(maxsize=8)
def shipped_facts(model: str) -> Facts | None:
    """The facts that ship for a network's name; None where there are none."""
    path = SHIPPED / f"{model}.json"
    return read_facts(path) if re.fullmatch(r"[\w-]+", model) and path.is_file() else None


def read_facts(path: str | os.PathLike[str]) -> Facts:
    """The facts.json of a check, which may come from anybody.

    Raises:
        VizError: it is no such file, or the check was invalid.
    """
    found = read_json(path)
    if found is None:
        raise VizError(f"{path} does not exist; c3d-viz check CLIPS... -o DIR writes facts.json")
    damage = _damage(found)
    if damage:
        raise VizError(f"{path} is no facts.json of c3d-viz check ({damage}); run the check again")
    if not found["valid"]:
        raise VizError(
            f"{path} is of a check whose positive controls came out wrong; run the check again"
        )
    return Facts(
        found["model"],
        found["fingerprint"],
        {at: {m: tuple(said) for m, said in by.items()} for at, by in found["lines"].items()},
        found["short"],
    )


def facts_for(
    model: nn.Module, name: str, given: str | os.PathLike[str] | None = None
) -> Facts | None:
    """What was found of a network; None where nothing was.

    Args:
        name: of the network; facts ship for some, and count for their weights alone.
        given: the facts.json of a check, in place of what ships.

    Raises:
        VizError: the file cannot be used, or is of another network.
    """
    if given is None:
        shipped = shipped_facts(name)
        return shipped and shipped.of(model)
    read = read_facts(given)
    facts = read.of(model)
    if facts is None:
        raise VizError(
            f"{given} is of another network, {read.model} with other weights than those of this "
            f"{name}; check this one: c3d-viz check CLIPS... -o DIR"
        )
    return facts


def lines_beside(
    facts: Facts | None, layers: Iterable[str], methods: Iterable[str]
) -> dict[str, dict[str, list[str]]]:
    """layer -> method -> what stands beside its maps; without those of which nothing is known."""
    if facts is None:
        return {}
    wanted = list(methods)
    found = {
        layer: {m: list(lines) for m in wanted if (lines := facts.about(layer, m))}
        for layer in layers
    }
    return {layer: said for layer, said in found.items() if said}


def _damage(found: Mapping[str, Any]) -> str:
    """What keeps JSON from being facts; empty where nothing does."""
    if found.get("schema") != SCHEMA:
        return f"its schema is not {SCHEMA}"
    if not (isinstance(found.get("valid"), bool) and _is_line(found.get("model"))):
        return "valid or model is missing"
    mark = found.get("fingerprint")
    if not (isinstance(mark, str) and re.fullmatch(r"[0-9a-f]{64}", mark)):
        return "its fingerprint is no SHA-256"
    for name, fits in (("lines", _are_lines), ("short", _is_line)):
        layers = found.get(name)
        if not _is_table(layers, "layers"):
            return f"{name} is no table of layers"
        for methods in layers.values():  # type: ignore[union-attr]
            if not (_is_table(methods, "methods") and all(map(fits, methods.values()))):
                return f"{name} holds something else than lines of text"
    return ""


def _is_table(value: object, most: str) -> bool:
    return isinstance(value, dict) and len(value) <= _MOST[most] and all(map(_is_line, value))


def _is_line(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MOST["characters"] and value.isprintable()


def _are_lines(value: object) -> bool:
    return isinstance(value, list) and len(value) <= _MOST["lines"] and all(map(_is_line, value))
