"""What the runs hand on: which networks are controls, which clips share what, what wins."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from nets import Normalised, state
from test_units_tuning import SMALL
from torch import nn

from c3d_viz.errors import LayerError, VizError
from c3d_viz.nets import InputSpec, ModelSpec
from c3d_viz.trust import permuted
from c3d_viz.units import (
    Concepts,
    ConceptSettings,
    FourierVideo,
    Reader,
    Responses,
    SharingSettings,
    StimulusSettings,
    TuningSettings,
    climb,
    untrained,
    write_concepts,
    write_sharing,
    write_tuning,
)
from c3d_viz.units.pieces import Told
from c3d_viz.units.preferred import answer_to, find_stimulus, search
from c3d_viz.units.sharing import pairs
from c3d_viz.weights import NetworkChoice
from c3d_viz.work import Piece

SPEC = ModelSpec("own", "own", None, SMALL, 0)


def small_model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(3, 2, 3), nn.ReLU()).eval()


def nothing(*_: Any, **__: Any) -> dict[str, Any]:
    return {}


def given_responses() -> Responses:
    return Responses(*(np.zeros((2, 12, 5, 4)), np.zeros((2, 12, 5)), np.zeros((2, 25)),
                       np.zeros((2, 12, 5))))  # fmt: skip


def given_concepts() -> Concepts:
    whole = np.zeros(2, np.int64)
    return Concepts(np.zeros((2, 16)), np.zeros((2, 16)), whole, np.zeros(2), np.zeros(2))


RUNS: dict[str, tuple[str, Callable[[], Any], Any, Any, dict[str, int], dict[str, int]]] = {
    # what measures, what it gives, what writes, its settings, and others
    "tuning": ("sweep", given_responses, write_tuning, TuningSettings,
               {"controls": 2, "permuted": 2}, {"controls": 3}),
    "concepts": ("concepts_of", given_concepts, write_concepts, ConceptSettings,
                 {"controls": 2, "clips": 4}, {"controls": 2, "clips": 5}),
    "sharing": ("answers", lambda: np.zeros(1), write_sharing, SharingSettings,
                {"controls": 2, "pairs": 4}, {"controls": 2, "pairs": 5}),
}  # fmt: skip


class Run:
    """A run of a command that measures nothing: which networks it asks, which pieces it keeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        measures, gives, self._write, self._settings, *_ = RUNS[kind]
        self.model = small_model()
        module = importlib.import_module(f"c3d_viz.units.{kind}.run")
        monkeypatch.setattr(NetworkChoice, "load", lambda _: (self.model, SPEC))

        def measured(net: nn.Module, *rest: Any) -> dict[str, Any]:
            self.asked.append(net.get_parameter("0.weight").detach().clone())
            layers = next(r for r in rest if isinstance(r, list | tuple))
            return {layer: gives() for layer in layers}

        @contextmanager
        def kept(_out: Path) -> Iterator[Callable[[Piece], Any]]:
            yield lambda piece: (self.kept.append(piece.file), piece.run())[1]

        monkeypatch.setattr(module, measures, measured)
        monkeypatch.setattr(module, "_write", nothing)
        monkeypatch.setattr(module, "kept_beside", kept)
        monkeypatch.setattr(Told, "expect", nothing)
        self.asked: list[torch.Tensor] = []
        self.kept: list[str] = []

    def __call__(self, out: Path, layers: tuple[str, ...], **settings: int) -> set[str]:
        """The names of the pieces."""
        self.kept = []
        self._write(out, self._settings(NetworkChoice(), layers, **settings))
        assert len(set(self.kept)) == len(self.kept)
        return set(self.kept)


@pytest.mark.parametrize("kind", RUNS)
def test_the_controls_are_untrained_and_shuffled_copies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    run = Run(monkeypatch, kind)
    run(tmp_path / "out", ("1",), **RUNS[kind][4])
    model = run.model
    wanted = [model, untrained(model, 1000), untrained(model, 1001)]
    if kind == "tuning":
        wanted += [permuted(model, 2000), permuted(model, 2001)]
    got = run.asked[-len(wanted) :]  # the first may have tried the layers
    for weight, net in zip(got, wanted, strict=True):
        assert torch.equal(weight, net.get_parameter("0.weight"))


@pytest.mark.parametrize("kind", RUNS)
def test_what_was_kept_serves_the_same_question_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    run, out = Run(monkeypatch, kind), tmp_path / "out"
    settings, others = RUNS[kind][4:]
    first = run(out, ("1",), **settings)
    assert run(out, ("1",), **settings) == first
    assert not run(out, ("0",), **settings) & first
    assert not run(out, ("0", "1"), **settings) & first
    again = run(out, ("1",), **others)
    if kind == "tuning":  # one more control: the others serve, the shuffled ones are not asked for
        assert len(again & first) == 3
    else:
        assert not again & first
    with torch.no_grad():
        run.model[0].bias += 1
    assert not run(out, ("1",), **settings) & first


def test_the_untrained_film_is_that_of_an_untrained_network_and_the_best_clip_is_the_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = small_model()
    grey = [np.full((8, 32, 32, 3), level, np.uint8) for level in (0, 128, 255)]
    clips = [(f"level {k}", "real", frames) for k, frames in enumerate(grey)]
    monkeypatch.setattr(search, "rivals", lambda *_: clips)
    settings = StimulusSettings(NetworkChoice(), "1", 1, films=1, steps=2)
    found, _ = find_stimulus(settings, loaded=(model, SPEC))
    x = torch.zeros(1, *SMALL.shape)
    fresh, own = Reader(untrained(model, 1000), "1", x), Reader(model, "1", x)
    film = climb(fresh, 1, FourierVideo(1, SMALL), steps=2).frames
    assert found.control is not None
    assert (found.control.frames == film).all()
    beside = next(a for a in found.answers if a.kind == "untrained")
    assert beside.mean == answer_to(fresh, 1, film[0], SMALL, "", "").mean
    means = [answer_to(own, 1, frames, SMALL, "", "").mean for frames in grey]
    assert len(set(means)) > 1
    assert found.answers[-1].mean == max(means)
    assert found.answers[-1].name == f"best real clip: level {np.argmax(means)}"


def test_a_channel_that_does_not_fire_yet_climbs() -> None:
    model = small_model()
    with torch.no_grad():
        model[0].bias -= 3
    reader = Reader(model, "1", torch.zeros(1, *SMALL.shape))
    video = FourierVideo(1, SMALL)
    with torch.no_grad():
        assert reader(video.pixels(video.levels())).max() < 0
    way = climb(reader, 1, video, steps=8, jitter=0).answers[:, 0]
    assert way[-1] > way[0]


def test_pairs_share_looks_or_movement(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []

    def render(_library: Any, scenes: Any, size: int) -> Any:
        drawn.append(scenes)
        return SimpleNamespace(frames=torch.zeros(2, 3, 16, size, size))

    monkeypatch.setattr(pairs, "render", render)
    pairs.paired_clips(2, 0, 32)
    base, dynamics, appearance = drawn

    def looks(of: Any) -> list[torch.Tensor]:
        mine = [of.target.sprite, of.distractor.sprite, of.background, of.view, of.light, of.grey]
        return [value.float().flatten() for value in mine]

    def moves(of: Any) -> list[torch.Tensor]:
        return [of.target.centre, of.distractor.centre, of.pan]

    def same(first: list[torch.Tensor], second: list[torch.Tensor]) -> list[bool]:
        return [torch.equal(a, b) for a, b in zip(first, second, strict=True)]

    assert all(same(looks(base), looks(appearance)))
    assert all(same(moves(base), moves(dynamics)))
    assert not any(same(moves(base), moves(appearance))[:1])
    assert not all(same(looks(base), looks(dynamics)))
    assert not torch.equal(base.target.sprite, dynamics.target.sprite)


def test_untrained_copies() -> None:
    model = Normalised()
    before = state(model)
    first, again, other = (untrained(model, seed) for seed in (1, 1, 2))
    assert state(model) == before
    assert torch.equal(first.conv.weight, again.conv.weight)
    assert not torch.equal(first.conv.weight, other.conv.weight)
    assert not torch.equal(first.conv.weight, model.conv.weight)
    assert first.norm.running_mean.abs().max() == 0
    assert not first.conv.bias.any()
    flat = untrained(nn.Sequential(nn.Conv2d(3, 4, 3)), 0)
    assert float(flat[0].weight.detach().std()) == pytest.approx((2 / 27) ** 0.5, rel=0.3)
    strange = nn.Sequential(nn.PReLU())
    with pytest.raises(VizError, match="0 is a PReLU with parameters of its own"):
        untrained(strange, 0)


def test_layers_of_other_networks_are_named() -> None:
    from c3d_viz.units.folder import folder_names
    from c3d_viz.units.tuning.run import layers_to_measure

    with pytest.raises(LayerError, match="name the layers of Sequential with --layer"):
        layers_to_measure(nn.Sequential(), ())
    assert layers_to_measure(nn.Sequential(), ("a", "b", "a")) == ("a", "b")
    assert folder_names(["layer1.0", "layer1_0", "../x", "relu#1"]) == [
        "layer1_0",
        "layer1_0_",
        "___x",
        "relu#1",
    ]


class Vector(nn.Module):
    """One number a channel, as a fully connected layer has: how red a clip is, and how little."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv3d(3, 2, 1), nn.Linear(2, 2)
        self.requires_grad_(False)
        self.conv.weight[:] = torch.tensor([[0.1, 0, 0], [0, 0, 0]]).view(2, 3, 1, 1, 1)
        self.fc.weight[:] = torch.tensor([[1.0, 0], [-1, 0]])
        self.conv.bias[:] = self.fc.bias[:] = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(x).mean((2, 3, 4)))


def test_a_layer_that_gives_a_vector_has_films_too() -> None:
    spec = InputSpec("RGB", (127.5,) * 3, 1 / 127.5, (16, 16), (16, 16), 4)
    reader = Reader(Vector().eval(), "fc", torch.zeros(1, *spec.shape))
    for channel, sign in ((0, 1), (1, -1)):
        film = climb(reader, channel, FourierVideo(2, spec), steps=20).frames[0].astype(float)
        assert sign * (film[..., 0].mean() - 127.5) > 20
