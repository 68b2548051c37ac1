"""Kernels of a network: which convolution, in which colours, and what a command writes."""

from __future__ import annotations

import csv
import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import call
from PIL import Image
from test_units_spectrum import drifting
from torch import nn

from c3d_viz.errors import LayerError, VizError
from c3d_viz.nets import CAFFE_INPUT, COMPACT_INPUT, KINETICS_INPUT
from c3d_viz.units import first_kernels, kernel_sheet, read_kernel
from c3d_viz.units.sheet import says


def net(*films: np.ndarray, **options: int) -> nn.Sequential:
    """A network whose first layer has these kernels (C, T, H, W)."""
    weight = torch.from_numpy(np.stack(films)).float()
    convolution = nn.Conv3d(3, len(films), tuple(weight.shape[2:]), **options)  # type: ignore[arg-type]
    convolution.weight.data.copy_(weight)
    return nn.Sequential(convolution, nn.ReLU(), nn.Conv3d(len(films), 2, 1))


def test_channels_keep_their_places() -> None:
    films = [
        drifting(90, 1.5, 0.2),
        np.repeat(drifting(0, 0, 0.2)[:, :1], 9, 1),
        drifting(180, 1, 0.2),
    ]
    found = first_kernels(net(*films), COMPACT_INPUT)
    assert found.layer == "0"
    assert [reading.channel for reading in found.readings] == [0, 1, 2]
    assert [reading.kind for reading in found.readings] == ["moving", "static", "moving"]
    assert [round(found.readings[i].direction) for i in (0, 2)] == [90, 180]
    assert found.values == pytest.approx(np.stack(films) / 60, abs=1e-6)  # COMPACT_INPUT's scale


def test_colours_are_those_of_the_clip() -> None:
    blue = net(drifting(0, 1, 0.2, colour=(1.0, 0.0, 0.0)))  # the first channel
    assert first_kernels(blue, COMPACT_INPUT).readings[0].colour == pytest.approx((1, 0, 0))
    assert first_kernels(blue, CAFFE_INPUT).readings[0].colour == pytest.approx((0, 0, 1))
    std = first_kernels(net(drifting(0, 1, 0.2)), KINETICS_INPUT).values
    assert std[0, 1] / std[0, 0] == pytest.approx(np.full((9, 15, 15), 0.22803 / 0.22145), rel=1e-4)


def test_dilation_is_part_of_the_kernel() -> None:
    found = first_kernels(net(drifting(0, 1, 0.2), dilation=2, padding=8), COMPACT_INPUT)
    assert found.values.shape == (1, 3, 17, 29, 29)
    assert np.count_nonzero(found.values[:, :, 1::2]) == 0
    assert found.values[0, :, ::2, ::2, ::2] == pytest.approx(drifting(0, 1, 0.2) / 60, abs=1e-6)


def test_what_is_refused() -> None:
    model = net(drifting(0, 1, 0.2))
    with pytest.raises(LayerError, match="no Conv3d 'conv1a'; this model has 0, 2"):
        first_kernels(model, COMPACT_INPUT, "conv1a")
    with pytest.raises(LayerError, match="2 does not look at the pixels"):
        first_kernels(model, COMPACT_INPUT, "2")
    with pytest.raises(LayerError, match="Sequential has no Conv3d"):
        first_kernels(nn.Sequential(nn.Flatten()), COMPACT_INPUT)
    model[0].weight.data[0, 0, 0, 0, 0] = torch.nan
    with pytest.raises(VizError, match="NaN"):
        first_kernels(model, COMPACT_INPUT)


class Late(nn.Module):
    """Calls first what was made last, and looks at the pixels again later."""

    def __init__(self) -> None:
        super().__init__()
        self.late, self.unused = nn.Conv3d(3, 2, 1), nn.Conv3d(3, 2, 3)
        self.fast, self.stem = nn.Conv3d(3, 4, (1, 3, 3)), nn.Conv3d(3, 3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        deep = self.late(torch.relu(self.stem(x)))
        return deep.mean((2, 3, 4)) + self.fast(x[:, :, ::2]).mean((2, 3, 4))[:, :2]


def test_what_looks_at_the_pixels_is_told_by_what_it_is_given() -> None:
    model = Late().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert first_kernels(model, COMPACT_INPUT).layer == "stem"
    assert first_kernels(model, COMPACT_INPUT, "fast").values.shape == (4, 3, 1, 3, 3)
    said = "late does not look at the pixels: what it is given is not the clip; .* stem, fast$"
    with pytest.raises(LayerError, match=said):
        first_kernels(model, COMPACT_INPUT, "late")
    with pytest.raises(LayerError, match=r"unused .*: not called for a clip; these .* stem, fast$"):
        first_kernels(model, COMPACT_INPUT, "unused")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())


class Prepared(nn.Module):
    """Takes a mean off the clip itself, in front of its first convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv3d(3, 3, 3), nn.Conv3d(3, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first((x - 0.4) / 0.2).relu()).mean((2, 3, 4))


def test_what_a_network_does_to_its_clip_is_part_of_the_input() -> None:
    assert first_kernels(Prepared().eval(), COMPACT_INPUT).layer == "first"


def test_a_kernel_of_a_group_is_blind_to_the_others() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv3d(3, 6, 3, groups=3), nn.ReLU()).eval()
    values = first_kernels(model, COMPACT_INPUT).values
    own = model[0].weight.detach().numpy()[:, 0] / 60  # COMPACT_INPUT's scale
    for k in range(6):
        assert values[k, k // 2] == pytest.approx(own[k], abs=1e-7)
        assert np.count_nonzero(np.delete(values[k], k // 2, axis=0)) == 0


def test_the_sheet_is_on_one_scale() -> None:
    found = first_kernels(net(drifting(0, 1, 0.2), 0.1 * drifting(0, 1, 0.2)), COMPACT_INPUT)
    page = kernel_sheet(found.values, found.readings, "title", "weights").astype(int)
    middle = 28 + (9 * 64) // 2
    strong, weak = page[:, :middle], page[:, page.shape[1] - middle :]
    contrast = [np.abs(half - 128)[(half != 255).all(2)].max() for half in (strong, weak)]
    assert contrast[0] > 100


def test_what_stands_under_a_kernel() -> None:
    still = np.zeros((3, 1, 15, 15))
    still[:, 0] = drifting(0, 0, 0.2)[:, 4]
    even = np.ones((3, 2, 3, 3)) * np.array([1.0, -1.0])[None, :, None, None]
    lines = [says(read_kernel(k))[0] for k in (drifting(90, 1.5, 0.2), still, even, still * 0)]
    assert lines[0].startswith("moves ↑ 9")
    assert lines[0].endswith("1.5 px/frame")
    assert lines[1:] == [
        "static, bars at 90°",
        "changing, even surface",
        "empty: all weights are zero",
    ]


def test_no_number_under_a_kernel_is_below_0_by_rounding_alone() -> None:
    grey = np.random.default_rng(0).normal(size=(200, 1, 3, 3, 3)).repeat(3, 1)  # R = G = B
    readings = [read_kernel(kernel) for kernel in grey]
    assert {reading.opponency for reading in readings if reading.opponency < 1e-9} >= {0.0}
    assert min(reading.opponency for reading in readings) == 0  # of some it came out as -2e-16
    assert not any("-0" in words for reading in readings for words in says(reading))
    turned = replace(readings[0], kind="moving", direction=359.7, speed=1.0)
    assert "→ 0°" in says(turned)[0]
    upright = replace(readings[0], kind="static", orientation=179.8)
    assert says(upright)[0] == "static, bars at 0°"


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "kernels"
    words = ["units", "kernels", "--weights", "random", "--seed", "3", "-o", str(out)]
    status, said, _ = call(capsys, *words)
    assert status == 0
    assert str(out / "kernels.png") in said
    names = {"kernels.csv", "kernels.gif", "kernels.json", "kernels.npz", "kernels.png"}
    manifest = json.loads((out / "manifest.json").read_text())
    assert set(manifest["files"]) == names
    assert {p.name for p in out.iterdir()} == {*names, "manifest.json"}
    assert manifest["model"]["weights"] == "random weights (seed 3), untrained"
    assert sum(manifest["summary"]["kinds"].values()) == 16
    table = list(csv.DictReader((out / "kernels.csv").read_text().splitlines()))
    data = json.loads((out / "kernels.json").read_text())["kernels"]
    assert [int(row["channel"]) for row in table] == list(range(16))
    for row, entry in zip(table, data, strict=True):
        assert float(row["direction_index"]) == pytest.approx(entry["direction_index"], rel=1e-4)
        assert float(row["blue"]) == pytest.approx(entry["colour"][2], rel=1e-4)
    with Image.open(out / "kernels.gif") as film:
        assert film.n_frames == 3

    again = shlex.split(manifest["command"])[1:]
    again[again.index(str(out))] = str(tmp_path / "again")
    assert call(capsys, *again)[0] == 0
    assert (
        json.loads((tmp_path / "again" / "manifest.json").read_text())["files"] == manifest["files"]
    )

    status, said, error = call(capsys, *words)
    assert (status, said, error.count("\n")) == (2, "", 1)
    assert "is there already; name a new folder" in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--layer", "conv2a"], "does not look at the pixels"),
        (["--layer", "fc6"], "no Conv3d 'fc6'"),
    ],
)
def test_a_refusal_leaves_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], said: str
) -> None:
    status, _, error = call(capsys, "units", "kernels", *words, "-o", str(tmp_path / "out"))
    assert (status, error.count("\n")) == (2, 1)
    assert said in error
    assert list(tmp_path.iterdir()) == []
