"""A forward pass over the cells that units depend on, which keeps what walks back need.

It keeps which cell each pooling took, as one or two bytes a cell, and for rules that ask where
each ReLU was open: no activations and no autograd graph. Large levels below a pooling are made a
few frames at a time, so that convolution, ReLU and pooling meet in the processor's cache and the
level as a whole never exists. Every value has the model's own bits (``exact``), so that neither
maps nor activations depend on what else is asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ..listen import undisturbed
from ..units import Unit, locate
from .boxes import Box, Part, cell, cut, union
from .graph import Graph, Place
from .pooling import CACHED, MaxPool
from .steps import Call, Memo


@dataclass
class Record:
    """What a forward pass leaves.

    Attributes:
        boxes: the cells that were computed, per level.
        memos: what steps kept, per level.
        found: per unit that was asked for, the unit with its position, and its activation.
    """

    boxes: Mapping[int, Box]
    memos: dict[int, Memo] = field(default_factory=dict)
    found: dict[Place, tuple[Unit, float]] = field(default_factory=dict)

    def find(self, place: Place, part: Part) -> None:
        """Note a unit that lies in a part of its level, by its place with and without position."""
        level, unit = place
        if unit.at is None:
            unit = locate(part.values, unit)
        assert unit.at is not None
        activation = float(part.of(cell(unit.at))[unit.channel].reshape(()))
        self.found[place] = self.found[level, unit] = unit, activation


def run(graph: Graph, x: Tensor, places: Sequence[Place], *, asks: bool) -> Record:
    """One pass over the cells that the units depend on.

    Args:
        x: one clip (1, C, T, H, W).
        places: units with the levels they are in; positions may be None.
        asks: whether a rule will ask where ReLUs let their input through.
    """
    with undisturbed(x.device), torch.no_grad():
        return _Run(graph, x, places, asks).record


def recalled(
    graph: Graph, activations: Mapping[int, Tensor], places: Sequence[Place], *, asks: bool
) -> Record | None:
    """The record of a pass over the whole clip, from the activations that it left.

    Args:
        activations: (C, ...) by level.

    Returns:
        None where an activation is missing that a step's decisions hang on.
    """
    if not places:
        return Record({})
    record = Record({level: graph.full(level) for level in range(len(graph.steps))})
    targets = {level: graph.full(level) for level, _ in places}
    with torch.inference_mode(False), torch.no_grad():
        for level in graph.boxes(targets):
            step = graph.steps[level]
            if not step.decides(asks):
                continue
            below = step.inputs[0]
            if below not in activations and step.rectifies:
                below = level  # a ReLU decides of its own output as of its input
            if below not in activations:
                return None
            # poolings run again: that takes little, and switches are as large as activations
            part = Part(activations[below], graph.full(below))
            _, memo = step.forward(Call([part], graph.full(level), asks))
            if memo is not None:
                record.memos[level] = memo
    for place in places:
        record.find(place, Part(activations[place[0]], graph.full(place[0])))
    return record


def share(graph: Graph, places: Sequence[Place]) -> list[Place]:
    """The units that should share one pass; each other one gets a pass of its own.

    A unit of a shallow layer sees so little of the clip that a pass over its receptive field
    alone is cheaper than its part in a pass over everybody's. Taken is the split, among those
    that put the cheapest units alone, with the fewest multiply-adds.
    """

    def cost_of(targets: Mapping[int, Box]) -> int:
        return graph.cost(graph.boxes(targets, exact=True))

    alone = {place: cost_of({place[0]: target_box(graph, place)}) for place in places}
    ordered = sorted(alone, key=lambda place: alone[place], reverse=True)  # the dearest first
    best, best_cost, targets = 0, sum(alone.values()), dict[int, Box]()
    rest = best_cost
    for number, place in enumerate(ordered, start=1):
        _add(targets, place[0], target_box(graph, place))
        rest -= alone[place]
        cost = cost_of(targets) + rest
        if cost <= best_cost:
            best, best_cost = number, cost
    return ordered[:best]


def target_box(graph: Graph, place: Place) -> Box:
    """The unit's cell, or its whole level where the strongest position is still to be found."""
    level, unit = place
    return graph.full(level) if unit.at is None else cell(unit.at)


def _add(targets: dict[int, Box], level: int, box: Box) -> None:
    targets[level] = union(targets[level], box) if level in targets else box


class _Pieces(NamedTuple):
    """A pooling that is made with what lies below it, some of its frames at a time."""

    levels: tuple[int, ...]  # a convolution, and the ReLU where there is one
    frames: int


class _Run:
    def __init__(self, graph: Graph, x: Tensor, places: Sequence[Place], asks: bool) -> None:
        self._graph, self._x, self._places, self._asks = graph, x, places, asks
        targets: dict[int, Box] = {}
        for place in places:
            _add(targets, place[0], target_box(graph, place))
        self.record = Record(graph.boxes(targets, exact=True))
        self._values: dict[int, Part] = {}
        boxes = self.record.boxes
        self._unread = Counter(below for level in boxes for below in graph.steps[level].inputs)
        pieces = {pool: found for pool in boxes if (found := self._pieces(pool)) is not None}
        later = {level for found in pieces.values() for level in found.levels}
        for level, box in boxes.items():
            if level in later:
                continue
            if level in pieces:
                values = self._in_pieces(level, pieces[level])
            else:
                values = self._whole(level, box)
            self._values[level] = Part(values, box)
            self._look(level, self._values[level])

    def _whole(self, level: int, box: Box) -> Tensor:
        step = self._graph.steps[level]
        if not step.inputs:
            return self._x[0][cut(box, self._graph.full(level))]
        owned = all(self._owned(below) for below in step.inputs)
        inputs = [self._read(below) for below in step.inputs]
        values, memo = step.forward(Call(inputs, box, self._asks, owned))
        self._keep(level, memo)
        return values

    def _read(self, level: int) -> Part:
        """The values of a level, which are let go with the last reader."""
        self._unread[level] -= 1
        return self._values[level] if self._unread[level] else self._values.pop(level)

    def _owned(self, level: int) -> bool:
        """Whether one step alone is still to read the level, and no other level is a view of it."""
        held = [self._x, *(part.values for part in self._values.values())]
        stored = self._values[level].values.untyped_storage().data_ptr()
        alone = sum(values.untyped_storage().data_ptr() == stored for values in held) == 1
        return alone and self._unread[level] == 1

    def _keep(self, level: int, memo: Memo | None) -> None:
        if memo is not None:
            self.record.memos[level] = memo

    def _look(self, level: int, part: Part) -> None:
        """Find the units that lie in a part of a level."""
        for place in self._places:
            at = place[1].at
            if place[0] == level and (
                at is None or all(lo <= i < hi for i, (lo, hi) in zip(at, part.box, strict=True))
            ):
                self.record.find(place, part)

    def _pieces(self, pool: int) -> _Pieces | None:
        """How a pooling is made in pieces; None where it is made at once."""
        graph, boxes = self._graph, self.record.boxes
        step = graph.steps[pool]
        if not step.joins_frames:
            return None
        levels = list(step.inputs)
        if graph.steps[levels[0]].rectifies:
            levels = [*graph.steps[levels[0]].inputs, *levels]
        conv = graph.steps[levels[0]]
        if not conv.in_parts or any(self._unread[level] != 1 for level in levels):
            return None
        if any(level in levels and unit.at is None for level, unit in self._places):
            return None  # the strongest cell of a level is looked for in the whole of it
        (needed,) = step.needed(boxes[pool])
        if any(boxes[level] != needed for level in levels):
            return None  # a unit in between asks for cells that no window covers
        window = step.strides[0]  # the frames of a window
        frame = conv.shape[0] * window
        for lo, hi in needed[1:]:
            frame *= hi - lo
        frames = max(1, CACHED // frame)
        least = ((needed[0][0], needed[0][0] + 1), *needed[1:])
        if frames >= boxes[pool][0][1] - boxes[pool][0][0] or conv.exact(least) != least:
            return None
        return _Pieces(tuple(levels), frames)

    def _in_pieces(self, pool: int, pieces: _Pieces) -> Tensor:
        """Convolution, ReLU and pooling, a few frames at a time; the pooled level."""
        steps = self._graph.steps
        step = steps[pool]
        assert isinstance(step, MaxPool)
        below = self._read(steps[pieces.levels[0]].inputs[0])
        (first, last), *sides = self.record.boxes[pool]
        pooled: list[Tensor] = []
        memos: list[Memo] = []
        for start in range(first, last, pieces.frames):
            box: Box = ((start, min(start + pieces.frames, last)), *sides)
            (needed,) = step.needed(box)
            part = below
            for level in pieces.levels:
                values, _ = steps[level].forward(Call([part], needed, owned=part is not below))
                part = Part(values, needed)
                self._look(level, part)
            values, memo = step.forward(Call([part], box))
            pooled.append(values)
            memos += [memo] if memo is not None else []
        whole = torch.cat(pooled, dim=1)
        self._keep(pool, step.joined(whole, memos, asks=self._asks))
        return whole
