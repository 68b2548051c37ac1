"""Back-projection through a graph, as an explicit walk: the fast engine.

One forward pass (``record``) keeps the pooling switches and where each ReLU let its input through.
Each unit is then walked back on its own, box by box: it starts as the unit's filter, a 3 x 3 x 3
patch, and grows as its receptive field does. The result is the general engine's up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..listen import undisturbed
from ..precision import Precision
from ..report import RuleReport, refuse_plain
from ..rules import BackProjection, Rule
from .boxes import Part, covers, cut, union
from .graph import Graph, Place
from .record import Record, run, share
from .steps import Single, Walk


def walks(
    graph: Graph,
    x: Tensor,
    places: Sequence[Place],
    rule: Rule,
    *,
    precision: Precision = "float32",
    record: Record | None = None,
) -> Iterator[BackProjection]:
    """Back-project units, in order and lazily.

    Args:
        x: one clip (1, C, T, H, W).
        places: units with the levels they are in; positions may be None.
        precision: "bf16" rounds signals and weights on the way back; a preview. The forward pass
            and with it every switch stays as it is.
        record: of a pass over ``x`` that found the units, made so that ``rule`` may ask; None runs
            as many passes as are cheapest.
    """
    if record is None:
        together = share(graph, places)
        record = run(graph, x, together, asks=rule.asks_forward) if together else Record({})
    dtype = torch.bfloat16 if precision == "bf16" else x.dtype
    walk = Walk(rule, dtype, once=len(places) == 1)
    for place in places:
        found = place in record.found
        recorded = record if found else run(graph, x, [place], asks=rule.asks_forward)
        with undisturbed(x.device), torch.no_grad():
            back = walk_back(graph, x, place, recorded, walk)
        yield back


def walk_back(graph: Graph, x: Tensor, place: Place, record: Record, walk: Walk) -> BackProjection:
    """The back-projection of a unit that the recorded forward pass has found."""
    unit, activation = record.found[place]
    assert unit.at is not None
    report = _report(graph, place, walk.rule)
    seed = x.new_ones((), dtype=walk.dtype)
    start, signal = _start(graph, place[0], Single(seed, unit.channel, unit.at, activation), walk)
    signals = {start: signal}
    for level in range(start, 0, -1):
        if level not in signals:
            continue
        step, memo = graph.steps[level], record.memos.get(level)
        back = step.back(signals.pop(level), memo, walk)
        for below, part in zip(step.inputs, back, strict=True):
            signals[below] = _sum(signals[below], part) if below in signals else part
    values = x.new_zeros(x.shape[1:])
    arrived = signals[0].whole()
    values[cut(arrived.box, graph.full(0))] = arrived.values
    return BackProjection(values, unit, activation, report)


def _report(graph: Graph, place: Place, rule: Rule) -> RuleReport | None:
    """How many ReLUs lie on a unit's way; no other activation is a step."""
    if not rule.asks_backward:
        return None
    relus = sum(graph.steps[level].rectifies for level in graph.below(place[0]))
    if not relus:
        raise refuse_plain(rule.name, place[1].layer, ())
    return RuleReport(relus)


def _start(graph: Graph, level: int, single: Single, walk: Walk) -> tuple[int, Part]:
    """The signal of 1 at the unit, after the first steps back, which it makes as a mere number."""
    while level and len(graph.steps[level].inputs) == 1:
        step = graph.steps[level]
        back = step.back_single(single, walk)
        if back is None:
            break
        (level,) = step.inputs
        if isinstance(back, Part):
            return level, back
        single = back
    return level, single.spread(graph.steps[level].shape[0])


def _sum(first: Part, second: Part) -> Part:
    """The signal of a level that several steps read."""
    first, second = first.whole(), second.whole()
    for whole, part in ((first, second), (second, first)):
        if whole.fresh and covers(whole.box, part.box):
            whole.values[cut(part.box, whole.box)] += part.values
            return whole
    box = union(first.box, second.box)
    values = first.values.new_zeros(len(first.values), *(hi - lo for lo, hi in box))
    for part in (first, second):
        values[cut(part.box, box)] += part.values
    return Part(values, box, fresh=True)
