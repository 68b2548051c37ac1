"""The boxes of cells that a unit of a graph depends on."""

from __future__ import annotations

import pytest
import torch
from engines import graph_for, spread
from nets import MINI_INPUT, clip, mini_c3d
from torch import nn

from c3d_viz.engine.graph.boxes import Part, cell, grown, union, volume
from c3d_viz.engine.graph.record import run, share
from c3d_viz.engine.graph.steps import Walk
from c3d_viz.engine.rules import RULES
from c3d_viz.engine.tracing import Unit, trace
from c3d_viz.nets.c3d import C3D, initialise


def test_boxes_are_exactly_what_a_unit_depends_on() -> None:
    """With positive weights nothing is blocked: the gradient is positive on the box, 0 beyond."""
    net = mini_c3d().double()
    for parameter in net.parameters():
        parameter.data.abs_()
    # a maximum takes one cell of its window; a mean sees all of them
    averaged = nn.Sequential(
        *(
            nn.AvgPool3d(m.kernel_size, m.stride) if isinstance(m, nn.MaxPool3d) else m
            for m in list(net)[: list(net).index(net.relu4b) + 1]
        )
    )
    graph = graph_for(net, *MINI_INPUT[1:])
    x = clip(dtype=torch.float64).abs().requires_grad_()
    level = graph.level_of(net, "relu4b")
    for at in spread(graph.steps[level].shape[1:]):
        (slope,) = torch.autograd.grad(averaged(x)[(0, 0, *at)], x)
        seen = slope[0].sum(dim=0) > 0
        box = graph.boxes({level: cell(at)})[0]
        expected = torch.zeros_like(seen)
        expected[tuple(slice(lo, hi) for lo, hi in box)] = True
        assert torch.equal(seen, expected), at


def test_a_box_grows_to_so_many_cells_and_stays_inside() -> None:
    assert grown(((3, 4),) * 3, (8, 8, 8), 1) == ((3, 4),) * 3
    assert grown(((3, 4),) * 3, (8, 8, 8), 64) == ((3, 7),) * 3
    assert grown(((7, 8), (0, 1)), (8, 2), 8) == ((4, 8), (0, 2))
    assert grown(((1, 2),), (5,), 9) == ((0, 5),)
    for at in ((0, 0, 0), (1, 6, 6), (0, 3, 6)):
        box = grown(cell(at), (2, 7, 7), 64)
        assert volume(box) >= 64
        for (lo, hi), i, n in zip(box, at, (2, 7, 7), strict=True):
            assert 0 <= lo <= i < hi <= n


def test_a_pass_makes_what_is_needed_and_no_less_than_is_exact() -> None:
    """A convolution of few channels runs as a matrix product, whose bits want 64 cells."""
    model = C3D(5, width=16, fc=8)
    graph = graph_for(model, 3, 16, 112, 112)
    level = graph.level_of(model, "conv1a")
    conv = graph.steps[level - 1]
    if conv.backend != "columns":
        pytest.skip("this build of PyTorch has another kernel here")
    target = {level: cell((4, 9, 9))}
    assert graph.boxes(target) == {0: ((3, 6), (8, 11), (8, 11)), 1: target[2], 2: target[2]}
    wide = ((4, 8), (9, 13), (9, 13))
    assert graph.boxes(target, exact=True) == {
        0: ((3, 9), (8, 14), (8, 14)), 1: wide, 2: target[2]
    }  # fmt: skip


def test_a_whole_pass_has_the_models_own_bits() -> None:
    """Not close but equal: a last bit may decide which cell a pooling takes."""
    model = C3D(5, width=8, fc=8).eval()
    initialise(model, 3)
    x = clip((1, 3, 16, 112, 112))
    graph = graph_for(model, *x.shape[1:])
    unit = Unit("conv5b", 2)
    level = graph.level_of(model, "conv5b")
    with torch.no_grad():
        record = run(graph, x, [(level, unit)], asks=True)
    seen = trace(model, x, ["conv5b", "conv3a"], switches=True)
    assert record.found[level, unit][1] == float(seen.activations["conv5b"][2].max())
    relu_mask = record.memos[graph.level_of(model, "conv3a")].relu_mask
    assert torch.equal(relu_mask, seen.activations["conv3a"] > 0)
    pools = {name: graph.level_of(model, name) for name in seen.switches}
    assert sorted(at for at, memo in record.memos.items() if memo.switches) == list(pools.values())
    for name, switches in seen.switches.items():
        signal = Part(torch.ones(switches.shape), graph.full(pools[name]))
        walk = Walk(RULES["deconvnet"], torch.float32)
        (back,) = graph.steps[pools[name]].back(signal, record.memos[pools[name]], walk)
        assert torch.equal(
            back.whole().values.flatten(1).nonzero()[:, 1].view(len(switches), -1),
            switches.flatten(1).sort(dim=1).values,
        )


def test_union_of_boxes() -> None:
    assert union(((0, 1), (4, 9)), ((3, 5), (2, 5))) == ((0, 5), (2, 9))


def test_shallow_units_get_a_pass_of_their_own_and_deep_ones_share() -> None:
    model = C3D(5, width=4, fc=8)
    graph = graph_for(model, 3, 16, 112, 112)
    shallow = [(graph.level_of(model, "conv3b"), Unit("conv3b", c, (4, 9, 9))) for c in range(2)]
    deep = [(graph.level_of(model, "conv5b"), Unit("conv5b", c, (0, 3, 3))) for c in range(2)]
    far = [
        (graph.level_of(model, "conv3b"), Unit("conv3b", 0, at)) for at in ((0, 0, 0), (7, 27, 27))
    ]
    assert share(graph, deep) == deep
    assert len(share(graph, far)) <= 1  # their common box would be the whole clip
    assert set(deep) <= set(share(graph, shallow + deep))
