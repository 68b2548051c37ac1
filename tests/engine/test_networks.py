"""Networks that are no chains: the fast engine gives what autograd gives, and leaves them alone."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from engines import same, spread
from graphs import LAYERS, NETS, SHAPE, settled
from nets import RULES, clip, state
from torch import Tensor, nn

from c3d_viz.engine.general import backproject
from c3d_viz.engine.passes import Pass
from c3d_viz.engine.rules import BackProjection
from c3d_viz.engine.tracing import trace
from c3d_viz.engine.units import Unit
from c3d_viz.errors import VizError


def units_of(net: nn.Module, x: Tensor, layers: tuple[str, ...]) -> list[Unit]:
    """Of each layer one at its strongest position, and several at borders."""
    seen = trace(net, x, [layer for layer in layers if layer])
    units = []
    for number, (layer, values) in enumerate(seen.activations.items()):
        channels = len(values)
        places = spread(values.shape[1:]) if values.ndim == 4 else [()]
        units += [Unit(layer, (number + i) % channels, at) for i, at in enumerate(places)]
        units.append(Unit(layer, channels - 1))
    return units


def agree(found: BackProjection, expected: BackProjection) -> None:
    assert found.unit == expected.unit
    assert found.activation == expected.activation, found.unit  # the model's own bits
    assert found.report == expected.report, found.unit
    assert same(found.values, expected.values, 1e-5), found.unit


@pytest.mark.parametrize("name", NETS)
def test_fast_is_general(name: str) -> None:
    net, x = NETS[name](), clip(SHAPE)
    units = units_of(net, x, LAYERS[name])
    asked = Pass(net, x)
    assert [asked.slow(unit.layer) for unit in units] == [None] * len(units)
    before = state(net)
    stored = {key: value.clone() for key, value in net.state_dict().items()}
    for rule in RULES:
        expected = list(backproject(net, x, units, rule))
        assert sum(bool(back.values.any()) for back in expected) > len(units) / 3
        for together, other in zip(asked.back(units, rule), expected, strict=True):
            agree(together, other)
        for number in range(0, len(units), 5):  # a pass over what one unit sees
            agree(next(Pass(net, x).back([units[number]], rule)), expected[number])
    assert state(net) == before
    assert all(torch.equal(value, stored[key]) for key, value in net.state_dict().items())
    assert torch.equal(x, clip(SHAPE))


@pytest.mark.parametrize("name", ["residual", "inception"])
def test_in_float64_nothing_hides_behind_rounding(name: str) -> None:
    net, x = NETS[name]().double(), clip(SHAPE, dtype=torch.float64)
    units = units_of(net, x, LAYERS[name][-5:-2])
    for rule in RULES:
        found = Pass(net, x).back(units, rule)
        for back, other in zip(found, backproject(net, x, units, rule), strict=True):
            assert same(back.values, other.values, 1e-12), back.unit


def test_what_was_traced_or_found_is_walked_back_alike() -> None:
    net, x = NETS["residual"](), clip(SHAPE)
    units = units_of(net, x, ("layer1", "layer2"))
    expected = list(Pass(net, x).back(units, "guided"))
    found = Pass(net, x)
    answers = found.find(units)
    assert answers == [(back.unit, back.activation) for back in expected]
    traced = Pass(net, x, trace(net, x))
    for asked in (found, traced):
        for back, other in zip(asked.back(units, "guided"), expected, strict=True):
            assert back.activation == other.activation
            assert torch.equal(back.values, other.values), back.unit


def test_threads_get_the_same_bits() -> None:
    net, x = NETS["factorised"](), clip(SHAPE)
    units = units_of(net, x, ("layer1", "layer2"))[::3]
    jobs = [(rule, unit) for rule in RULES for unit in units] * 2
    before = state(net)
    expected = [next(Pass(net, x).back([unit], rule)).values for rule, unit in jobs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda job: next(Pass(net, x).back([job[1]], job[0])).values, jobs))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert state(net) == before


def test_a_network_in_training_mode_is_read_as_in_eval_mode() -> None:
    net, x = NETS["residual"](), clip(SHAPE)
    unit = Unit("fc", 1, ())
    expected = next(Pass(net, x).back([unit], "guided"))
    net.train()
    before = state(net)
    with torch.inference_mode():
        assert Pass(net, x).slow("fc") is None
        found = next(Pass(net, x).back([unit], "guided"))
    assert torch.equal(found.values, expected.values)
    assert state(net) == before


def test_where_no_relu_lies_on_the_way_a_rule_is_refused() -> None:
    net, x = NETS["two pools"](), clip(SHAPE)
    with pytest.raises(VizError, match="changes ReLUs only"):
        next(Pass(net, x).back([Unit("first.1", 0)], "guided"))
    assert next(Pass(net, x).back([Unit("first.1", 0)], "gradient")).values.any()


class Drawn(nn.Module):
    """A random graph: each step reads one or two of the levels before it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = random.Random(seed)
        self.plan: list[tuple[str, int, int]] = []
        self.parts = nn.ModuleList()
        for number in range(8):
            kind = draw.choice(
                ("conv", "conv", "relu", "relu", "add", "cat", "max", "mean", "norm")
            )
            first, second = draw.randrange(number + 1), draw.randrange(number + 1)
            module: nn.Module = nn.Identity()
            if kind == "conv":
                module = nn.Conv3d(4, 4, draw.choice((1, 3, (1, 3, 3))), groups=draw.choice((1, 2)))
            elif kind == "cat":
                module = nn.Conv3d(8, 4, 1)
            elif kind == "norm":
                module = nn.BatchNorm3d(4)
            elif kind == "relu":
                module = nn.ReLU(inplace=draw.random() < 0.3 and first == number)
            self.plan.append((kind, number if draw.random() < 0.6 else first, second))
            self.parts.append(module)
        self.stem, self.top = nn.Conv3d(3, 4, 3), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        levels = [self.stem(x)]
        for (kind, first, second), module in zip(self.plan, self.parts, strict=True):
            a, b = levels[first], levels[second]
            if kind == "conv" and min(a.shape[2:]) >= 3:
                a = module(a)
            elif kind in ("relu", "norm"):
                a = module(a if kind == "norm" else a.clone())
            elif kind in ("add", "cat"):
                t, h, w = (min(n, m) for n, m in zip(a.shape[2:], b.shape[2:], strict=True))
                rooms = (F.adaptive_max_pool3d(v, (t, h, w)) for v in (a, b))
                if all(
                    n % m == 0 for v in (a, b) for n, m in zip(v.shape[2:], (t, h, w), strict=True)
                ):
                    a, b = rooms
                    a = a + b if kind == "add" else module(torch.cat((a, b), 1))
            elif kind == "max" and min(a.shape[2:]) >= 4:
                a = F.max_pool3d(a, 3, 2, 1)
            elif kind == "mean" and min(a.shape[2:]) >= 4:
                a = F.avg_pool3d(a, 2, (1, 2, 2))
            levels.append(a)
        return self.top(levels[-1])


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs(seed: int) -> None:
    net, x = settled(Drawn(seed), seed), clip((1, 3, 8, 16, 16), seed)
    asked = Pass(net, x)
    assert asked.slow("top") is None
    units = units_of(net, x, ("top",))
    for rule in RULES:
        for back, other in zip(
            asked.back(units, rule), backproject(net, x, units, rule), strict=True
        ):
            agree(back, other)
