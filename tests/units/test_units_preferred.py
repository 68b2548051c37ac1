"""The climb finds a known optimum, what is written is what was found, the model stays put."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from command_line import call
from nets import Normalised, Residual, state
from test_units_spectrum import drifting
from torch import nn

from c3d_viz.errors import LayerError, VizError
from c3d_viz.nets import InputSpec, ModelSpec
from c3d_viz.synthetic import drifting_grating
from c3d_viz.units import FourierVideo, Reader, Stimuli, StimulusSettings, climb, read_kernel
from c3d_viz.units.preferred import Answer, Ascent, answer_to, find_stimulus, search, split
from c3d_viz.weights import NetworkChoice

SMALL = InputSpec("RGB", (127.5, 127.5, 127.5), 1 / 60, (32, 32), (32, 32), 8)


def matched(direction: float, speed: float) -> nn.Sequential:
    """Channel 1 is a matched filter for a drifting grating, channel 0 for another."""
    films = [
        drifting(direction + 90, speed, 0.15, (7, 11, 11)),
        drifting(direction, speed, 0.15, (7, 11, 11)),
    ]
    weight = torch.from_numpy(np.stack(films)).float()
    layer = nn.Conv3d(3, 2, (7, 11, 11), padding=(3, 5, 5), bias=False)
    layer.weight.data.copy_(weight / weight[0].norm())
    return nn.Sequential(layer, nn.ReLU()).eval().requires_grad_(False)


def clip() -> torch.Tensor:
    return torch.zeros(1, *SMALL.shape)


@pytest.mark.parametrize("direction", [0, 90, 210])
def test_a_matched_filter_gets_its_grating(direction: float) -> None:
    """The mean of a filter's squared answer is highest for the grating that it is made of."""
    reader = Reader(nn.Sequential(matched(direction, 1.2), Squared()).eval(), "1", clip())
    film = climb(reader, 1, FourierVideo(1, SMALL), steps=80, jitter=2).frames[0]
    reading = read_kernel((film - film.mean()).transpose(3, 0, 1, 2))
    assert abs((reading.direction - direction + 180) % 360 - 180) < 25
    assert reading.direction_index > 0.9
    assert 0.7 < reading.speed < 1.8
    best = drifting_grating(direction, 1.2, 1 / 0.15, frames=8, height=32, width=32)

    def share(channel: int, frames: np.ndarray) -> float:  # answer for each unit of contrast
        return answer_to(reader, channel, frames, SMALL, "", "").mean / frames.var()

    assert share(1, film) > 0.45 * share(1, best)
    assert share(0, film) < 0.1 * share(1, film)


class Squared(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.square()


def test_smoothness_slows_the_film() -> None:
    def change(smoothness: float) -> float:
        with torch.no_grad():
            film = FourierVideo(1, SMALL, smoothness=smoothness).levels()
        return float((film[:, :, 1:] - film[:, :, :-1]).std() / film.std())

    assert change(0) > 1.1
    assert change(0) > change(1) > change(4)
    assert change(4) < 0.5


def test_films_are_kept_apart() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv3d(3, 8, 3), nn.ReLU(), nn.Conv3d(8, 8, 3), nn.ReLU()).eval()
    model.requires_grad_(False)

    def likeness(diversity: float) -> float:
        reader = Reader(model, "3", clip())
        film = climb(reader, 2, FourierVideo(2, SMALL), steps=12, jitter=2, diversity=diversity)
        grids = [
            reader(
                FourierVideo(1, SMALL).pixels(torch.from_numpy(f).permute(3, 0, 1, 2)[None].float())
            )
            for f in film.frames
        ]
        flat = [grid[0].flatten(1).clamp(min=0) for grid in grids]
        grams = [(rows @ rows.T).flatten() for rows in flat]
        return float(torch.nn.functional.cosine_similarity(grams[0], grams[1], dim=0))

    assert likeness(20.0) < likeness(0.0)


def test_colours_go_back_to_the_clip() -> None:
    video = FourierVideo(1, SMALL)
    with torch.no_grad():
        video.numbers.zero_()
        video.numbers[:, 0, 0, 0, 0, 0] = 9  # light, all over
        level = video.levels()
    assert level.flatten(2).std() < 5
    x = video.pixels(level)
    assert torch.allclose(x, (level - 127.5) / 60, atol=1e-4)
    bgr = FourierVideo(1, SMALL.replace(channel_order="BGR"), seed=3)
    rgb = FourierVideo(1, SMALL, seed=3)
    assert (bgr.frames() == rgb.frames()).all()
    assert torch.allclose(bgr.levels().flip(1), rgb.levels())
    grey = FourierVideo(1, InputSpec("RGB", (100.0,), 1 / 60, (32, 32), (32, 32), 8))
    assert grey.levels().shape == (1, 1, 8, 32, 32)
    assert grey.frames().shape == (1, 8, 32, 32, 3)


def test_the_reader_gives_what_comes_before_the_relu() -> None:
    model = Normalised()
    x = torch.randn(1, 3, 4, 10, 10)
    before = state(model)
    relu_input = model.eval().norm(model.conv(x)).detach()
    model.train()
    reader = Reader(model, "norm", x)
    assert torch.allclose(reader(x), relu_input, atol=1e-6)
    assert state(model) == before
    plain = nn.Sequential(nn.Conv3d(3, 2, 3), nn.ReLU(), nn.Conv3d(2, 2, 1)).eval()
    wanted = plain[0](x)
    assert (wanted < 0).any()
    assert torch.equal(Reader(plain, "1", x)(x), wanted)
    batch = torch.randn(3, 3, 4, 10, 10)
    assert Reader(plain, "1", x)(batch).shape[0] == 3


def test_the_reader_stops_at_its_layer_and_reads_the_call_that_is_meant() -> None:
    ran = []

    class Loud(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            ran.append(1)
            return x

    model = nn.Sequential(nn.Conv3d(3, 2, 3), Loud()).eval()
    reader = Reader(model, "0", torch.zeros(1, 3, 4, 8, 8))
    assert len(ran) == 1  # it was tried once
    reader(torch.zeros(1, 3, 4, 8, 8))
    assert len(ran) == 1
    twice = Residual().eval()
    x = torch.randn(1, 3, 4, 8, 8)
    with torch.no_grad():
        assert torch.allclose(Reader(twice, "relu", x)(x), twice(x))


def test_a_dead_channel_is_said_to_be_dead() -> None:
    model = matched(0, 1)
    model[0].weight.data[1] = 0
    reader = Reader(model, "1", clip())
    for films in (1, 2):  # two that are kept apart have a gradient, which is none of the channel's
        with pytest.raises(VizError, match="1 channel 1 gives no gradient to climb on"):
            climb(reader, 1, FourierVideo(films, SMALL), steps=2)


def test_a_climb_leaves_the_model_as_it_was_and_can_be_stopped() -> None:
    model = matched(0, 1).requires_grad_(True)
    before = state(model)

    def stop(done: int, total: int, what: str) -> None:
        assert total == 5
        if done == 2:
            raise KeyboardInterrupt

    reader = Reader(model, "1", clip())
    with pytest.raises(KeyboardInterrupt):
        climb(reader, 1, FourierVideo(1, SMALL), steps=5, progress=stop)
    assert state(model) == before


def test_the_same_seed_gives_the_same_film() -> None:
    model = matched(0, 1)

    def film(seed: int) -> np.ndarray:
        video = FourierVideo(1, SMALL, seed=seed)
        return climb(Reader(model, "1", clip()), 1, video, steps=3, seed=seed).frames

    assert (film(1) == film(1)).all()
    assert (film(1) != film(2)).any()


def test_the_film_is_shown_while_it_climbs_the_network_s_own_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every fourth step, as it is then; the untrained network's would be taken for it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv3d(3, 2, 3), nn.ReLU()).eval()
    spec = ModelSpec("own", "own", None, SMALL, 0)
    monkeypatch.setattr(
        search, "rivals", lambda *_: [("c", "real", np.zeros((8, 32, 32, 3), "u1"))]
    )
    shown: list[np.ndarray] = []
    settings = StimulusSettings(NetworkChoice(), "1", 1, films=1, steps=5)
    found, _ = find_stimulus(settings, loaded=(model, spec), preview=shown.append)
    assert len(shown) == 2  # after steps 1 and 5
    assert (shown[1] == found.ascent.frames[0]).all()
    assert (shown[0] != shown[1]).any()


def test_a_climb_that_a_clip_beats_has_failed() -> None:
    frames = np.zeros((1, 8, 32, 32, 3), np.uint8)
    ascent = Ascent(frames, np.zeros((1, 1), np.float32))

    def found(stimulus: float, synthetic: float, real: float) -> Stimuli:
        rows = (
            ("stimulus", stimulus),
            ("untrained", 9.0),
            ("synthetic", synthetic),
            ("real", real),
        )
        answers = tuple(Answer(k, k, m, m, frames[0]) for k, m in rows)
        return Stimuli(answers, ascent, None, split(frames[0], steps=1))

    assert found(2, 1, 1).failure is None
    more = "the channel answers more to a clip than to these films"
    assert found(2, 1, 3).failure == found(2, 3, 1).failure == more
    assert found(0, 0, 0).failure == "the channel answers to none of these films"


def test_no_channels_no_climb() -> None:
    with pytest.raises(LayerError, match="no layer 'nine'"):
        Reader(matched(0, 1), "nine", clip())


FACTORY = """import torch
from torch import nn
from c3d_viz.nets import InputSpec, ModelSpec
def make():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.Conv3d(4, 4, 3), nn.ReLU())
    return net, InputSpec('RGB', (127.5,) * 3, 1 / 60, (24, 24), (24, 24), 8)
"""


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    factory, out = tmp_path / "net.py", tmp_path / "out"
    factory.write_text(FACTORY)
    words = ["units", "maximise", "--model", f"{factory}:make", "--layer", "3", "--channel", "2"]
    so_far = tmp_path / "so-far.png"
    more = ["--steps", "6", "--preview", str(so_far)]
    status, _, error = call(capsys, *words, *more, "-o", str(out))
    assert status == 0, error
    assert cv2.imread(str(so_far)).shape == (112, 4 * 112, 3)
    names = {p.name for p in out.iterdir()}
    assert {
        "stimulus.png", "stimulus-1.mp4", "stimulus-2.mp4", "untrained.mp4", "answers.json",
        "films.npz", "manifest.json", "parts.mp4",
    } == names  # fmt: skip
    answers = json.loads((out / "answers.json").read_text())["answers"]
    kinds = [row["kind"] for row in answers]
    assert kinds[:7] == ["stimulus"] * 2 + ["part"] * 3 + ["untrained", "synthetic"]
    assert answers[0]["mean"] > max(answers[1]["mean"], answers[6]["mean"])
    with np.load(out / "films.npz") as arrays:
        films, way = arrays["films"], arrays["climb"]
        assert (films[0] != arrays["untrained"][0]).any()
    assert films.shape == (2, 8, 24, 24, 3)
    assert way.shape == (6, 2)
    from c3d_viz.weights import load_model

    model, spec = load_model(f"{factory}:make")
    reader = Reader(model, "3", torch.zeros(1, *spec.input.shape))
    for row, frames in zip(answers[:2], films, strict=True):
        again = answer_to(reader, 2, frames, spec.input, "", "")
        assert (row["mean"], row["peak"]) == pytest.approx((again.mean, again.peak), rel=1e-5)
    command = shlex.split(json.loads((out / "manifest.json").read_text())["command"])[1:]
    command[command.index(str(out))] = str(tmp_path / "again")
    assert call(capsys, *command)[0] == 0
    with np.load(tmp_path / "again" / "films.npz") as arrays:
        assert (arrays["films"] == films).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--layer", "conv9", "--channel", "0"], "no layer 'conv9'"),
        (["--layer", "conv1a", "--channel", "16"], "conv1a has channels 0-15, got 16"),
        (["--layer", "conv1a", "--channel", "0", "--steps", "0"], "steps must be 1 to 10000"),
        (["--layer", "conv1a", "--channel", "0", "--films", "99"], "films must be 1 to 16"),
        (["--layer", "conv1a", "--channel", "0", "--smoothness", "nan"], "smoothness must be"),
        (["--layer", "conv1a", "--channel", "0", "--clip", "no.mp4"], "does not exist"),
    ],
)
def test_a_refusal_leaves_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], said: str
) -> None:
    status, _, error = call(capsys, "units", "maximise", *words, "-o", str(tmp_path / "out"))
    assert (status, error.count("\n")) == (2, 1), error
    assert said in error
    assert list(tmp_path.iterdir()) == []
