"""A planted detector gets its concept, a blind channel none; thresholds come from other clips."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import call
from torch import nn

from c3d_viz.errors import LayerError
from c3d_viz.nets import InputSpec
from c3d_viz.synthetic import HOWS, PARTS, procedural_library
from c3d_viz.units import ConceptClips, concepts_of
from c3d_viz.units.concepts.overlap import SHUFFLES, _steps

SPEC = InputSpec("RGB", (0.0, 0.0, 0.0), 1.0, (32, 32), (32, 32), 8)


class Planted(nn.Module):
    """Channels: the object, the object to the right only, noise, nothing, everything but it."""

    def __init__(self, clips: ConceptClips) -> None:
        super().__init__()
        self.known = {clip.frames.tobytes(): clip for clip in clips.clips}
        self.out = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        frames = x[0].permute(1, 2, 3, 0).to(torch.uint8).contiguous().numpy()
        clip = self.known[frames.tobytes()]
        shown = torch.from_numpy(clip.masks[0]).float()
        noise = torch.rand(shown.shape, generator=torch.Generator().manual_seed(clip.how))
        right = shown * (HOWS[clip.how] == "right")
        channels = [shown + 0.1 * noise, right + 0.1 * noise, noise, shown * 0, 1 - shown]
        # graded levels: a threshold between object and rest has to be found
        return self.out(torch.stack(channels)[None] * (1 + 0.01 * noise))


@pytest.fixture(scope="module")
def clips() -> ConceptClips:
    return ConceptClips.drawn(procedural_library(0), SPEC, 1, (10, 20, 20))


def test_planted_channels_get_their_concepts(clips: ConceptClips) -> None:
    found = concepts_of(Planted(clips), SPEC, clips, ["out"])["out"]
    names = clips.names
    assert names[:6] == PARTS
    assert len(names) == 16  # procedural shapes have no kinds
    assert names[found.best[0]] == "object"
    assert names[found.best[1]] == "motion: right"
    assert names[found.best[4]] == "background"
    assert found.score[0] > 0.3
    assert found.score[1] > 0.3
    assert abs(found.score[2]) < 0.05
    assert np.isnan(found.score[3])
    k = names.index("object")
    assert found.iou[0, k] > found.chance[0, k] + 0.3
    # the object's detector overlaps with each motion less than with the object
    assert (found.iou[0, 6:] < found.iou[0, k]).all()


def test_the_reported_clips_take_no_part_in_choices(clips: ConceptClips) -> None:
    """Labels of the last set made empty: choices stay, what is reported falls to nothing."""
    blank = [
        type(c)(c.frames, np.zeros_like(c.masks), c.what, c.how) if i >= 30 else c
        for i, c in enumerate(clips.clips)
    ]
    changed = ConceptClips(tuple(blank), clips.sizes, clips.names)
    model = Planted(clips)
    before = concepts_of(model, SPEC, clips, ["out"])["out"]
    after = concepts_of(model, SPEC, changed, ["out"])["out"]
    assert (before.best == after.best).all()
    assert (before.above == after.above).all()
    assert after.iou.max() == 0


def test_coarse_grids_count_shares_of_cells(clips: ConceptClips) -> None:
    parts = clips.parts(0, (2, 4, 4))
    assert parts.shape == (6, 32)
    assert torch.allclose(parts[:4].sum(0), torch.ones(32))
    share = clips.clips[0].masks[0][:4, :8, :8].mean()
    assert float(parts[0, 0]) == pytest.approx(float(share))


def test_a_layer_without_a_grid_is_refused(clips: ConceptClips) -> None:
    model = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten()).eval()
    with pytest.raises(LayerError, match="concepts need a grid"):
        concepts_of(model, SPEC, clips, ["1"])


@pytest.mark.parametrize("size", range(4, 45))
def test_chance_is_never_a_clips_own_label(size: int) -> None:
    steps = _steps(size)
    assert len(steps) == SHUFFLES
    for number in range(size):
        others = [(number + step) % size for step in steps]
        assert number not in others
        # motions come in turn
        assert all(other % len(HOWS) != number % len(HOWS) for other in others)
    assert len(set(steps)) == SHUFFLES or size == 11  # there, one of two motions is its own
    if size in (20, 40):
        assert steps == (3, 6, 9)  # of the shipped results


FACTORY = """import torch
from torch import nn
from c3d_viz.nets import InputSpec
def make():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.MaxPool3d(2))
    return net, InputSpec('RGB', (127.5,) * 3, 1 / 60, (24, 20), (24, 20), 8)
"""


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path, sources: Path) -> None:
    factory, out = tmp_path / "net.py", tmp_path / "out"
    factory.write_text(FACTORY)
    words = ["units", "concepts", "--model", f"{factory}:make", "--layer", "1", "--layer", "2"]
    words += ["--controls", "2", "--clips", "4", "--library", str(sources), "-o", str(out)]
    status, said, error = call(capsys, *words)
    assert status == 0, error
    assert said.splitlines()[0].startswith("1: ")
    assert {p.name for p in out.iterdir()} == {
        "1.csv", "2.csv", "concepts.json", "layers.png", "manifest.json",
    }  # fmt: skip
    report = json.loads((out / "concepts.json").read_text())
    assert len(report["concepts"]) == 6 + 10 + 6
    table = list(csv.DictReader((out / "1.csv").read_text().splitlines()))
    limit = report["layers"]["1"]["score"]["threshold"]
    assert [int(row["channel"]) for row in table] == [0, 1, 2, 3]
    for row in table:
        assert row["concept"] in report["concepts"]
        assert float(row["score"]) == pytest.approx(
            float(row["iou"]) - float(row["chance"]), abs=1e-5
        )
        assert float(row[f"iou {row['concept']}"]) == pytest.approx(float(row["iou"]), rel=1e-4)
        assert int(row["beyond_untrained"]) == (float(row["score"]) > limit)
    shares = report["layers"]["1"]["beyond"]
    assert sum(shares.values()) * 4 == sum(int(row["beyond_untrained"]) for row in table)
    command = shlex.split(json.loads((out / "manifest.json").read_text())["command"])[1:]
    command[command.index(str(out))] = str(tmp_path / "again")
    assert call(capsys, *command)[0] == 0
    assert (tmp_path / "again" / "1.csv").read_text() == (out / "1.csv").read_text()


def test_nothing_is_said_to_be_beyond_without_a_control(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    factory, out = tmp_path / "net.py", tmp_path / "out"
    dead = "    net[0].weight.data[1] = 0; net[0].bias.data[1] = 0\n    return net"
    factory.write_text(FACTORY.replace("    return net", dead))
    words = ["units", "concepts", "--model", f"{factory}:make", "--layer", "1", "--controls", "0"]
    status, said, error = call(capsys, *words, "--clips", "4", "-o", str(out))
    assert status == 0, error
    assert said.startswith("1: 3 channels answer, median score ")
    assert "nothing to compare with" in said
    assert "nan" not in said
    assert said.strip().endswith(f"open {out}")
    assert {p.name for p in out.iterdir()} == {"1.csv", "concepts.json", "manifest.json"}
    layer = json.loads((out / "concepts.json").read_text())["layers"]["1"]
    assert (layer["beyond"], layer["beyond_untrained"]) == (None, None)
    table = list(csv.DictReader((out / "1.csv").read_text().splitlines()))
    assert {row["beyond_untrained"] for row in table} == {""}
    assert [row["channel"] for row in table if not row["concept"]] == ["1"]  # it is silent


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--layer", "fc6"], "fc6 gives (1, 512): concepts need a grid"),
        (["--controls", "1"], "controls must be 0 or 2 to 100 networks, got 1"),
        (["--clips", "1"], "clips must be 4 to 1000, got 1"),
        (["--library", "nowhere"], "no animal cut-outs"),
    ],
)
def test_a_refusal_leaves_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], said: str
) -> None:
    status, _, error = call(capsys, "units", "concepts", *words, "-o", str(tmp_path / "out"))
    assert (status, error.count("\n")) == (2, 1), error
    assert said in error
    assert list(tmp_path.iterdir()) == []
