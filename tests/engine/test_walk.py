"""The explicit walk equals the general engine, on cropped clips as on whole ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from engines import by_graph, same, spread
from nets import MINI_LAYERS, RULES, clip, mini_c3d, state, walk_back
from torch import nn

from c3d_viz.engine.general import backproject
from c3d_viz.engine.tracing import Unit, trace


@pytest.mark.parametrize("rule", RULES)
def test_equals_the_general_engine_everywhere(rule: str) -> None:
    net, x = mini_c3d(), clip()
    seen = trace(net, x, [f"relu{name[4:]}" for name in MINI_LAYERS])
    units = [
        Unit(layer, number % 2, at)
        for layer, values in seen.activations.items()
        for number, at in enumerate(spread(values.shape[1:]))
    ]
    units += [Unit(layer, 1) for layer in seen.activations]  # at the strongest position
    units += [Unit("conv3b", 0, (1, 2, 3)), Unit("pool2", 1, (0, 0, 6)), Unit("pool5", 3)]
    units += [Unit("relu6", 0), Unit("drop6", 1), Unit("fc7", 4, ()), Unit("flatten", 3)]
    together = by_graph(net, x, units, rule)
    live = 0
    for values, back in zip(together, backproject(net, x, units, rule), strict=True):
        assert same(values, back.values, 1e-5), back.unit
        live += bool(back.values.abs().max() > 0)
        if back.unit.layer in ("relu1a", "relu3b", "relu5b"):
            (alone,) = by_graph(net, x, [back.unit], rule)  # a forward pass over what it sees only
            assert same(alone, back.values, 1e-5), back.unit
    assert live > len(units) // 2


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("pool5", "depths"),
    [("padded", (3, 3, 3, 3, 3)), ("ceil", (1, 1, 1, 1, 1)), ("padded", (3, 3, 5, 5, 7))],
)
def test_equals_an_explicit_walk_for_other_kernels(
    rule: str, pool5: str, depths: tuple[int, ...]
) -> None:
    """In float64, where nothing hides behind rounding."""
    net, x = mini_c3d(pool5, depths).double(), clip(dtype=torch.float64)
    units = [
        Unit("relu2a", 1, (5, 27, 3)),
        Unit("relu3b", 2, (7, 0, 13)),
        Unit("relu5b", 3, (0, 2, 0)),
        Unit("pool5", 1, (0, 1, 1)),
        Unit("fc7", 2, ()),
    ]
    for unit, values in zip(units, by_graph(net, x, units, rule), strict=True):
        expected = walk_back(net, x, unit.layer, unit.channel, unit.at, rule)
        assert same(values, expected, 1e-10), unit


@pytest.mark.parametrize("rule", RULES)
def test_strides_dilation_groups_remainders_and_reuse(rule: str) -> None:
    """Everything a chain may hold and C3D does not; sizes that leave cells over."""
    torch.manual_seed(2)
    relu = nn.ReLU()
    inner = nn.Sequential(nn.Conv3d(4, 6, 3, stride=2, padding=1, groups=2), relu)
    net = nn.Sequential(
        nn.Conv3d(2, 4, (1, 3, 5), stride=(1, 2, 1), padding=(0, 1, 2)),
        relu,
        nn.MaxPool3d((1, 3, 2), padding=(0, 1, 1), ceil_mode=True),
        nn.Conv3d(4, 4, 3, padding=2, dilation=2),
        nn.ReLU(inplace=True),
        nn.MaxPool3d(2),
        nn.MaxPool3d((1, 2, 1)),
        inner,
        nn.Identity(),
    ).double()
    x = clip((1, 2, 9, 37, 23), dtype=torch.float64)
    units = [Unit("8", c) for c in range(6)] + [Unit("1#1", 2), Unit("1#0", 3)]
    units += [Unit("1", 2), Unit("5", 0, (3, 2, 4)), Unit("3", 1), Unit("4", 2)]
    units += [Unit("0", 2)] if rule == "gradient" else []  # no ReLU lies below it
    for values, back in zip(
        by_graph(net, x, units, rule), backproject(net, x, units, rule), strict=True
    ):
        assert same(values, back.values, 1e-12), back.unit


def test_bf16_is_a_close_preview() -> None:
    net, x = mini_c3d(width=4), clip()
    for rule in RULES:
        units = [Unit("relu5b", c) for c in range(3)]
        exact = by_graph(net, x, units, rule)
        rough = by_graph(net, x, units, rule, precision="bf16")
        for a, b in zip(exact, rough, strict=True):
            assert b.dtype == torch.float32
            cosine = torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0)
            assert cosine > 0.99
            assert not torch.equal(a, b)


def test_the_callers_clip_is_not_written_to() -> None:
    net = nn.Sequential(nn.ReLU(inplace=True), nn.Conv3d(1, 1, 1))
    x = clip((1, 1, 2, 3, 3))
    before = x.clone()
    by_graph(net, x, [Unit("1", 0)], "guided")
    assert torch.equal(x, before)
    list(backproject(net, x, [Unit("1", 0)], "guided"))
    assert torch.equal(x, before)


def test_two_runs_and_eight_threads_give_the_same_bits() -> None:
    net, x = mini_c3d(), clip()
    before = state(net)
    jobs = [(rule, [Unit("relu5b", c), Unit("relu3a", c)]) for rule in RULES for c in range(3)] * 2
    serial = [by_graph(net, x, units, rule) for rule, units in jobs]
    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(lambda job: by_graph(net, x, job[1], job[0]), jobs))
    for one, other in zip(serial, parallel, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert state(net) == before
