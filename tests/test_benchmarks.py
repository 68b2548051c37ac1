"""The helpers of benchmarks/: arithmetic on known numbers. Nothing is measured here."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import c3d_viz as viz
from benchmarks import (
    compare,
    counting,
    floor,
    peers,
    timing,
    work,
)


def _ticks(values: list[float]) -> object:
    moments = iter(values)
    return lambda: next(moments)


def test_cases_alternate_and_a_share_counts_as_the_whole() -> None:
    order: list[tuple[str, int]] = []
    cases = {
        "a": timing.Case(lambda n: order.append(("a", n))),
        "b": timing.Case(lambda n: order.append(("b", n)), share=0.5),
    }
    clock = _ticks([0, 2, 10, 13, 20, 24, 30, 35])
    seconds = timing.alternate(cases, 2, clock=clock)
    assert order == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert seconds == {"a": [2, 4], "b": [6, 10]}
    spread = timing.ratios(seconds, "b", "a")
    assert (spread.median, spread.low, spread.high) == (2.75, 2.5, 3.0)


def test_rounds_together_do_all_the_work_once() -> None:
    items = list(range(72))
    parts = [timing.part(items, number, 3) for number in range(3)]
    assert sorted(item for part in parts for item in part) == items
    assert [len(part) for part in parts] == [24, 24, 24]


@pytest.mark.parametrize("transposed", [False, True])
def test_counter_counts_convolutions_forward_and_back(transposed: bool) -> None:
    x = torch.randn(1, 2, 4, 5, 6, requires_grad=True)
    weight = torch.randn(2, 3, 3, 3, 3) if transposed else torch.randn(3, 2, 3, 3, 3)
    convolve = F.conv_transpose3d if transposed else F.conv3d
    once = 2 * 4 * 5 * 6 * 2 * 3 * 27
    with counting.Counter() as counter:
        y = convolve(x, weight, padding=1)
        assert counter.flop == once
        torch.autograd.grad(y.sum(), x)
    assert counter.flop == 2 * once
    assert counter.seconds > 0


def test_counter_counts_products_and_the_whole_network() -> None:
    with counting.Counter() as counter, torch.no_grad():
        torch.randn(3, 4) @ torch.randn(4, 5)
        F.linear(torch.randn(1, 8), torch.randn(6, 8), torch.randn(6))
    assert counter.flop == 2 * 3 * 4 * 5 + 2 * 8 * 6


@pytest.mark.slow
def test_counter_finds_the_multiplications_of_c3d() -> None:
    model, _ = viz.load_model("c3d", "random")
    with counting.Counter() as counter, torch.no_grad():
        model(torch.zeros(1, 3, 16, 112, 112))
    fully = 8192 * 4096 + 4096 * 4096 + 4096 * 487
    assert counter.flop / 2 == pytest.approx(38.50e9 + fully, rel=1e-3)


def test_a_peer_that_shares_its_forward_pass_is_counted_so() -> None:
    units = [viz.Unit("conv1a", 0), viz.Unit("conv1a", 1), viz.Unit("conv2a", 0)]
    flop = {"conv1a": 110, "conv2a": 130}  # 100 forward, then 10 and 30 back
    alone = peers.Peer("", peers.loop)
    shared = peers.Peer("", peers.loop, shares=True)
    assert compare.peer_flop(units, alone, flop, 100) == 350
    assert compare.peer_flop(units, shared, flop, 100) == 150


def test_floor_counts_cells_that_hold_a_signal() -> None:
    with torch.device("meta"):
        model = viz.C3D(487)
    assert sum(floor.whole_pass(model).values()) == pytest.approx(38.50e9, rel=1e-3)
    # conv2a's unit covers 3 x 3 x 3 cells of pool1, so 3 x 6 x 6 cells of conv1a send back
    assert floor.way_back(model, viz.Unit("conv2a", 0, (8, 28, 28))) == {
        "conv2a": 0,
        "conv1a": 3 * 64 * 27 * 3 * 6 * 6,
    }
    # in the corner the border leaves 2 x 2 x 2 of the 3 x 3 x 3
    assert floor.way_back(model, viz.Unit("conv2a", 0, (0, 0, 55))) == {
        "conv2a": 0,
        "conv1a": 3 * 64 * 27 * 2 * 4 * 4,
    }
    unit = floor.centre(model, "conv5b")
    assert unit.at == (1, 3, 3)
    back = floor.way_back(model, unit)
    assert back["conv5a"] == 512 * 512 * 27 * 2 * 3 * 3
    assert back["conv3b"] == floor.whole_pass(model)["conv3b"]
    one, nine = (floor.times(model, [unit] * k)["forward each"] for k in (1, 9))
    assert one == pytest.approx(2 * 38.497 / (38.497 + 33.783), rel=1e-3)
    assert nine == pytest.approx(18 * 38.497 / (38.497 + 9 * 33.783), rel=1e-3)


def test_loop_is_the_deconvolution() -> None:
    """Against a walk written out with transposed convolutions and unpooling."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(4, 2, 1), nn.ReLU()
    )
    x = torch.randn(1, 1, 4, 4, 4)
    found = peers.loop(net, x, [viz.Unit("4", 1, (1, 0, 1))])[0]
    with torch.no_grad():
        hidden = net[1](net[0](x))
        _, switches = F.max_pool3d(hidden, 2, return_indices=True)
        signal = torch.zeros(1, 2, 2, 2, 2)
        signal[0, 1, 1, 0, 1] = 1
        signal = F.conv_transpose3d(signal, net[3].weight)
        signal = F.max_unpool3d(signal, switches, 2, output_size=(4, 4, 4)).clamp_min(0)
        expected = F.conv_transpose3d(signal, net[0].weight, padding=1)[0]
    assert torch.allclose(found, expected, atol=1e-6)
    assert not any(m._backward_hooks or m._forward_hooks for m in net.modules())


def test_errors_and_cosine() -> None:
    a = torch.tensor([1.0, -4.0, 2.0])
    assert work.relative_error(a + torch.tensor([0.0, 0.0, 1.0]), a) == 0.25
    assert work.relative_error(a * 0, a * 0) == 0
    assert work.relative_error(a, a * 0) == math.inf
    assert work.cosine(3 * a, a) == pytest.approx(1)
    assert work.cosine(-a, a) == pytest.approx(-1)
