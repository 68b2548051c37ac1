"""Back-projection through a plain chain, as an explicit walk: the fast engine.

One forward pass records the pooling switches and where each ReLU let its input through. Each unit
is then walked back on its own, cell box by cell box (``boxes``): it starts as the unit's filter,
a 3 x 3 x 3 patch, and grows as its receptive field does. The ReLU's rule is the general engine's
(``backprop.apply_rule``), and the result is the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backprop import BackProjection, Precision, Rule, apply_rule
from .boxes import Box, Chain, cut, union, window
from .kernels import channels_last
from .signals import ConvBack, Switches, conv_forward, conv_whole, inside, pool_forward, unpool
from .tracing import Unit, locate


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


def backproject_chain(
    chain: Chain,
    x: Tensor,
    units: Sequence[tuple[int, Unit]],
    rule: Rule,
    *,
    precision: Precision = "float32",
) -> Iterator[BackProjection]:
    """Back-project units of a chain, in order and lazily.

    Args:
        chain: the model.
        x: one clip (1, C, T, H, W).
        units: with the level each is in; the position may be None.
        rule: one of backprop.RULES.
        precision: "bf16" rounds signals and weights on the way back; a preview. The forward pass
            and with it every switch stays as it is.
    """
    with torch.inference_mode(False), torch.no_grad():
        shared, alone = share(chain, units, rule)
        record = forward(chain, x, shared, rule) if shared else None
        dtype = torch.bfloat16 if precision == "bf16" else x.dtype
        walker = Walker(chain, rule, dtype, once=len(units) == 1)
    for key in units:
        with torch.inference_mode(False), torch.no_grad():
            mine = forward(chain, x, [key], rule) if record is None or key in alone else record
            back = walker.walk(mine, x, key)
        yield back


def share(
    chain: Chain, units: Sequence[tuple[int, Unit]], rule: Rule
) -> tuple[list[tuple[int, Unit]], set[tuple[int, Unit]]]:
    """Split units into those that share one forward pass and those that get one of their own.

    A unit of a shallow layer sees so little of the clip that a pass over its field alone is
    cheaper than its part in a pass over everybody's. Taken is the split, among those that put the
    cheapest units alone, with the fewest multiply-adds.
    """

    def cost_of(targets: dict[int, Box]) -> int:
        return chain.cost(chain.boxes(targets, deciding=_deciding(rule)))

    own = {key: cost_of({key[0]: target_box(chain, *key)}) for key in units}
    ordered = sorted(own, key=lambda key: own[key], reverse=True)  # the dearest first
    best, best_cost, taken = 0, sum(own.values()), dict[int, Box]()
    rest = best_cost
    for number, key in enumerate(ordered, start=1):
        box = target_box(chain, *key)
        taken[key[0]] = union([taken[key[0]], box]) if key[0] in taken else box
        rest -= own[key]
        cost = cost_of(taken) + rest
        if cost <= best_cost:
            best, best_cost = number, cost
    return ordered[:best], set(ordered[best:])


def _deciding(rule: Rule) -> tuple[type[nn.Module], ...]:
    """The steps whose decisions in the forward pass a rule asks for on the way back."""
    return (nn.MaxPool3d,) if rule == "deconvnet" else (nn.MaxPool3d, nn.ReLU)


def target_box(chain: Chain, level: int, unit: Unit) -> Box:
    """The unit's cell, or its whole level where the strongest position is still to be found."""
    return chain.full(level) if unit.at is None else tuple((i, i + 1) for i in unit.at)


def forward(chain: Chain, x: Tensor, units: Sequence[tuple[int, Unit]], rule: Rule) -> Record:
    """Run the chain over the cells that ``units`` depend on and record what walks back need."""
    targets: dict[int, Box] = {}
    for level, unit in units:
        box = target_box(chain, level, unit)
        targets[level] = union([targets[level], box]) if level in targets else box
    record = Record(chain.boxes(targets, deciding=_deciding(rule)))
    values = x[0][cut(record.boxes[0], chain.full(0))]
    owned = False  # whether ``values`` may be overwritten: the caller's clip may not
    for level in range(len(record.boxes)):
        if level:
            step = chain.steps[level - 1]
            values = _forward_step(chain, record, level, values, owned, rule)
            owned = owned or isinstance(step, nn.Conv3d | nn.MaxPool3d | nn.Linear)
        for key in units:
            if key[0] == level:
                record.found[key] = _find(values, record.boxes[level], key[1])
    return record


def _find(values: Tensor, box: Box, unit: Unit) -> tuple[Unit, float]:
    if unit.at is None:
        unit = locate(values, unit)
        assert unit.at is not None
        unit = Unit(unit.layer, unit.channel, unit.at)
    assert unit.at is not None
    cell = tuple(i - lo for i, (lo, _) in zip(unit.at, box, strict=True))
    return unit, float(values[(unit.channel, *cell)])


def _forward_step(
    chain: Chain,
    record: Record,
    level: int,
    values: Tensor,
    owned: bool,
    rule: Rule,
) -> Tensor:
    step, box = chain.steps[level - 1], record.boxes[level]
    whole = box == chain.full(level) and record.boxes[level - 1] == chain.full(level - 1)
    if whole and isinstance(step, nn.Conv3d):
        return conv_whole(step, values)
    below = chain.needed(level, box)  # of more, where a unit below asks for more
    values = values[cut(below, record.boxes[level - 1])]
    if isinstance(step, nn.Conv3d):
        return conv_forward(step, values, box, below)
    if isinstance(step, nn.ReLU):
        # not fused with the convolution: oneDNN's ReLU answers 0 to NaN, and NaN is to be seen
        values = values.clamp_min_(0) if owned else values.clamp_min(0)
        followed = level < len(chain.steps) and isinstance(chain.steps[level], nn.MaxPool3d)
        if rule != "deconvnet" and not followed:
            record.passed[level] = _passed(values)
        return values
    if isinstance(step, nn.MaxPool3d):
        values, record.switches[level] = pool_forward(step, values, box, below)
        if rule != "deconvnet" and chain.has_relu_below(level):
            record.passed[level] = _passed(values)
        return values
    if isinstance(step, nn.Flatten):
        return values.reshape(-1)
    if isinstance(step, nn.Linear):
        return F.linear(values, step.weight, step.bias)
    return values  # dropout and identity


def _passed(values: Tensor) -> Tensor:
    """1[x > 0], in the memory format in which signals go back."""
    passed = values > 0
    return channels_last(passed[None])[0] if passed.ndim == 4 else passed


class Walker:
    """Walks units of one chain back under one rule. Prepared weights are kept from unit to unit."""

    def __init__(self, chain: Chain, rule: Rule, dtype: torch.dtype, *, once: bool = False) -> None:
        self._chain = chain
        self._once = once
        self._rule = rule
        self._dtype = dtype
        self._back: dict[nn.Module, ConvBack] = {}
        self._weights: dict[nn.Module, Tensor] = {}

    def walk(self, record: Record, x: Tensor, key: tuple[int, Unit]) -> BackProjection:
        """The back-projection of a unit that the recorded forward pass has found."""
        level = key[0]
        unit, activation = record.found[key]
        signal, box, level = self._start(x, level, unit, activation)
        while level:
            signal, box, level = self._step(record, signal, box, level)
        values = x.new_zeros(x.shape[1:])
        values[cut(box, self._chain.full(0))] = signal
        return BackProjection(values, unit, activation)

    def _start(
        self, x: Tensor, level: int, unit: Unit, activation: float
    ) -> tuple[Tensor, Box, int]:
        """The signal of 1 at the unit, and the first step back that it makes as a mere number.

        Below its own convolution the signal of a unit is the unit's filter.
        """
        assert unit.at is not None
        box: Box = tuple((i, i + 1) for i in unit.at)
        one = x.new_ones((), dtype=self._dtype)
        steps, shapes = self._chain.steps, self._chain.shapes
        if level and isinstance(steps[level - 1], nn.ReLU):
            one = apply_rule(self._rule, one, one.new_tensor(activation > 0, dtype=torch.bool))
            level -= 1
        step = steps[level - 1] if level else None
        if isinstance(step, nn.Linear):
            return one * step.weight[unit.channel].to(self._dtype), (), level - 1
        if isinstance(step, nn.Conv3d) and step.groups == 1 and set(step.dilation) == {1}:
            reach = window(step).reach(box)
            signal = one * step.weight[unit.channel].to(self._dtype)
            return *inside(signal, reach, shapes[level - 1][1:]), level - 1
        signal = one.new_zeros(shapes[level][0], *(1 for _ in box))
        signal[unit.channel] = one
        return signal, box, level

    def _step(
        self, record: Record, signal: Tensor, box: Box, level: int
    ) -> tuple[Tensor, Box, int]:
        """From a signal at ``level`` to the one below the step (for a ReLU and a pooling: both).

        Pooling only picks cells, so the rule may be applied above it, to a quarter or an eighth
        of the numbers: the cell it took had been let through exactly if its value is positive.
        """
        chain = self._chain
        step, sizes = chain.steps[level - 1], chain.shapes[level - 1][1:]
        if isinstance(step, nn.Conv3d):
            return *self._back_through(step, signal)(signal, box, sizes), level - 1
        if isinstance(step, nn.ReLU):
            return self._rule_at(record, signal, box, level), box, level - 1
        if isinstance(step, nn.MaxPool3d):
            below = level - 1
            if chain.has_relu_below(level):
                signal, below = self._rule_at(record, signal, box, level), level - 2
            switches, conv = record.switches[level], chain.steps[below - 1] if below else None
            if isinstance(conv, nn.Conv3d) and window(step).kernel[0] == 1:
                back = self._back_through(conv, signal)
                if back.by_frames:
                    pixels = chain.shapes[below - 1][1:]
                    return *back.behind(step, signal, box, switches, sizes, pixels), below - 1
            return *unpool(step, signal, box, switches, sizes), below
        if isinstance(step, nn.Linear):
            return signal @ self._linear(step), (), level - 1
        if isinstance(step, nn.Flatten):
            return signal.reshape(chain.shapes[level - 1]), chain.full(level - 1), level - 1
        return signal, box, level - 1

    def _back_through(self, step: nn.Conv3d, like: Tensor) -> ConvBack:
        if step not in self._back:
            self._back[step] = ConvBack(step, like, once=self._once)
        return self._back[step]

    def _linear(self, step: nn.Linear) -> Tensor:
        """The weight in the precision of the signals, converted once."""
        if step.weight.dtype == self._dtype:
            return step.weight
        if step not in self._weights:
            self._weights[step] = step.weight.to(self._dtype)
        return self._weights[step]

    def _rule_at(self, record: Record, signal: Tensor, box: Box, level: int) -> Tensor:
        passed = record.passed.get(level)
        if passed is not None:
            passed = passed[cut(box, record.boxes[level])]
        return apply_rule(self._rule, signal, passed)
