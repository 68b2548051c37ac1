"""Steps of several inputs, and levels that several steps read: what a residual network needs."""

from __future__ import annotations

import pytest
import torch
from engines import by_graph, same
from nets import RULES, Residual, clip, relative
from torch import Tensor, nn

from c3d_viz.engine.general import backproject
from c3d_viz.engine.graph import record
from c3d_viz.engine.graph.boxes import Box, Part, Stencil
from c3d_viz.engine.graph.convolution import Conv
from c3d_viz.engine.graph.graph import Graph
from c3d_viz.engine.graph.kernels import Filters
from c3d_viz.engine.graph.pooling import MaxPool
from c3d_viz.engine.graph.reading import graph_of, with_shortcuts
from c3d_viz.engine.graph.record import run
from c3d_viz.engine.graph.steps import ReLU, Step
from c3d_viz.engine.graph.sums import Add
from c3d_viz.engine.graph.walk import walks
from c3d_viz.engine.rules import RULES as THE_RULES
from c3d_viz.engine.units import Unit


@pytest.mark.parametrize("rule", RULES)
def test_a_residual_graph_is_walked_back(rule: str) -> None:
    net, x = Residual().eval(), clip((1, 3, 4, 12, 12))
    before = x.clone()
    graph = graph_of(net, x)
    assert graph.readers[2] == (3, 6)
    units = [Unit("down", 5, (1, 0, 2)), Unit("down", 2, (0, 5, 5))]
    assert [type(step).__name__ for step in graph.steps[1:]] == [
        "Conv", "ReLU", "Conv", "ReLU", "Conv", "Add", "ReLU", "Conv", "ReLU"
    ]  # fmt: skip
    places = graph.places(net, units)
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
    graph = graph_of(net, x)
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
    clip_step = Step(shape=(1, 3, 4, 5))
    shape = (2, 3, 4, 5)
    filters = Filters(conv.weight, conv.bias, Stencil((3,) * 3, (1,) * 3, (1,) * 3, (1,) * 3))
    made = Conv(inputs=(0,), below=((1, 3, 4, 5),), shape=shape, conv=filters)
    relu = ReLU(inputs=(1,), below=(shape,), shape=shape)
    for order in ((1, 2), (2, 1)):
        graph = Graph((clip_step, made, relu, Add(inputs=order, below=(shape, shape), shape=shape)))
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
    halves = Stencil((2,) * 3, (2,) * 3, (0,) * 3, (1,) * 3)
    made = [
        Step(shape=shape),
        ReLU(inputs=(0,), below=(shape,), shape=shape),
        MaxPool(inputs=(1,), below=(shape,), shape=small, stencil=halves),
        ReLU(inputs=(2 if alone else 1,), below=(small if alone else shape,), shape=small),
    ]
    shortcuts = [step.shortcut for step in with_shortcuts(Graph(tuple(made)))]
    assert shortcuts == [False, alone, alone, False]


class Views(nn.Module):
    """A level and two flat views of it, the first of which a ReLU may not overwrite."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.sum = nn.Conv3d(2, 3, 3), nn.ReLU(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        level = self.conv(x)
        relu = self.relu(level.flatten(1))
        return self.sum(relu + level.flatten(1))


class Shared(nn.Module):
    """The signal of a sum goes to two levels, and one of them gets another signal before the other
    has been walked on."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv3d(2, 3, 3), nn.Conv3d(2, 3, 3)
        self.sum = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.first(x), self.second(x)
        twice = first * 2
        return self.sum(first + second + twice)


class Shifted(nn.Module):
    """A ReLU whose own answer a unit above it does not tell."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.shift = nn.Conv3d(2, 3, 3), nn.ReLU(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.shift(self.relu(self.conv(x)) * 2 - 100)


def test_what_two_levels_share_is_not_written_to() -> None:
    torch.manual_seed(0)
    x = clip((1, 2, 3, 4, 5))
    for net in (Views().eval(), Shared().eval()):
        with torch.no_grad():
            answers = net(x)[0]
        places = [(c,) for c in range(18)] if answers.ndim == 1 else [(0, 0, 0, 1), (2, 0, 1, 2)]
        units = [Unit("sum", channel, tuple(at)) for channel, *at in places]
        found = by_graph(net, x, units, "gradient")
        for values, back in zip(found, backproject(net, x, units, "gradient"), strict=True):
            assert back.values.any()
            assert same(values, back.values, 1e-5), back.unit
        graph = graph_of(net, x)
        recorded = run(graph, x, graph.places(net, units), asks=False)
        for place, at in zip(graph.places(net, units), places, strict=True):
            assert recorded.found[place][1] == float(answers[at])


@pytest.mark.parametrize("rule", RULES)
def test_a_relu_below_the_units_own_step_is_asked_for_its_own_answer(rule: str) -> None:
    torch.manual_seed(0)
    net, x = Shifted().eval(), clip((1, 2, 3, 4, 5))
    with torch.no_grad():
        taken = net.relu(net.conv(x))[0]
    assert {bool(n > 0) for n in taken.flatten()} == {True, False}
    units = [Unit("shift", c, (0, h, w)) for c in range(3) for h in range(2) for w in range(3)]
    for values, back in zip(
        by_graph(net, x, units, rule), backproject(net, x, units, rule), strict=True
    ):
        open_ = bool(taken[(back.unit.channel, *back.unit.at)] > 0)
        assert bool(values.any()) == (open_ or rule == "deconvnet")
        assert same(values, back.values, 1e-5), back.unit
