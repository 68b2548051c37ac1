"""The explicit walk equals the general engine, on cropped fields as on whole clips."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from nets import MINI_INPUT, MINI_LAYERS, RULES, clip, mini_c3d, relative, state, walk_back
from torch import Tensor, nn

from c3d_viz.engine.chain.boxes import Window, chain_of, union
from c3d_viz.engine.chain.field import field_of
from c3d_viz.engine.chain.forward import Forward, forward
from c3d_viz.engine.chain.signals import unpool
from c3d_viz.engine.chain.walk import backproject_chain
from c3d_viz.engine.general import backproject
from c3d_viz.engine.tracing import Unit, trace
from c3d_viz.nets.c3d import C3D, initialise


def by_chain(
    net: nn.Module, x: Tensor, units: list[Unit], rule: str, precision: str = "float32"
) -> list[Tensor]:
    chain = chain_of(net, x.shape[1:])
    assert chain is not None
    keys = [(chain.level_of(net, unit.layer), unit) for unit in units]
    return [b.values for b in backproject_chain(chain, x, keys, rule, precision=precision)]


def spread(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """A corner, the opposite corner, an edge, and the centre of a (T, H, W) grid."""
    t, h, w = shape
    return [(0, 0, 0), (t - 1, h - 1, w - 1), (t // 2, 0, w // 2), (t // 2, h // 2, w // 2)]


def same(values: Tensor, expected: Tensor, bound: float) -> bool:
    top = float(expected.abs().max())
    return float((values - expected).abs().max()) <= bound * top


# ---- equality


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
    together = by_chain(net, x, units, rule)
    live = 0
    for values, back in zip(together, backproject(net, x, units, rule), strict=True):
        assert same(values, back.values, 1e-5), back.unit
        live += bool(back.values.abs().max() > 0)
        if back.unit.layer in ("relu1a", "relu3b", "relu5b"):
            (alone,) = by_chain(net, x, [back.unit], rule)  # a forward pass over its field only
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
    for unit, values in zip(units, by_chain(net, x, units, rule), strict=True):
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
    units += [Unit("1", 2), Unit("5", 0, (3, 2, 4)), Unit("3", 1), Unit("4", 2), Unit("0", 2)]
    for values, back in zip(
        by_chain(net, x, units, rule), backproject(net, x, units, rule), strict=True
    ):
        assert same(values, back.values, 1e-12), back.unit


def test_bf16_is_a_close_preview() -> None:
    net, x = mini_c3d(width=4), clip()
    for rule in RULES:
        units = [Unit("relu5b", c) for c in range(3)]
        exact = by_chain(net, x, units, rule)
        rough = by_chain(net, x, units, rule, precision="bf16")
        for a, b in zip(exact, rough, strict=True):
            assert b.dtype == torch.float32
            cosine = torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0)
            assert cosine > 0.99
            assert not torch.equal(a, b)


def test_the_callers_clip_is_not_written_to() -> None:
    net = nn.Sequential(nn.ReLU(inplace=True), nn.Conv3d(1, 1, 1))
    x = clip((1, 1, 2, 3, 3))
    before = x.clone()
    by_chain(net, x, [Unit("1", 0)], "guided")
    assert torch.equal(x, before)
    list(backproject(net, x, [Unit("1", 0)], "guided"))
    assert torch.equal(x, before)


def test_two_runs_and_eight_threads_give_the_same_bits() -> None:
    net, x = mini_c3d(), clip()
    before = state(net)
    jobs = [(rule, [Unit("relu5b", c), Unit("relu3a", c)]) for rule in RULES for c in range(3)] * 2
    serial = [by_chain(net, x, units, rule) for rule, units in jobs]
    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(lambda job: by_chain(net, x, job[1], job[0]), jobs))
    for one, other in zip(serial, parallel, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert state(net) == before


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


@pytest.mark.parametrize("layer", ["relu1a", "relu2a", "relu3b", "pool3", "relu5b", "fc7", "drop6"])
def test_a_field_is_the_same_problem_on_fewer_pixels(layer: str) -> None:
    net, x = mini_c3d().double(), clip(dtype=torch.float64)
    chain = chain_of(net, x.shape[1:])
    level = chain.level_of(net, layer)
    grid = chain.shapes[level][1:]
    for at in spread(grid) if grid else [()]:
        unit = Unit(layer, 1, at)
        field = field_of(chain, x, level, unit)
        whole = next(backproject(net, x, [unit], "guided"))
        part = next(backproject(field.model, field.x, [field.unit], "guided"))
        assert part.activation == pytest.approx(whole.activation, rel=1e-12)
        pasted = field.paste(part.values[None], x)[0]
        assert float((pasted - whole.values).abs().max()) <= 1e-12
        if layer in ("relu1a", "relu2a"):
            assert field.x.numel() < 0.1 * x.numel()


def test_full_size_layers_match_on_c3d_itself(tiny_c3d: C3D) -> None:
    x = clip((1, 3, 16, 112, 112))
    units = [Unit("conv5b", 1), Unit("conv3b", 2), Unit("conv1a", 0), Unit("fc6", 3)]
    for values, back in zip(
        by_chain(tiny_c3d, x, units, "deconvnet"),
        backproject(tiny_c3d, x, units, "deconvnet"),
        strict=True,
    ):
        assert relative(values, back.values) <= 1e-5
