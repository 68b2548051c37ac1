"""What a check found, in one small file, and the lines of it that stand beside a map."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ..errors import VizError
from ..files import read_json
from ..nets import fingerprint
from .judge import Judged

SHIPPED = Path(__file__).with_name("facts")
_MOST = 5000  # characters of a line that is shown


def facts_of(judged: Judged, about: Mapping[str, Any]) -> dict[str, Any]:
    """What a reader of maps needs of a check: JSON by layer and method."""
    return {
        "model": about["model"],
        "weights": about["weights"],
        "fingerprint": about["fingerprint"],
        "valid": judged.valid,
        "clips": len(about["cases"]),
        "lines": {
            layer: {m: list(judged.sentences[layer, m]) for m in judged.methods}
            for layer in judged.layers
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
        ],
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


@functools.lru_cache(maxsize=8)
def shipped_facts(model: str) -> dict[str, Any] | None:
    """The facts that ship for a network's name; None where there are none."""
    return read_json(SHIPPED / f"{model}.json") if model.isidentifier() or "-" in model else None


def read_facts(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The facts.json of a check.

    Raises:
        VizError: it is no such file.
    """
    facts = read_json(path)
    try:
        assert facts is not None
        for methods in facts["lines"].values():
            for lines in methods.values():
                assert all(isinstance(line, str) and len(line) < _MOST for line in lines)
        assert isinstance(facts["fingerprint"], str)
    except (AssertionError, AttributeError, KeyError, TypeError):
        raise VizError(f"{path} is no facts.json of c3d-viz check; run the check again") from None
    return facts


def shipped_lines(
    model: nn.Module, name: str, layers: Iterable[str], methods: Iterable[str]
) -> dict[str, dict[str, list[str]]]:
    """``believed`` of a network by its name: the facts that ship count for its weights alone."""
    facts = shipped_facts(name)
    if facts is None:
        return {}
    mark, found = fingerprint(model), dict[str, dict[str, list[str]]]()
    for layer in layers:
        lines = {method: list(believed(facts, mark, layer, method)) for method in methods}
        if any(lines.values()):
            found[layer] = {method: said for method, said in lines.items() if said}
    return found


def believed(
    facts: Mapping[str, Any] | None, fingerprint: str, layer: str, method: str
) -> tuple[str, ...]:
    """The lines that stand beside a map of a layer and method; none where nothing was measured.

    A layer that was not checked gets the lines of the last one that was, and they say so.
    """
    if facts is None or facts["fingerprint"] != fingerprint:
        return ()
    lines = facts["lines"]
    if layer in lines:
        return tuple(lines[layer].get(method, ()))
    last = list(lines)[-1]
    return tuple(f"{line} (measured at {last})" for line in lines[last].get(method, ()))
