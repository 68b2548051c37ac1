"""Measured receptive fields against brute force: which cells of the clip can poison a unit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from nets import Normalised, Residual, mini_c3d, state
from torch import Tensor, nn

from c3d_viz.engine import called_layers, groups_of, layer_tree, receptive_fields, tree_text
from c3d_viz.errors import LayerError
from c3d_viz.nets import COMPACT_INPUT, ModelSpec, ReceptiveField, receptive_field
from c3d_viz.weights import load_model

SHAPE = (3, 12, 30, 26)


class Mixed(nn.Module):
    """Overlapping pooling, factorised, dilated, grouped and strided convolutions, in-place sums."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv3d(3, 4, (1, 5, 5), stride=(1, 2, 2), padding=(0, 2, 2))
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.norm = nn.BatchNorm3d(4)
        self.time = nn.Conv3d(4, 4, (3, 1, 1), padding=(1, 0, 0), groups=2)
        self.wide = nn.Conv3d(4, 4, 3, padding=2, dilation=2, bias=False)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(torch.relu(self.stem(x)))
        y = self.act(self.norm(self.time(x)))
        y += x
        return self.wide(y).clamp_(min=0)


class Pooled(nn.Module):
    """A pooling whose kernel is larger than its grid, which only its padding makes possible."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv3d(3, 4, 3, stride=(6, 2, 2))
        self.pool = nn.MaxPool3d(3, 1, 1)
        self.ceil = nn.MaxPool3d(2, (1, 3, 3), ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.ceil(self.pool(self.stem(x)) * 1)


class Gated(nn.Module):
    """Squeeze and excitation: every unit depends on the whole clip."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv3d(3, 4, 3, padding=1)
        self.gate = nn.Conv3d(4, 4, 1)
        self.scaled = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.scaled(x * self.gate(x.mean((2, 3, 4), keepdim=True)).sigmoid())


class Normed(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv3d(3, 4, 3), nn.GroupNorm(2, 4), nn.ReLU())


class Upward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.down = nn.Conv3d(3, 4, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose3d(4, 6, 4, 2, 1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x))


def extent(model: nn.Module, layer: str, at: tuple[int, ...]) -> list[tuple[int, int]]:
    """First and last slab on each axis which, full of NaN, makes the unit NaN."""
    kept: list[Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda _m, _x, y: kept.append(y + 0))
    found = []
    with torch.no_grad():
        for axis, length in enumerate(SHAPE[1:], start=2):
            poisoned = []
            for index in range(length):
                x = torch.rand(1, *SHAPE)
                x.select(axis, index).fill_(float("nan"))
                kept.clear()
                model(x)
                if bool(kept[-1][(0, slice(None), *at)].isnan().any()):
                    poisoned.append(index)
            found.append((poisoned[0], poisoned[-1]))
    hook.remove()
    return found


@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (Mixed, "stem"),
        (Mixed, "pool"),
        (Mixed, "time"),
        (Mixed, "act"),
        (Mixed, "wide"),
        (Residual, "first"),
        (Residual, "second"),
        (Residual, "down"),
        (Normalised, "top"),
        (Gated, "conv"),
        (Gated, "scaled"),
        (Normed, "1"),
        (Upward, "down"),
        (Pooled, "pool"),
        (Pooled, "ceil"),
    ],
)
def test_the_field_is_what_can_poison_a_unit(make: Callable[[], nn.Module], layer: str) -> None:
    model = make().eval()
    before = state(model)
    field = receptive_fields(model, SHAPE, [layer])[layer]
    assert field is not None
    assert state(model) == before
    grid = called_layers(model, SHAPE)[layer][1:]
    for at in (tuple(n // 2 for n in grid), tuple(n // 3 for n in grid), (0, 0, 0)):
        for (low, high), i, size, step, start, limit in zip(
            extent(model, layer, at), at, field.size, field.step, field.start, SHAPE[1:],
            strict=True,
        ):  # fmt: skip
            box = (max(0, start + i * step), min(limit, start + i * step + size) - 1)
            if size == limit and step == 0:  # said to be seen whole
                assert box[0] <= low <= high <= box[1]
            else:
                assert box == (low, high)


def test_numbers_known_by_hand() -> None:
    fields = receptive_fields(Mixed().eval(), SHAPE, ["stem", "pool", "time"])
    assert fields["stem"] == ReceptiveField((1, 5, 5), (1, 2, 2), (0, -2, -2))
    assert fields["pool"] == ReceptiveField((1, 9, 9), (1, 4, 4), (0, -4, -4))
    assert fields["time"] == ReceptiveField((3, 9, 9), (1, 4, 4), (-1, -4, -4))
    whole = ReceptiveField(SHAPE[1:], (0, 0, 0), (0, 0, 0))
    assert receptive_fields(Gated().eval(), SHAPE, ["scaled"])["scaled"] == whole


def test_an_uneven_grid_is_a_superset() -> None:
    """Neighbours behind an upsampling do not see boxes one step apart; none sees more than said."""
    model = Upward().eval()
    field = receptive_fields(model, SHAPE, ["up"])["up"]
    assert field is not None
    for at in ((0, 0, 0), (5, 14, 12), (6, 15, 13), (7, 16, 14), (11, 29, 25)):
        for (low, high), i, size, step, start in zip(
            extent(model, "up", at), at, field.size, field.step, field.start, strict=True
        ):
            assert start + i * step <= low <= high < start + i * step + size


def test_chains_are_calculated() -> None:
    net = mini_c3d()
    names = ["conv1a", "pool2", "conv5b", "fc7"]
    fields = receptive_fields(net, (3, 16, 56, 56), names)
    assert fields.pop("fc7") is None
    assert fields == {name: receptive_field(net, name) for name in names[:3]}
    model, _ = load_model("compact")
    assert receptive_fields(model, (3, 16, 112, 112), ["conv5b"]) == {
        "conv5b": receptive_field(model, "conv5b")
    }
    with pytest.raises(LayerError, match="no layer 'konv'; this model has"):
        receptive_fields(Mixed().eval(), SHAPE, ["konv"])


class Wrapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Module()
        self.net.blocks = nn.ModuleList([nn.Conv3d(3, 2, 3), nn.Conv3d(2, 2, 3)])
        self.net.unused = nn.Conv3d(1, 1, 1)
        self.net.head = nn.Sequential(nn.Flatten(), nn.LazyLinear(5))
        self.net.forward = self.run
        self.eval()
        self(torch.zeros(1, *SHAPE))

    def run(self, x: Tensor) -> Tensor:
        for block in self.net.blocks:
            x = block(x)
        return self.net.head(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def test_the_tree_and_its_groups() -> None:
    model = Wrapped()
    called = called_layers(model, SHAPE)
    assert called["net.blocks.1"] == (2, 8, 26, 22)
    assert "net.unused" not in called
    assert groups_of(model, called) == ("net.blocks.0", "net.blocks.1", "net.head")
    assert groups_of(Mixed(), called_layers(Mixed().eval(), SHAPE)) == (
        "stem", "pool", "norm", "time", "wide", "act",
    )  # fmt: skip
    told: list[tuple[int, int, str]] = []
    rows = layer_tree(model, SHAPE, lambda *what: told.append(what))
    assert [row.layer for row in rows] == list(called)
    assert told[0] == (0, len(rows), "net")
    assert told[-1][:2] == (len(rows), len(rows))
    by_name = {row.layer: row for row in rows}
    assert by_name["net.blocks.1"].field == ReceptiveField((5, 5, 5), (1, 1, 1), (0, 0, 0))
    assert by_name["net.blocks.1"].parameters == 2 * 2 * 27 + 2
    assert by_name["net.head"].field is None
    spec = ModelSpec("net.py:build", "of mine", None, COMPACT_INPUT.replace(frames=12), 5)
    text = tree_text(rows, groups_of(model, called), model, spec)
    assert "groups: net.blocks.0, net.blocks.1, net.head" in text
    assert "5 x 5 x 5" in text
    assert f"{sum(p.numel() for p in model.parameters()):,}" in text.splitlines()[-1]


class Coupled(nn.Module):
    """A softmax over time, beside a pooling whose last window hangs over the border."""

    def __init__(self) -> None:
        super().__init__()
        self.point, self.strided = nn.Conv3d(3, 4, 1), nn.Conv3d(3, 4, 3, 2, 1)
        self.over_time, self.pool = nn.Softmax(2), nn.MaxPool3d(2, ceil_mode=True)
        self.both = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        known = self.over_time(self.point(x))
        return self.both(self.pool(known) + self.strided(x))


def test_a_softmax_couples_its_own_axis_and_a_pooling_may_hang_over() -> None:
    found = receptive_fields(Coupled().eval(), (3, 7, 13, 15), ["over_time", "pool", "both"])
    sizes = {name: (field.size, field.step) for name, field in found.items() if field is not None}
    assert sizes == {
        "over_time": ((7, 1, 1), (0, 1, 1)),
        "pool": ((7, 2, 2), (0, 2, 2)),
        "both": ((7, 3, 3), (0, 2, 2)),
    }


def test_a_network_in_inference_mode_is_not_seen_through() -> None:
    class Inferring(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            with torch.inference_mode():
                return super().forward(x)

    net = Inferring(nn.Conv3d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 2, 1)).eval()
    assert receptive_fields(net, (3, 4, 6, 6), ["0", "2"]) == {"0": None, "2": None}
