"""Back-projection through a plain chain, as an explicit walk: the fast engine.

One forward pass (``forward``) records the pooling switches and where each ReLU let its input
through. Each unit is then walked back on its own, cell box by cell box (``boxes``): it starts as
the unit's filter, a 3 x 3 x 3 patch, and grows as its receptive field does. The rules are
those of the general engine (``rules``), and the result is the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from ..precision import Precision
from ..report import RuleReport, refuse_plain
from ..rules import BackProjection, rule_named
from ..units import Unit
from .boxes import Box, Chain, cut, window
from .forward import Forward, Record, forward
from .signals import ConvBack, inside, unpool

__all__ = ["Record", "Walker", "backproject_chain", "forward"]


def backproject_chain(
    chain: Chain,
    x: Tensor,
    units: Sequence[tuple[int, Unit]],
    rule: str,
    *,
    precision: Precision = "float32",
) -> Iterator[BackProjection]:
    """Back-project units of a chain, in order and lazily.

    Args:
        chain: the model.
        x: one clip (1, C, T, H, W).
        units: with the level each is in; the position may be None.
        rule: key of ``rules.RULES``.
        precision: "bf16" rounds signals and weights on the way back; a preview. The forward pass
            and with it every switch stays as it is.
    """
    with torch.inference_mode(False), torch.no_grad():
        passes = Forward(chain, rule, x)
        shared, alone = passes.share(units)
        record = passes.run(x, shared) if shared else None
        dtype = torch.bfloat16 if precision == "bf16" else x.dtype
        walker = Walker(chain, rule, dtype, once=len(units) == 1)
    for key in units:
        with torch.inference_mode(False), torch.no_grad():
            mine = passes.run(x, [key]) if record is None or key in alone else record
            back = walker.walk(mine, x, key)
        yield back


class Walker:
    """Walks units of one chain back under one rule. Prepared weights are kept from unit to unit."""

    def __init__(self, chain: Chain, rule: str, dtype: torch.dtype, *, once: bool = False) -> None:
        self._chain = chain
        self._once = once
        self._rule = rule_named(rule)
        self._dtype = dtype
        self._back: dict[nn.Module, ConvBack] = {}
        self._weights: dict[nn.Module, Tensor] = {}

    def walk(self, record: Record, x: Tensor, key: tuple[int, Unit]) -> BackProjection:
        """The back-projection of a unit that the recorded forward pass has found."""
        level = key[0]
        unit, activation = record.found[key]
        report = self._report(level, unit)
        signal, box, level = self._start(x, level, unit, activation)
        while level:
            signal, box, level = self._step(record, signal, box, level)
        values = x.new_zeros(x.shape[1:])
        values[cut(box, self._chain.full(0))] = signal
        return BackProjection(values, unit, activation, report)

    def _report(self, level: int, unit: Unit) -> RuleReport | None:
        """How many ReLUs lie below a level; a chain has no other activations."""
        if not self._rule.asks_backward:
            return None
        relus = sum(isinstance(step, nn.ReLU) for step in self._chain.steps[:level])
        if not relus:
            raise refuse_plain(self._rule.name, unit.layer, ())
        return RuleReport(relus)

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
            one = self._rule(one, one.new_tensor(activation > 0, dtype=torch.bool))
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
        return self._rule(signal, passed)
