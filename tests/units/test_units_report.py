"""The sentence says what was measured and no more; the page needs no other file."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from command_line import call
from unit_evidence import evidence, responses

from c3d_viz.units import sentence
from c3d_viz.units.report.evidence import Rank
from c3d_viz.units.report.summary import sure


def test_a_confirmed_direction_and_a_learned_concept() -> None:
    said = sentence(evidence(responses(3, 1)), "conv4b", 7)
    assert said.startswith("conv4b channel 7 prefers what drifts upwards at 1.5 pixels a frame")
    assert "direction index 0.80, on a texture +0.50" in said
    assert "as 0 of 40 untrained channels do, so it is probably learned" in said
    assert "overlaps most with 'object' (IoU 0.40, by chance 0.10), as 0 of 40 untrained" in said
    assert said.endswith("film raises it to 5.0 times its answer to the best clip seen.")
    assert "\n" not in said


def test_what_untrained_channels_do_as_well_need_not_be_learned() -> None:
    said = sentence(evidence(responses(1.2, 1), concept=0.05), "conv4b", 7)
    assert said.count("as 40 of 40 untrained channels do, so it need not be learned") == 2


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
    assert found.rank("texture_index", 0).share == 0
    assert found.rank("direction_index", 0).share == 1  # the same
    assert evidence(responses(1.5, 1)).rank("texture_index", 0).share == 1


@pytest.mark.parametrize(
    ("rank", "said"),
    [
        (Rank(0, 6), "as 0 of 6 untrained channels do, too few to say whether it is learned"),
        (Rank(0, 18), "too few to say"),
        (Rank(0, 19), "so it is probably learned"),  # one in twenty
        (Rank(1, 19), "so it need not be learned"),
        (Rank(12, 256), "too few to say"),
        (Rank(0, 0), "with no untrained channel to compare"),
    ],
)
def test_few_untrained_channels_prove_nothing(rank: Rank, said: str) -> None:
    assert said in sure(rank)


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
    table = page[page.index("<h2>Concepts</h2>") :]
    assert re.findall("<tr><td>([^<]+)</td>", table)[0] == report["concept"]["concept"]
    assert report["tuning"]["direction_index"]["value"] is not None
    manifest = json.loads((out / "manifest.json").read_text())
    assert "units report" in manifest["command"]
    assert manifest["model"]["weights"] in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--layer", "conv1a", "--channel", "16"], "conv1a has channels 0-15, got 16"),
        (["--layer", "conv1a", "--channel", "0", "--controls", "21"], "controls must be 0 to 20"),
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
