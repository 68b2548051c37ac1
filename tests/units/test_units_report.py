"""The sentence says what was measured and no more; the page needs no other file."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from command_line import call

from c3d_viz.nets import COMPACT_INPUT, ModelSpec
from c3d_viz.units import Concepts, Evidence, Responses, Stimuli, sentence, tuning_of
from c3d_viz.units.preferred import Answer, Ascent, split

NAMES = ("object", "background")


def responses(texture: float = 1.0, other: float = 1.0, channels: int = 20) -> Responses:
    """Channels that prefer 90 degrees at 1.5 pixels; the texture ``texture`` to ``other``."""
    grating = np.full((channels, 12, 5, 4), 0.1)
    grating[:, 3, 2, 1], grating[:, 9, 2, 1] = 9, 1
    patterns = np.zeros((channels, 12, 5))
    patterns[:, 3, 2], patterns[:, 9, 2] = texture, other
    return Responses(grating, patterns, np.full((channels, 25), 0.1))


def overlaps(score: float) -> Concepts:
    iou = np.tile([0.1 + score, 0.1], (20, 1))
    chance = np.full((20, 2), 0.1)
    first = np.zeros(20, np.int64)
    return Concepts(iou, chance, first, np.full(20, score), np.full(20, 0.05))


def evidence(
    own: Responses, concept: float = 0.3, control: float = 0.1, clip: float = 1.0
) -> Evidence:
    frames = np.zeros((1, 8, 16, 16, 3), np.uint8)
    answers = (
        Answer("stimulus 1", "stimulus", 5.0, 9.0, frames[0]),
        Answer("a clip", "synthetic", clip, 2.0, frames[0]),
    )
    ascent = Ascent(frames, np.zeros((1, 1), np.float32))
    stimuli = Stimuli(answers, ascent, None, split(frames[0], steps=1))
    spec = ModelSpec("compact", "weights", True, COMPACT_INPUT, 60)
    other = responses(1.5, 1.0)
    controls = (tuning_of(other), tuning_of(other))
    measured = overlaps(concept), (overlaps(control), overlaps(control))
    return Evidence(spec, tuning_of(own), own, controls, other, *measured, NAMES, stimuli, None)


def test_a_confirmed_direction_and_a_learned_concept() -> None:
    said = sentence(evidence(responses(3, 1)), "conv4b", 7)
    assert said.startswith("conv4b channel 7 prefers what drifts upwards at 1.5 pixels a frame")
    assert "direction index 0.80, on a texture +0.50" in said
    assert "as 0% of untrained channels do, so it is probably learned" in said
    assert "overlaps most with 'object' (IoU 0.40, by chance 0.10), as 0% of untrained" in said
    assert said.endswith("its preferred film raises it 5.0 times above the best clip seen.")
    assert "\n" not in said


def test_what_untrained_channels_do_as_well_need_not_be_learned() -> None:
    said = sentence(evidence(responses(1.2, 1), concept=0.05), "conv4b", 7)
    assert said.count("as 100% of untrained channels do, so it need not be learned") == 2


def test_an_unconfirmed_direction_is_called_so() -> None:
    said = sentence(evidence(responses(1, 3)), "conv4b", 7)
    assert "a texture does not confirm the direction (-0.50)" in said
    even = responses()
    even.grating[:, 9, 2, 1] = 8.9
    assert "drifting either way alike (direction index 0.01)" in sentence(evidence(even), "a", 0)
    silent = responses()
    silent.grating[:] = 0
    assert "a channel 0 does not answer to any drifting grating;" in sentence(
        evidence(silent), "a", 0
    )


def test_failures_are_said() -> None:
    assert "no label more than by chance" in sentence(evidence(responses(3), -0.1), "a", 0)
    assert "no film was found" in sentence(evidence(responses(3), clip=6.0), "a", 0)
    assert "none of the clips moved it" in sentence(evidence(responses(3), clip=0.0), "a", 0)
    without = dataclasses.replace(evidence(responses(3)), concepts=None, control_concepts=())
    assert "overlaps" not in sentence(without, "a", 0)


def test_the_share_of_untrained_channels() -> None:
    found = evidence(responses(3, 1))
    assert found.rank("texture_index", 0) == 0
    assert found.rank("direction_index", 0) == 1  # the same
    assert evidence(responses(1.5, 1)).rank("texture_index", 0) == 1


FACTORY = """import torch
from torch import nn
from c3d_viz.nets import InputSpec
def make():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.Conv3d(4, 6, 3), nn.ReLU())
    return net, InputSpec('RGB', (127.5,) * 3, 1 / 60, (20, 20), (20, 20), 8)
"""


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path, sources: Path) -> None:
    factory, out = tmp_path / "net.py", tmp_path / "out"
    factory.write_text(FACTORY)
    words = ["units", "report", "--model", f"{factory}:make", "--layer", "0", "--channel", "3"]
    words += ["--controls", "1", "--steps", "2", "--library", str(sources), "-o", str(out)]
    status, said, error = call(capsys, *words)
    assert status == 0, error
    assert {p.name for p in out.iterdir()} == {"index.html", "report.json", "manifest.json"}
    page = (out / "index.html").read_text()
    report = json.loads((out / "report.json").read_text())
    assert report["sentence"] == said.splitlines()[0]
    assert "0 channel 3" in page
    assert "Its kernel" in page
    assert page.count("<video") == 4
    # nothing outside the page: every source is data
    sources_named = re.findall(r'(?:src|href)="([^"]{0,30})', page)
    assert sources_named
    assert all(name.startswith("data:") for name in sources_named)
    assert report["concept"]["concept"] in page
    assert report["tuning"]["direction_index"]["value"] is not None
    manifest = json.loads((out / "manifest.json").read_text())
    assert "units report" in manifest["command"]
    assert manifest["model"]["weights"] in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--layer", "conv1a", "--channel", "16"], "conv1a has channels 0-15, got 16"),
        (["--layer", "conv1a", "--channel", "0", "--controls", "0"], "controls must be 1 to 20"),
        (["--layer", "conv1a", "--channel", "0", "--steps", "0"], "steps must be 1 to 10000"),
        (["--layer", "conv1a", "--channel", "0", "--clip", "no.mp4"], "does not exist"),
    ],
)
def test_a_refusal_leaves_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], said: str
) -> None:
    status, _, error = call(capsys, "units", "report", *words, "-o", str(tmp_path / "out"))
    assert (status, error.count("\n")) == (2, 1), error
    assert said in error
    assert list(tmp_path.iterdir()) == []
