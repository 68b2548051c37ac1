"""The network's facts: sizes, counts and fields, against the published table and by hand."""

from __future__ import annotations

from math import prod

import pytest
import torch
from torch import Tensor, nn

from c3d_viz.errors import LayerError, ShapeError
from c3d_viz.nets.c3d import (
    C3D,
    CONV_LAYERS,
    FC_LAYERS,
    LAYERS,
    initialise,
    receptive_field,
)
from c3d_viz.nets.layers import layer_module

# layer: (output shape, parameters, GMAC) with 487 classes
TABLE = {
    "conv1a": ((64, 16, 112, 112), 5_248, 1.040),
    "pool1": ((64, 16, 56, 56), 0, 0),
    "conv2a": ((128, 16, 56, 56), 221_312, 11.098),
    "pool2": ((128, 8, 28, 28), 0, 0),
    "conv3a": ((256, 8, 28, 28), 884_992, 5.549),
    "conv3b": ((256, 8, 28, 28), 1_769_728, 11.098),
    "pool3": ((256, 4, 14, 14), 0, 0),
    "conv4a": ((512, 4, 14, 14), 3_539_456, 2.775),
    "conv4b": ((512, 4, 14, 14), 7_078_400, 5.549),
    "pool4": ((512, 2, 7, 7), 0, 0),
    "conv5a": ((512, 2, 7, 7), 7_078_400, 0.694),
    "conv5b": ((512, 2, 7, 7), 7_078_400, 0.694),
    "pool5": ((512, 1, 4, 4), 0, 0),
    "flatten": ((8192,), 0, 0),
    "fc6": ((4096,), 8192 * 4096 + 4096, 8192 * 4096 / 1e9),
    "fc7": ((4096,), 4096 * 4096 + 4096, 4096 * 4096 / 1e9),
    "fc8": ((487,), 4096 * 487 + 487, 4096 * 487 / 1e9),
}


def on_meta(**settings: object) -> C3D:
    with torch.device("meta"):
        return C3D(**{"num_classes": 487, **settings})


def walk_shapes(model: C3D) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    handles = [
        module.register_forward_hook(
            lambda _m, _i, output, name=name: shapes.__setitem__(name, tuple(output.shape[1:]))
        )
        for name, module in model.named_children()
    ]
    answer = model(torch.zeros(1, 3, 16, 112, 112, device="meta"))
    assert tuple(answer.shape) == (1, model.num_classes)
    for handle in handles:
        handle.remove()
    return shapes


@pytest.mark.parametrize("pool5", ["ceil", "padded"])
def test_every_shape_count_and_multiplication_of_the_table(pool5: str) -> None:
    model = on_meta(pool5=pool5)
    shapes = walk_shapes(model)
    total = 0.0
    for name, (shape, parameters, gmac) in TABLE.items():
        module = getattr(model, name)
        assert shapes[name] == shape, name
        assert sum(p.numel() for p in module.parameters()) == parameters, name
        if isinstance(module, nn.Conv3d):  # weight numbers x places it is applied at
            counted = module.weight.numel() * prod(shapes[name][1:]) / 1e9
            assert counted == pytest.approx(gmac, abs=5e-4), name
            total += counted
    assert total == pytest.approx(38.50, abs=0.005)


def test_parameter_counts() -> None:
    def count(**settings: object) -> int:
        return sum(p.numel() for p in on_meta(**settings).parameters())

    assert count() == 79_991_015
    assert round(count(num_classes=101) / 1e6, 2) == 78.41
    assert count(pool5="padded") == 79_991_015
    # kernels of depth d hold d / 3 of the weights of depth 3
    convs = sum(TABLE[name][1] for name in CONV_LAYERS)
    biases = 64 + 128 + 256 * 2 + 512 * 4
    for depth in (1, 5, 7):
        expected = 79_991_015 - convs + biases + (convs - biases) * depth // 3
        assert count(temporal_depths=(depth,) * 5) == expected
    assert count(width=16, fc=512, num_classes=60) == (
        5_248 // 4 + sum((TABLE[n][1] - TABLE[n][0][0]) // 16 + TABLE[n][0][0] // 4
                         for n in CONV_LAYERS[1:])
        + 2048 * 512 + 512 + 512 * 512 + 512 + 512 * 60 + 60
    )  # fmt: skip


@pytest.mark.parametrize("depths", [(1,) * 5, (5,) * 5, (7,) * 5, (3, 3, 5, 5, 7), (7, 5, 5, 3, 3)])
def test_temporal_depths_change_kernels_and_no_shape(depths: tuple[int, ...]) -> None:
    model = on_meta(temporal_depths=depths)
    assert walk_shapes(model) == walk_shapes(on_meta())
    assert [getattr(model, n).kernel_size[0] for n in CONV_LAYERS] == [
        depths[int(n[4]) - 1] for n in CONV_LAYERS
    ]
    assert model.temporal_depths == depths


def test_pool5_takes_other_rows_in_its_two_forms() -> None:
    """Seven rows: clipped windows {0,1} {2,3} {4,5} {6}; padded ones {0} {1,2} {3,4} {5,6}."""
    rows = torch.arange(7.0)[:, None].expand(7, 7).expand(1, 1, 2, 7, 7)
    ceil = C3D(2, width=1, fc=2).pool5(rows)
    padded = C3D(2, width=1, fc=2, pool5="padded").pool5(rows)
    assert ceil[0, 0, 0, :, 0].tolist() == [1, 3, 5, 6]
    assert padded[0, 0, 0, :, 0].tolist() == [0, 2, 4, 6]
    both = torch.arange(49.0).view(1, 1, 1, 7, 7).expand(1, 1, 2, 7, 7)
    assert C3D(2, width=1, fc=2).pool5(both)[0, 0, 0].tolist() == [
        [8, 10, 12, 13], [22, 24, 26, 27], [36, 38, 40, 41], [43, 45, 47, 48],
    ]  # fmt: skip
    assert C3D(2, width=1, fc=2, pool5="padded").pool5(both)[0, 0, 0].tolist() == [
        [0, 2, 4, 6], [14, 16, 18, 20], [28, 30, 32, 34], [42, 44, 46, 48],
    ]  # fmt: skip


def test_receptive_fields() -> None:
    model = on_meta()
    size = {layer: receptive_field(model, layer).size for layer in CONV_LAYERS}
    assert size["conv1a"] == (3, 3, 3)
    assert size["conv2a"][1:] == (8, 8)
    assert size["conv3b"][1:] == (26, 26)
    assert size["conv4b"][1:] == (62, 62)
    assert size["conv5b"] == (68, 134, 134)
    assert receptive_field(model, "conv5b").step == (8, 16, 16)
    assert receptive_field(model, "conv2a").start == (-2, -3, -3)
    flat = receptive_field(on_meta(temporal_depths=(1,) * 5), "conv5b")
    assert flat.size == (8, 134, 134)  # the pools alone join frames
    with pytest.raises(LayerError, match="fully connected"):
        receptive_field(model, "fc6")


def test_receptive_field_is_where_a_unit_looks() -> None:
    """All weights positive and the input too: the slope is positive exactly inside the field."""
    model = C3D(2, width=1, fc=2).double().eval()
    for parameter in model.parameters():
        parameter.data.fill_(0.1)
    x = torch.rand(1, 3, 16, 112, 112, dtype=torch.float64, requires_grad=True)
    value: Tensor = x
    for module in model:
        if isinstance(module, nn.MaxPool3d):  # a mean sees its whole window, a maximum one cell
            module = nn.AvgPool3d(module.kernel_size, module.stride)
        value = module(value)
        if module is model.relu3b:
            break
    at = (4, 10, 3)
    (slope,) = torch.autograd.grad(value[(0, 0, *at)], x)
    cells = (slope[0, 0] > 0).nonzero()
    field = receptive_field(model, "conv3b")
    for axis in range(3):
        low = field.start[axis] + at[axis] * field.step[axis]
        high = low + field.size[axis] - 1
        assert int(cells[:, axis].min()) == max(low, 0)
        assert int(cells[:, axis].max()) == min(high, x.shape[2 + axis] - 1)


def test_layers_are_named_as_in_the_paper_and_mean_the_output_after_the_relu() -> None:
    model = C3D(2, width=1, fc=2)
    assert LAYERS == CONV_LAYERS + FC_LAYERS
    assert layer_module(model, "conv3b") is model.relu3b
    assert layer_module(model, "fc6") is model.relu6
    assert layer_module(model, "fc8") is model.fc8
    assert layer_module(model, "pool2") is model.pool2
    other = nn.Sequential(nn.Conv3d(1, 1, 1))
    assert layer_module(other, "0") is other[0]
    with pytest.raises(LayerError, match="no layer 'conv6'; this model has conv1a, conv2a"):
        layer_module(model, "conv6")
    with pytest.raises(LayerError, match=r"no layer .x.; this model has 0$"):
        layer_module(other, "x")
    relus = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    assert len(relus) == 10
    assert not any(relu.inplace for relu in relus)


@pytest.mark.parametrize("shape", [(1, 3, 15, 112, 112), (1, 3, 16, 112, 171), (3, 16, 112, 112)])
def test_other_shapes_are_refused_at_the_boundary(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"C3D takes \(N, 3, 16, 112, 112\), got"):
        C3D(2, width=1, fc=2)(torch.zeros(shape))


def test_a_batch_is_as_many_rows_of_logits() -> None:
    model = C3D(4, width=1, fc=3).eval()
    x = torch.randn(2, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        both = model(x)
        torch.testing.assert_close(both[1:], model(x[1:]))
    assert tuple(both.shape) == (2, 4)


@pytest.mark.parametrize("depths", [(3, 3, 3), (2, 3, 3, 3, 3), (3, 3, 3, 3, -1)])
def test_bad_depths_are_refused(depths: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="five odd positive numbers"):
        C3D(2, temporal_depths=depths)


def test_bad_pool5_is_refused() -> None:
    with pytest.raises(ShapeError, match="'ceil' or 'padded', got 'floor'"):
        C3D(2, pool5="floor")  # type: ignore[arg-type]


def test_initialise_is_seeded_and_leaves_the_global_generator_alone() -> None:
    one, two, three = (C3D(3, width=4, fc=8) for _ in range(3))
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    initialise(one, seed=5)
    assert torch.equal(torch.rand(3), expected)
    initialise(two, seed=5)
    initialise(three, seed=6)
    for a, b, c in zip(one.parameters(), two.parameters(), three.parameters(), strict=True):
        assert torch.equal(a, b)
        if a.ndim > 1:
            assert not torch.equal(a, c)
    weight = one.conv5b.weight  # He: variance 2 / fan-in
    assert float(weight.detach().std()) == pytest.approx((2 / (32 * 27)) ** 0.5, rel=0.05)
    assert not any(bool(p.any()) for name, p in one.named_parameters() if name.endswith("bias"))
    initialise(one, seed=5, scheme="release")
    assert float(one.conv5b.weight.detach().std()) == pytest.approx(0.01, rel=0.05)
    assert float(one.fc6.weight.detach().std()) == pytest.approx(0.005, rel=0.1)
    assert {float(p.detach().mean()) for name, p in one.named_parameters() if name.endswith("bias")
            and name.split(".")[0] not in ("conv1a", "fc8")} == {1.0}  # fmt: skip
