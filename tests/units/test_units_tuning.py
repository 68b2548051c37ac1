"""Planted filters come out with their direction and speed; a 2D network has no direction."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import call
from test_units_spectrum import drifting
from torch import nn

from c3d_viz.nets import InputSpec
from c3d_viz.synthetic import drifting_grating, drifting_sprite, drifting_texture
from c3d_viz.units import Responses, Tuning, respond, tuning_of
from c3d_viz.units.reach import Reach
from c3d_viz.units.tuning import (
    COARSE,
    DIRECTIONS,
    FULL,
    Clips,
    Condition,
    conditions,
    sweep,
)

SMALL = InputSpec("RGB", (127.5, 127.5, 127.5), 1 / 60, (32, 32), (32, 32), 8)
PLANTED = ((90, 1.0), (210, 2.25))


def first_layer(kernels: list[np.ndarray], padding: tuple[int, ...]) -> nn.Sequential:
    weight = torch.from_numpy(np.stack(kernels)).float()
    layer = nn.Conv3d(3, len(kernels), tuple(weight.shape[2:]), padding=padding, bias=False)  # type: ignore[arg-type]
    layer.weight.data.copy_(weight)
    return nn.Sequential(layer, nn.ReLU()).eval()


@pytest.fixture(scope="module")
def clips() -> Clips:
    return Clips(SMALL)


def planted_model() -> nn.Sequential:
    shape = (7, 15, 15)
    films = [drifting(d, s, 1 / 7, shape) for d, s in PLANTED]
    still = np.zeros((3, *shape))
    still[:, 3] = drifting(60, 0, 1 / 7, shape)[:, 3]
    return first_layer([*films, still, films[0] * 0, films[0] + films[0][:, ::-1]], (3, 7, 7))


@pytest.fixture(scope="module")
def planted(clips: Clips) -> tuple[Tuning, Responses]:
    model = planted_model()
    responses = sweep(model, clips, ["1"])["1"]
    return tuning_of(responses), responses


def test_a_planted_direction_comes_out(planted: tuple[Tuning, Responses]) -> None:
    tuning, responses = planted
    assert responses.grating.shape == (5, 12, 5, 4)
    assert responses.texture.shape == responses.sprite.shape == (5, 12, 5)
    assert responses.still.shape == (5, 25)
    for channel, (direction, speed) in enumerate(PLANTED):
        assert tuning.direction[channel] == direction
        assert abs(FULL.speeds.index(tuning.speed[channel]) - FULL.speeds.index(speed)) <= 1
        assert tuning.wavelength[channel] == 7
        assert tuning.direction_index[channel] > 0.7
        assert tuning.texture_index[channel] > 0.3
        assert tuning.sprite_index[channel] > 0.3
        assert abs((tuning.sprite_direction[channel] - direction + 180) % 360 - 180) <= 30
        assert tuning.curve[channel].argmax() == DIRECTIONS.index(direction)


def test_every_answer_stands_where_its_clip_belongs(
    clips: Clips, planted: tuple[Tuning, Responses]
) -> None:
    _, responses = planted
    places = (
        (Condition(90, 1.0, 7), responses.grating[:, 3, 1, 3]),
        (Condition(240, 2.25, None), responses.texture[:, 8, 3]),
        (Condition(60, 0.0, 16), responses.still[:, 2 * 4 + 1]),
        (Condition(0, 0.0, None), responses.still[:, 24]),
        (Condition(330, 3.25, None, sprite=True), responses.sprite[:, 11, 4]),
    )
    reach = Reach(planted_model(), ["1"], clips.tensor(places[0][0]))
    for condition, answers in places:
        (wanted,) = respond(reach, clips.tensor(condition))["1"]
        assert answers == pytest.approx(wanted, rel=1e-4, abs=1e-6)


def test_a_coarse_grid_is_a_part_of_the_full_one(
    clips: Clips, planted: tuple[Tuning, Responses]
) -> None:
    _, full = planted
    coarse = sweep(planted_model(), clips, ["1"], grid=COARSE)["1"]
    at = np.ix_(range(5), range(12), [0, 2, 4], [1, 3])
    assert coarse.grating == pytest.approx(full.grating[at], rel=1e-4, abs=1e-6)
    assert coarse.still.shape == (5, 13)
    tuning = tuning_of(coarse)
    assert tuning.direction[:2].tolist() == [90, 210]
    assert tuning.wavelength[:2].tolist() == [7, 7]
    assert set(tuning.speed[:2]) <= set(COARSE.speeds)
    assert tuning.speed[1] == 1.5 or tuning.speed[1] == 3.25


def test_what_stands_still_has_no_direction(planted: tuple[Tuning, Responses]) -> None:
    tuning, _ = planted
    assert tuning.direction_index[2] == pytest.approx(0, abs=1e-6)
    assert abs(tuning.texture_index[2]) < 1e-6
    assert abs(tuning.sprite_index[2]) < 1e-6
    assert abs(tuning.motion_index[2]) < 0.1
    assert tuning.orientation_index[2] > 0.3
    # both ways at once
    assert tuning.direction_index[4] == pytest.approx(0, abs=1e-6)
    assert tuning.orientation_index[4] > 0.3


def test_a_silent_channel_is_counted_and_no_more(planted: tuple[Tuning, Responses]) -> None:
    tuning, _ = planted
    assert tuning.silent.tolist() == [False, False, False, True, False]
    for name in ("direction", "speed", "direction_index", "separability", "motion_index"):
        assert np.isnan(getattr(tuning, name)).tolist() == tuning.silent.tolist()


def test_a_2d_network_has_no_direction(clips: Clips) -> None:
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Conv3d(3, 6, (1, 3, 3), padding=(0, 1, 1)), nn.ReLU(), nn.MaxPool3d(2),
        nn.Conv3d(6, 6, (1, 3, 3)), nn.ReLU(),
    ).eval()  # fmt: skip
    for responses in sweep(model, clips, ["1", "4"]).values():
        tuning = tuning_of(responses)
        assert not tuning.silent.all()
        assert np.nanmax(np.abs(tuning.direction_index)) < 1e-5
        assert np.nanmax(np.abs(tuning.texture_index)) < 1e-5
        assert np.nanmax(np.abs(tuning.sprite_index)) < 1e-5
        assert np.nanmax(tuning.motion_index) > 0


def test_indices_by_hand() -> None:
    grating = np.zeros((1, 12, 5, 4))
    grating[0, 3] = np.outer([1, 2, 4, 2, 1], [1, 3, 2, 1])  # best: 90 degrees, 1.5, 16 pixels
    grating[0, 9, 2, 1] = 3
    texture = np.zeros((1, 12, 5))
    texture[0, 3, 2], texture[0, 9, 2] = 1, 4
    sprite = np.zeros((1, 12, 5))
    sprite[0, 3, 2], sprite[0, 9, 2], sprite[0, 4, 3] = 6, 2, 7
    tuning = tuning_of(Responses(grating, texture, np.array([[1.0, 4.0]]), sprite))
    assert tuning.sprite_index[0] == pytest.approx((6 - 2) / 8)
    assert (tuning.sprite_direction[0], tuning.sprite_speed[0]) == (120, 2.25)  # its own strongest
    assert tuning.sprite_curve[0].tolist() == sprite[0, :, 2].tolist()
    assert (tuning.direction[0], tuning.speed[0], tuning.wavelength[0]) == (90, 1.5, 16)
    assert tuning.response[0] == 12
    assert tuning.direction_index[0] == pytest.approx((12 - 3) / 15)
    assert tuning.texture_index[0] == pytest.approx((1 - 4) / 5)
    assert tuning.motion_index[0] == pytest.approx((12 - 4) / 16)
    assert tuning.orientation_index[0] == pytest.approx(1)  # 90 and 270 are one orientation
    assert tuning.separability[0] == pytest.approx(1)


def test_stimuli() -> None:
    every = conditions()
    assert len(every) == len(set(every)) == 12 * 5 * (4 + 1 + 1) + 6 * 4 + 1
    right = drifting_grating(0, 2, 16, frames=5, height=8, width=40)
    assert right.dtype == np.uint8
    assert right.shape == (5, 8, 40, 3)
    assert (right[1:, :, 2:] == right[:-1, :, :-2]).all()  # two pixels a frame to the right
    up = drifting_grating(90, 2, 16, frames=5, height=40, width=8)
    assert (up[1:, :-2] == up[:-1, 2:]).all()
    assert int(right.max()) - int(right.min()) == pytest.approx(191, abs=6)
    texture = drifting_texture(0, 2, frames=3)
    assert np.abs(texture[1:, :, 2:].astype(int) - texture[:-1, :, :-2]).max() <= 1
    assert texture.std() == pytest.approx(127.5 / 3, rel=0.25)
    for direction in DIRECTIONS[:6]:
        for make in (
            lambda d: drifting_grating(d, 1.5, 10),
            lambda d: drifting_texture(d, 0.5),
            lambda d: drifting_sprite(d, 3.25),
        ):
            assert (make(direction)[::-1] == make(direction + 180)).all()
    assert max(FULL.speeds) / min(FULL.wavelengths) < 0.5


def test_a_moving_cut_out_is_where_it_should_be() -> None:
    film = drifting_sprite(30, 3.0, frames=9, height=96, width=120).astype(float)
    y, x = np.mgrid[:96, :120]
    weight = np.abs(film[..., 0] - film[0, 0, 0, 0])
    assert weight[:, :5].max() == 0  # even grey around it
    places = np.stack([(weight * x).sum((1, 2)), (weight * y).sum((1, 2))]) / weight.sum((1, 2))
    steps = np.diff(places, axis=1)  # to the right, and up, which is towards row 0
    assert steps[0] == pytest.approx(3 * np.cos(np.radians(30)), abs=0.15)
    assert steps[1] == pytest.approx(-3 * np.sin(np.radians(30)), abs=0.15)
    wide = weight[4].max(0).nonzero()[0]
    assert 0.2 * 96 < wide[-1] - wide[0] < 0.4 * 96
    other = drifting_sprite(30, 3.0, seed=1, frames=9, height=96, width=120)
    assert (other != film).any()


def test_clips_of_the_other_way_are_what_synthetic_draws(clips: Clips) -> None:
    for condition in (*conditions()[130:300:40], conditions()[-7]):
        x = clips.tensor(condition)
        size = {"frames": 8, "height": 32, "width": 32}
        if condition.sprite:
            frames = drifting_sprite(condition.direction, condition.speed, **size)
        elif condition.wavelength is None:
            frames = drifting_texture(condition.direction, condition.speed, **size)
        else:
            frames = drifting_grating(
                condition.direction, condition.speed, condition.wavelength, **size
            )
        wanted = (torch.from_numpy(frames).float().permute(3, 0, 1, 2)[None] - 127.5) / 60
        assert torch.allclose(x, wanted)


def test_the_response_is_the_mean_of_the_middle() -> None:
    class Given(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return values

    values = torch.zeros(1, 2, 4, 8, 9)
    values[0, 0, :1] = values[0, 0, :, :2] = values[0, 0, :, :, 7:] = 99  # left out
    values[0, 0, 1, 2, 2] = 32  # of 2 x 4 x 5 cells
    values[0, 1, 1:3, 2:6, 2:7] = -5
    x = torch.zeros(1, 3, 2, 2, 2)
    (answer,) = respond(Reach(nn.Sequential(Given()), ["0"], x), x)["0"]
    assert answer.tolist() == [pytest.approx(32 / 40), 0]


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    factory = tmp_path / "net.py"
    factory.write_text(
        "import torch\nfrom torch import nn\nfrom c3d_viz.nets import InputSpec\n"
        "def make():\n    torch.manual_seed(1)\n"
        "    return nn.Sequential(nn.Conv3d(3, 4, 3, bias=False), nn.ReLU()), "
        "InputSpec('RGB', (127.5,) * 3, 1 / 60, (16, 16), (16, 16), 4)\n"
    )
    network = ["--model", f"{factory}:make"]
    out = tmp_path / "out"
    words = ["units", "tuning", *network, "--layer", "1", "--controls", "2", "-o", str(out)]
    status, said, _ = call(capsys, *words)
    assert status == 0
    assert said.startswith("1: ")
    found = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert found == {
        "layers.png", "manifest.json", "tuning.json",
        "1/units.csv", "1/units.png", "1/layer.png", "1/responses.npz",
    }  # fmt: skip
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["parameters"]["controls"] == 2
    report = json.loads((out / "tuning.json").read_text())
    assert report["networks"] == {"this network": None, "untrained 0": 1000, "untrained 1": 1001}
    row = report["against"]["untrained"]["1"]["direction_index"]
    table = list(csv.DictReader((out / "1" / "units.csv").read_text().splitlines()))
    indices = [float(r["direction_index"]) for r in table if r["silent"] == "0"]
    assert row["channels"] == len(indices)
    assert row["median"] == pytest.approx(float(np.median(indices)), rel=1e-4)
    with np.load(out / "1" / "responses.npz") as arrays:
        best = arrays["grating"].reshape(4, -1).max(1)
    assert [float(r["response"]) for r in table] == pytest.approx(best.tolist(), rel=1e-4)

    again = shlex.split(manifest["command"])[1:]
    again[again.index(str(out))] = str(tmp_path / "again")
    assert call(capsys, *again)[0] == 0
    second = json.loads((tmp_path / "again" / "manifest.json").read_text())
    assert second["files"] == manifest["files"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--layer", "conv9"], "no layer 'conv9'"),
        (["--layer", "conv1a", "--channel", "16"], "conv1a has channels 0-15, got 16"),
        (["--controls", "1"], "controls must be 0 or 2 to 100 networks, got 1"),
        (["--permuted", "-1"], "permuted must be"),
        (["--permuted", "1"], "permuted must be 0 or 2 to 100 networks, got 1"),
        (["--device", "tpu"], "no device 'tpu'"),
    ],
)
def test_a_refusal_leaves_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], said: str
) -> None:
    status, _, error = call(capsys, "units", "tuning", *words, "-o", str(tmp_path / "out"))
    assert (status, error.count("\n")) == (2, 1)
    assert said in error
    assert list(tmp_path.iterdir()) == []
