"""Steps of several inputs, and levels that several steps read: what a residual network needs."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from nets import RULES, Residual, clip, relative
from torch import Tensor, nn

from c3d_viz.engine.graph import record
from c3d_viz.engine.graph.boxes import Box, Part
from c3d_viz.engine.graph.convolution import Conv
from c3d_viz.engine.graph.graph import Graph, _with_shortcuts, graph_of
from c3d_viz.engine.graph.pooling import MaxPool
from c3d_viz.engine.graph.record import run
from c3d_viz.engine.graph.steps import Call, Made, Memo, ReLU, Single, Step, Walk
from c3d_viz.engine.graph.walk import walks
from c3d_viz.engine.rules import RULES as THE_RULES
from c3d_viz.engine.units import Unit
from c3d_viz.nets import C3D


@dataclass(frozen=True, eq=False)
class Add(Step):
    """A step as the next capability will bring it."""

    def forward(self, call: Call) -> Made:
        first, second = (part.of(call.box) for part in call.inputs)
        return first + second, None

    def back_single(self, signal: Single, walk: Walk) -> None:
        return None

    def back(self, signal: Part, memo: Memo | None, walk: Walk) -> tuple[Part, ...]:
        return signal, signal


def residual(net: Residual, shape: tuple[int, ...]) -> Graph:
    """``nets.Residual`` as a graph, by hand: level 2 is read by a convolution and by the sum."""
    made = [Step(nn.Identity(), (), (), shape)]

    def add(kind: type[Step], module: nn.Module, *inputs: int) -> None:
        below = tuple(made[i].shape for i in inputs)
        after = kind.shape_after(module, *below)
        assert after is not None
        made.append(kind(module, inputs, below, after))

    add(Conv, net.stem, 0)
    add(ReLU, net.relu, 1)
    add(Conv, net.first, 2)
    add(ReLU, net.relu, 3)
    add(Conv, net.second, 4)
    add(Add, net, 5, 2)
    add(ReLU, net.relu, 6)
    add(Conv, net.down, 7)
    return Graph(tuple(made))


@pytest.mark.parametrize("rule", RULES)
def test_a_residual_graph_is_walked_back(rule: str) -> None:
    net, x = Residual().eval(), clip((1, 3, 4, 12, 12))
    before = x.clone()
    graph = residual(net, tuple(x.shape[1:]))
    assert graph.readers[2] == (3, 6)
    units = [Unit("down", 5, (1, 0, 2)), Unit("down", 2, (0, 5, 5))]
    places = [(8, unit) for unit in units]
    for unit, back in zip(units, walks(graph, x, places, THE_RULES[rule]), strict=True):
        expected = net.walk_back(x, unit.channel, unit.at, rule)
        assert relative(back.values, expected) <= 1e-5
        with torch.no_grad():
            answer = Residual("torch.relu").eval().forward(x)  # the same seeded weights
        assert max(back.activation, 0) == float(answer[(0, unit.channel, *unit.at)])
    assert torch.equal(x, before)


def test_a_level_that_two_steps_read_is_not_overwritten_and_then_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, x = Residual().eval(), clip((1, 3, 4, 12, 12))
    graph = residual(net, tuple(x.shape[1:]))
    made: list[dict[int, Part]] = []
    whole = record._Run._whole

    def watched(self: record._Run, level: int, box: Box) -> Tensor:
        values = whole(self, level, box)
        made.append(dict(self._values))
        return values

    monkeypatch.setattr(record._Run, "_whole", watched)
    run(graph, x, [(8, Unit("down", 0))], asks=True)
    levels = [sorted(values) for values in made]  # what is still held after each step
    assert levels == [[], [], [], [2], [2], [2], [], [], []]


@pytest.mark.parametrize("rule", RULES)
def test_a_relu_overwrites_nothing_that_another_step_still_reads(rule: str) -> None:
    """a + relu(a), as in residual blocks that rectify first: the signal of a is the sum of two."""
    torch.manual_seed(1)
    conv, x = nn.Conv3d(1, 2, 3, padding=1).requires_grad_(False), clip((1, 1, 3, 4, 5))
    clip_step = Step(nn.Identity(), (), (), (1, 3, 4, 5))
    shape = (2, 3, 4, 5)
    made = Conv(conv, (0,), ((1, 3, 4, 5),), shape)
    relu = ReLU(nn.ReLU(), (1,), (shape,), shape)
    for order in ((1, 2), (2, 1)):
        graph = Graph((clip_step, made, relu, Add(conv, order, (shape, shape), shape)))
        for at in ((1, 2, 2), (0, 0, 4)):
            for channel in (0, 1):
                unit = Unit("sum", channel, at)
                (back,) = walks(graph, x, [(3, unit)], THE_RULES[rule])
                a = conv(x)[(0, channel, *at)]
                assert back.activation == float(a + a.relu())
                seed = torch.zeros((1, *shape))
                seed[(0, channel, *at)] = 1 + float(a > 0 or rule == "deconvnet")
                expected = torch.nn.functional.conv_transpose3d(seed, conv.weight, padding=1)
                assert relative(back.values, expected[0]) <= 1e-5


@pytest.mark.parametrize("alone", [True, False])
def test_only_a_relu_that_nobody_else_reads_leaves_its_rule_to_the_pooling(alone: bool) -> None:
    shape, small = (2, 4, 4, 4), (2, 2, 2, 2)
    made = [
        Step(nn.Identity(), (), (), shape),
        ReLU(nn.ReLU(), (0,), (shape,), shape),
        MaxPool(nn.MaxPool3d(2), (1,), (shape,), small),
        Step(nn.Identity(), (2 if alone else 1,), (small if alone else shape,), shape),
    ]
    shortcuts = [step.shortcut for step in _with_shortcuts(Graph(tuple(made)))]
    assert shortcuts == [False, alone, alone, False]


def test_a_subclass_may_do_anything_and_is_left_to_autograd() -> None:
    class Doubled(C3D):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x * 2)

    for kind, known in ((C3D, True), (Doubled, False)):
        assert (graph_of(kind(5, width=1, fc=4), (3, 16, 112, 112)) is not None) == known
