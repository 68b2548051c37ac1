"""The chain engine's forward pass: only the cells that units depend on, only what walks back need.

It keeps which cell each pooling took, as one or two bytes a cell, and for rules that ask where
each ReLU was open: no activations and no autograd graph. Large levels below a pooling are made a
few frames at a time, so that convolution, ReLU and pooling meet in the processor's cache and the
level as a whole never exists. Every value has the model's own bits (``exact``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..rules import rule_named
from ..units import Unit, locate
from .boxes import Box, Chain, cut, union, window
from .exact import Backend, backend_of, enough
from .kernels import channels_last
from .signals import CACHED, Switches, conv_forward, conv_whole, joined, pool_forward


@dataclass
class Record:
    """What a forward pass leaves for the walks back. Everything is (C, cells of the level's box).

    Attributes:
        boxes: the cells that were computed, per level.
        passed: per level that is the output of a ReLU, bool, where it let its input through; or
            per level of a pooling that follows a ReLU, where the cell it took had been let
            through (its value is positive). Empty for a rule that does not ask.
        switches: per level that is the output of a pooling.
        found: per target level and unit, the unit with its position, and its activation.
    """

    boxes: Sequence[Box]
    passed: dict[int, Tensor] = field(default_factory=dict)
    switches: dict[int, Switches] = field(default_factory=dict)
    found: dict[tuple[int, Unit], tuple[Unit, float]] = field(default_factory=dict)


class Forward:
    """Forward passes of one chain under one rule.

    Args:
        like: a tensor of the clip's device and dtype.
    """

    def __init__(self, chain: Chain, rule: str, like: Tensor) -> None:
        self._chain = chain
        self._asks = rule_named(rule).asks_forward
        self._deciding: tuple[type[nn.Module], ...] = (nn.MaxPool3d,)
        if self._asks:
            self._deciding += (nn.ReLU,)
        self._backends: dict[int, Backend | None] = {
            level: backend_of(step, chain.shapes[level - 1][1:], like)
            for level, step in enumerate(chain.steps, start=1)
            if isinstance(step, nn.Conv3d)
        }

    def boxes(self, targets: dict[int, Box]) -> list[Box]:
        """Per level, the cells that a pass for ``targets`` computes."""
        return self._chain.boxes(targets, deciding=self._deciding, exact=self._exact)

    def _exact(self, level: int, box: Box) -> bool:
        """Whether the step that makes ``level`` has the model's bits when it makes ``box`` only."""
        if level not in self._backends:
            return level == 0 or not isinstance(self._chain.steps[level - 1], nn.Linear)
        backend = self._backends[level]
        return backend is not None and enough(backend, box)

    def share(
        self, units: Sequence[tuple[int, Unit]]
    ) -> tuple[list[tuple[int, Unit]], set[tuple[int, Unit]]]:
        """Split units into those that share one pass and those that get one of their own.

        A unit of a shallow layer sees so little of the clip that a pass over its field alone is
        cheaper than its part in a pass over everybody's. Taken is the split, among those that put
        the cheapest units alone, with the fewest multiply-adds.
        """

        def cost_of(targets: dict[int, Box]) -> int:
            return self._chain.cost(self.boxes(targets))

        own = {key: cost_of({key[0]: target_box(self._chain, *key)}) for key in units}
        ordered = sorted(own, key=lambda key: own[key], reverse=True)  # the dearest first
        best, best_cost, taken = 0, sum(own.values()), dict[int, Box]()
        rest = best_cost
        for number, key in enumerate(ordered, start=1):
            box = target_box(self._chain, *key)
            taken[key[0]] = union([taken[key[0]], box]) if key[0] in taken else box
            rest -= own[key]
            cost = cost_of(taken) + rest
            if cost <= best_cost:
                best, best_cost = number, cost
        return ordered[:best], set(ordered[best:])

    def run(self, x: Tensor, units: Sequence[tuple[int, Unit]]) -> Record:
        """One pass over the cells that ``units`` depend on, with what walks back need."""
        chain, targets = self._chain, dict[int, Box]()
        for level, unit in units:
            box = target_box(chain, level, unit)
            targets[level] = union([targets[level], box]) if level in targets else box
        record = Record(self.boxes(targets))
        values = x[0][cut(record.boxes[0], chain.full(0))]
        for key in units:
            if key[0] == 0:
                record.found[key] = _find(values, record.boxes[0], key[1])
        level = 0
        owned = False  # whether ``values`` may be overwritten: the caller's clip may not
        while level + 1 < len(record.boxes):
            pool = self._pool_above(record, level + 1, units)
            if pool is not None:
                values = self._in_pieces(record, level + 1, pool, values, units)
                level, owned = pool, True
            else:
                level += 1
                values = self._step(record, level, values, owned)
                step = chain.steps[level - 1]
                owned = owned or isinstance(step, nn.Conv3d | nn.MaxPool3d | nn.Linear)
            for key in units:
                if key[0] == level:
                    record.found[key] = _find(values, record.boxes[level], key[1])
        return record

    def _step(self, record: Record, level: int, values: Tensor, owned: bool) -> Tensor:
        """From the values of the level below to those of ``level``."""
        chain = self._chain
        step, box = chain.steps[level - 1], record.boxes[level]
        below = chain.needed(level, box)  # of more, where a unit below asks for more
        if isinstance(step, nn.Conv3d):
            return self._convolve(level, values, record.boxes[level - 1], box, below)
        values = values[cut(below, record.boxes[level - 1])]
        if isinstance(step, nn.ReLU):
            # not fused with the convolution: oneDNN's ReLU answers 0 to NaN; NaN is to be seen
            values = values.clamp_min_(0) if owned else values.clamp_min(0)
            followed = level < len(chain.steps) and isinstance(chain.steps[level], nn.MaxPool3d)
            if self._asks and not followed:
                record.passed[level] = opened(values)
            return values
        if isinstance(step, nn.MaxPool3d):
            values, record.switches[level] = pool_forward(step, values, box, below)
            self._note_passed(record, level, values)
            return values
        if isinstance(step, nn.Flatten):
            return values.reshape(-1)
        if isinstance(step, nn.Linear):
            return F.linear(values, step.weight, step.bias)
        return values  # dropout and identity

    def _convolve(self, level: int, values: Tensor, held: Box, box: Box, below: Box) -> Tensor:
        """The convolution that makes ``level`` over ``box``; ``values`` are the cells ``held``."""
        chain, step = self._chain, self._chain.steps[level - 1]
        assert isinstance(step, nn.Conv3d)
        if box == chain.full(level) and held == chain.full(level - 1):
            return conv_whole(step, values)
        return conv_forward(step, values[cut(below, held)], box, below, self._backends[level])

    def _note_passed(self, record: Record, level: int, values: Tensor) -> None:
        if self._asks and self._chain.has_relu_below(level):
            record.passed[level] = opened(values)

    def _pool_above(
        self, record: Record, level: int, units: Sequence[tuple[int, Unit]]
    ) -> int | None:
        """The level of the pooling up to which ``level``, a convolution's, is made in pieces."""
        chain, boxes = self._chain, record.boxes
        if self._backends.get(level) is None:
            return None
        pool = level + 1
        if pool < len(boxes) and isinstance(chain.steps[pool - 1], nn.ReLU):
            pool += 1
        step = chain.steps[pool - 1] if pool < len(boxes) else None
        if not isinstance(step, nn.MaxPool3d) or window(step).padding[0]:
            return None
        if any(level <= at < pool and unit.at is None for at, unit in units):
            return None  # the strongest cell of a level is looked for in the whole of it
        asked = chain.needed(pool, boxes[pool])
        if boxes[level] != asked or boxes[pool - 1] != asked:
            return None  # a unit in between asks for cells that no window covers
        some = self._frames(level, asked, window(step).kernel[0])
        return pool if some < boxes[pool][0][1] - boxes[pool][0][0] else None

    def _frames(self, level: int, box: Box, kernel: int) -> int:
        """How many frames of the pooling a piece makes."""
        frame = self._chain.shapes[level][0]
        for lo, hi in box[1:]:
            frame *= hi - lo
        return max(1, CACHED // (frame * kernel))

    def _in_pieces(
        self,
        record: Record,
        level: int,
        pool: int,
        values: Tensor,
        units: Sequence[tuple[int, Unit]],
    ) -> Tensor:
        """Convolution, ReLU and pooling, a few frames at a time; the pooled level."""
        chain, step = self._chain, self._chain.steps[pool - 1]
        assert isinstance(step, nn.MaxPool3d)
        (first, last), *sides = record.boxes[pool]
        some = self._frames(level, record.boxes[level], window(step).kernel[0])
        pooled: list[Tensor] = []
        switches: list[Switches] = []
        for start in range(first, last, some):
            box: Box = ((start, min(start + some, last)), *sides)
            part_box = chain.needed(pool, box)
            below = chain.needed(level, part_box)
            part = self._convolve(level, values, record.boxes[level - 1], part_box, below)
            for at in range(level, pool):
                if at > level:
                    part = part.clamp_min_(0)
                for key in units:
                    if key[0] == at and _holds(part_box, key[1]):
                        record.found[key] = _find(part, part_box, key[1])
            answer, taken = pool_forward(step, part, box, part_box)
            pooled.append(answer)
            switches.append(taken)
        whole = torch.cat(pooled, dim=1)
        record.switches[pool] = joined(switches)
        self._note_passed(record, pool, whole)
        return whole


def forward(chain: Chain, x: Tensor, units: Sequence[tuple[int, Unit]], rule: str) -> Record:
    """Run the chain over the cells that ``units`` depend on and record what walks back need."""
    return Forward(chain, rule, x).run(x, units)


def target_box(chain: Chain, level: int, unit: Unit) -> Box:
    """The unit's cell, or its whole level where the strongest position is still to be found."""
    return chain.full(level) if unit.at is None else tuple((i, i + 1) for i in unit.at)


def opened(values: Tensor) -> Tensor:
    """1[x > 0], in the memory format in which signals go back."""
    passed = values > 0
    return channels_last(passed[None])[0] if passed.ndim == 4 else passed


def _holds(box: Box, unit: Unit) -> bool:
    assert unit.at is not None
    return all(lo <= i < hi for i, (lo, hi) in zip(unit.at, box, strict=True))


def _find(values: Tensor, box: Box, unit: Unit) -> tuple[Unit, float]:
    if unit.at is None:
        unit = locate(values, unit)
        assert unit.at is not None
        unit = Unit(unit.layer, unit.channel, unit.at)
    assert unit.at is not None
    cell = tuple(i - lo for i, (lo, _) in zip(unit.at, box, strict=True))
    return unit, float(values[(unit.channel, *cell)])
