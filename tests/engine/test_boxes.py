"""What is a chain, and the boxes of cells that a unit of it depends on."""

from __future__ import annotations

import pytest
import torch
from engines import spread
from nets import MINI_INPUT, clip, mini_c3d
from torch import nn

from c3d_viz.engine.chain.boxes import Window, chain_of, union
from c3d_viz.engine.chain.forward import Forward, forward
from c3d_viz.engine.chain.signals import unpool
from c3d_viz.engine.tracing import Unit, trace
from c3d_viz.nets.c3d import C3D, initialise

# ---- what is a chain


def test_what_is_no_chain_is_left_to_the_general_engine() -> None:
    def chain(*modules: nn.Module) -> object:
        return chain_of(nn.Sequential(*modules), (2, 4, 8, 8))

    class Other(nn.Conv3d):
        pass

    assert chain(nn.Conv3d(2, 2, 1), nn.ReLU()) is not None
    assert chain(nn.MaxPool3d(3, 2)) is None  # overlapping
    assert chain(nn.MaxPool3d(2, 2, dilation=2)) is None
    assert chain(nn.MaxPool3d(2, return_indices=True)) is None
    assert chain(Other(2, 2, 1)) is None  # may do anything
    assert chain(nn.LeakyReLU()) is None
    assert chain(nn.Conv3d(2, 2, 1, padding_mode="reflect", padding=0)) is None
    assert chain(nn.Conv3d(3, 2, 1)) is None  # does not fit the clip; its forward pass says why
    assert chain(nn.Conv3d(2, 2, 9)) is None
    assert chain_of(nn.Conv3d(2, 2, 1), (2, 4, 8, 8)) is not None
    hooked = nn.Conv3d(2, 2, 1)
    handle = hooked.register_forward_hook(lambda *_: None)
    assert chain(hooked) is None
    handle.remove()
    assert chain(hooked) is not None
    normed = nn.utils.parametrizations.weight_norm(nn.Conv3d(2, 2, 1))
    assert chain(normed) is None
    patched = nn.ReLU()
    patched.forward = lambda x: x * 2  # type: ignore[method-assign]
    assert chain(patched) is None
    assert chain_of(C3D(5, width=1, fc=4), (3, 16, 112, 112)) is not None
    assert chain_of(C3D(5, width=1, fc=4), (3, 16, 56, 56)) is None


@pytest.mark.parametrize(
    "register",
    [
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
    ],
)
def test_whoever_hooks_into_a_step_is_heard(register: str) -> None:
    """The explicit walk calls no module, so a chain with somebody's hooks is none."""
    net = nn.Sequential(nn.Conv3d(2, 2, 1), nn.ReLU(), nn.Conv3d(2, 2, 1))
    for module in (net[0], net[1]):
        handle = getattr(module, register)(lambda *_: None)
        assert chain_of(net, (2, 4, 8, 8)) is None
        handle.remove()
        assert chain_of(net, (2, 4, 8, 8)) is not None


@pytest.mark.parametrize("ceil", [False, True])
def test_output_sizes_are_pytorchs(ceil: bool) -> None:
    for n in range(2, 12):
        for k in (1, 2, 3):
            for s in (1, 2, 3):
                for p in range(k // 2 + 1):
                    if n + 2 * p < k:
                        continue
                    pool = nn.MaxPool3d(k, s, p, ceil_mode=ceil)
                    expected = tuple(pool(torch.zeros(1, n, n, n)).shape[1:])
                    view = Window((k,) * 3, (s,) * 3, (p,) * 3, (1,) * 3)
                    assert view.sizes((n, n, n), ceil=ceil) == expected, (n, k, s, p)


# ---- boxes


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
    chain = chain_of(net, MINI_INPUT[1:])
    x = clip(dtype=torch.float64).abs().requires_grad_()
    level = chain.level_of(net, "relu4b")
    for at in spread(chain.shapes[level][1:]):
        (slope,) = torch.autograd.grad(averaged(x)[(0, 0, *at)], x)
        seen = slope[0].sum(dim=0) > 0
        box = chain.boxes({level: tuple((i, i + 1) for i in at)})[0]
        expected = torch.zeros_like(seen)
        expected[tuple(slice(lo, hi) for lo, hi in box)] = True
        assert torch.equal(seen, expected), at


def test_where_many_decisions_hang_on_a_pass_it_covers_whole_levels() -> None:
    model = C3D(5, width=16, fc=8)
    chain = chain_of(model, (3, 16, 112, 112))
    level = chain.level_of(model, "conv3b")
    cell = {level: ((4, 5), (9, 10), (9, 10))}
    seen = chain.boxes(cell)
    computed = chain.boxes(cell, deciding=(nn.MaxPool3d,))
    assert all(box != chain.full(i) for i, box in enumerate(seen) if i)
    whole = [box == chain.full(i) for i, box in enumerate(computed)]
    last = max(i for i, is_whole in enumerate(whole) if is_whole)
    assert all(whole[: last + 1])  # from the input up to one level, without a gap
    assert chain.level_of(model, "conv1a") <= last < chain.level_of(model, "conv3b")
    first = chain.level_of(model, "conv1a")
    assert chain.boxes({first: ((4, 5), (9, 10), (9, 10))}, deciding=(nn.MaxPool3d,)) == [
        ((3, 6), (8, 11), (8, 11)),
        ((4, 5), (9, 10), (9, 10)),
        ((4, 5), (9, 10), (9, 10)),
    ]


def test_a_whole_pass_has_the_models_own_bits() -> None:
    """Not close but equal: a last bit may decide which cell a pooling takes."""
    model = C3D(5, width=8, fc=8).eval()
    initialise(model, 3)
    x = clip((1, 3, 16, 112, 112))
    chain = chain_of(model, x.shape[1:])
    unit = Unit("conv5b", 2)
    with torch.no_grad():
        record = forward(chain, x, [(chain.level_of(model, "conv5b"), unit)], "guided")
    seen = trace(model, x, ["conv5b", "conv3a"], switches=True)
    assert record.found[chain.level_of(model, "conv5b"), unit][1] == float(
        seen.activations["conv5b"][2].max()
    )
    passed = record.passed[chain.level_of(model, "conv3a")]
    assert torch.equal(passed, seen.activations["conv3a"] > 0)
    assert sorted(record.switches) == [chain.level_of(model, f"pool{n}") for n in range(1, 5)]
    for name, switches in seen.switches.items():
        found = record.switches[chain.level_of(model, name)]
        signal = torch.ones(switches.shape)
        grid = chain.shapes[chain.level_of(model, name) - 1][1:]
        pooled = chain.full(chain.level_of(model, name))
        values, _ = unpool(model.get_submodule(name), signal, pooled, found, grid)
        assert torch.equal(
            values.flatten(1).nonzero()[:, 1].view(len(signal), -1),
            switches.flatten(1).sort(dim=1).values,
        )


def test_union_of_boxes() -> None:
    assert union([((0, 1), (4, 9)), ((3, 5), (2, 5))]) == ((0, 5), (2, 9))


def test_shallow_units_get_a_pass_of_their_own_and_deep_ones_share() -> None:
    model = C3D(5, width=4, fc=8)
    chain = chain_of(model, (3, 16, 112, 112))
    shallow = [(chain.level_of(model, "conv3b"), Unit("conv3b", c, (4, 9, 9))) for c in range(2)]
    deep = [(chain.level_of(model, "conv5b"), Unit("conv5b", c, (0, 3, 3))) for c in range(2)]
    far = [
        (chain.level_of(model, "conv3b"), Unit("conv3b", 0, at)) for at in ((0, 0, 0), (7, 27, 27))
    ]
    passes = Forward(chain, "guided", torch.zeros(()))
    assert passes.share(deep) == (deep, set())
    together, alone = passes.share(far)  # their common box would be the whole clip
    assert (together, alone) == ([], set(far)) or (len(together), len(alone)) == (1, 1)
    together, alone = passes.share(shallow + deep)
    assert set(together) | alone == set(shallow + deep)
    assert set(deep) <= set(together)
