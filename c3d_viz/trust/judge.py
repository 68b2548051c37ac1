"""From numbers to intervals and sentences, by the rule of docs/trust.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..stats import Interval, bootstrap
from .baselines import BASELINES
from .controls import ControlResult

KEPT = 0.5  # Spearman under random weights from which a map "changes little"
ENOUGH = 5  # source videos with masks, before the frame difference is spoken of


class Measured(Protocol):
    """What is read of a row."""

    @property
    def source(self) -> str: ...
    @property
    def case(self) -> str: ...
    @property
    def synthetic(self) -> bool: ...
    @property
    def layer(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def value(self) -> float: ...


@dataclass(frozen=True)
class Summary:
    """A metric of a method at a layer.

    Attributes:
        clips: "all", "real" or "synthetic": which the mean is over.
        over: name of the baseline that is taken off, pair by pair; "" for the number itself.
    """

    layer: str
    method: str
    metric: str
    clips: str
    over: str
    interval: Interval


@dataclass(frozen=True)
class Judged:
    """What a check found.

    Attributes:
        summaries: every mean with its interval.
        sentences: (layer, method) -> lines for people, the rule's words.
        short: the same in one line.
        controls: the positive controls; ``valid`` is whether all came out right.
        refusals: (layer, method) -> why a method gave no map, where it gave none.
    """

    layers: tuple[str, ...]
    methods: tuple[str, ...]
    summaries: tuple[Summary, ...]
    sentences: dict[tuple[str, str], tuple[str, ...]]
    short: dict[tuple[str, str], str]
    controls: tuple[ControlResult, ...]
    refusals: dict[tuple[str, str], str]

    @property
    def valid(self) -> bool:
        return all(control.right for control in self.controls)

    def said(self, layer: str, method: str) -> tuple[str, ...]:
        """The sentences; where the rule has none, a line that says why."""
        if lines := self.sentences[layer, method]:
            return lines
        about = (s for s in self.summaries if (s.layer, s.method) == (layer, method))
        if any(not math.isnan(s.interval.value) for s in about):
            return ("measured, but on too little for a sentence of the rule: see the numbers",)
        return (self.refusals.get((layer, method), "nothing could be measured"),)

    def find(
        self, layer: str, method: str, metric: str, clips: str = "all", over: str = ""
    ) -> Interval | None:
        """One of the summaries; None where it was not measured."""
        key = (layer, method, metric, clips, over)
        for s in self.summaries:
            if (s.layer, s.method, s.metric, s.clips, s.over) == key:
                return s.interval
        return None


# metric -> baselines it is compared with
_AGAINST = {
    "iou": ("frame difference", "optical flow", "random", "centre", "edges"),
    "share inside": ("frame difference", "random"),
    "faithfulness grey": ("random", "frame difference"),
    "faithfulness blurred": ("random", "frame difference"),
    "faithfulness neighbour": ("random", "frame difference"),
}


def judge(
    rows: Sequence[Measured],
    methods: Sequence[str],
    layers: Sequence[str],
    controls: Sequence[ControlResult],
) -> Judged:
    """Means over source videos, differences from baselines, and what the rule says of them."""
    table: dict[tuple[str, str, str], dict[str, Measured]] = {}
    for row in rows:
        table.setdefault((row.layer, row.method, row.metric), {})[row.case] = row
    summaries = []
    for (layer, method, metric), found in table.items():
        for clips in ("all", "real", "synthetic"):
            chosen = {c: r for c, r in found.items() if clips in ("all", _kind(r))}
            if not chosen:
                continue
            summaries.append(
                Summary(layer, method, metric, clips, "", _mean(chosen, dict.fromkeys(chosen, 0.0)))
            )
            for base in _AGAINST.get(metric, ()) if method not in BASELINES else ():
                others = table.get((layer, base, metric), {})
                if others:
                    off = {c: others[c].value if c in others else math.nan for c in chosen}
                    summaries.append(
                        Summary(layer, method, metric, clips, base, _mean(chosen, off))
                    )
    judged = Judged(tuple(layers), tuple(methods), tuple(summaries), {}, {}, tuple(controls), {})
    for layer in layers:
        for method in methods:
            said = _sentences(judged, layer, method)
            judged.sentences[layer, method] = tuple(line for line, _ in said)
            judged.short[layer, method] = "; ".join(short for _, short in said if short)
    for row in rows:
        why = getattr(row, "why", "")
        if why:
            judged.refusals.setdefault((row.layer, row.method), why)
    return judged


def _kind(row: Measured) -> str:
    return "synthetic" if row.synthetic else "real"


def _mean(chosen: dict[str, Measured], off: dict[str, float]) -> Interval:
    values = [row.value - off[case] for case, row in chosen.items()]
    return bootstrap(values, [row.source for row in chosen.values()])


def _sentences(judged: Judged, layer: str, method: str) -> list[tuple[str, str]]:
    """Each sentence of the rule, and what is left of it where there is room for one line."""
    lines = []
    left = judged.find(layer, method, "cascade")
    if left is not None and not math.isnan(left.value):
        little = "changes little" if left.value >= KEPT else "changes"
        short = f"{little} when the weights are random: {left.value:z.2f}"
        line = f"{short} of 1 is left"
        apart = judged.find(layer, method, "cascade beyond paths")
        if apart is not None and not math.isnan(apart.value):
            line += f" ({apart.value:z.2f} beyond what all networks of its shape share)"
        lines.append((line, short))
    real = False
    for clips in ("real", "synthetic"):
        beyond = judged.find(layer, method, "iou", clips, "frame difference")
        if beyond is not None and beyond.clusters >= ENOUGH:
            on = f"on {beyond.clusters} {clips} clips"
            if beyond.low > 0:
                line = short = f"finds the moving object better than a frame difference {on}"
            else:
                line = f"no better than a frame difference at finding the moving object {on}"
                short = f"no better than a frame difference {on}"
            lines.append((line, "" if real else short))  # real clips speak where there is one line
            real = True
    faith = judged.find(layer, method, "faithfulness grey", "all", "random")
    if faith is not None and not math.isnan(faith.low):  # one clip has no interval
        more = "more" if faith.low > 0 else "no more"
        line = f"the pixels it marks matter {more} than random ones ({faith.value:+z.2f})"
        lines.append((line, f"its pixels matter {more} than random ones"))
    return lines
