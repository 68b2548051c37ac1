"""Channels classified by what they share over pairs of clips; planted ones come out as planted."""

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

from c3d_viz.errors import LayerError, VizError
from c3d_viz.nets import InputSpec
from c3d_viz.units import SharingSettings, write_sharing
from c3d_viz.units.sharing import pairs as sharing
from c3d_viz.weights import NetworkChoice


def test_units_are_classified_by_what_they_share() -> None:
    g = np.random.default_rng(0)
    move, look, more_move, more_look, dust = g.normal(size=(5, 60))
    base = np.stack([move, look, move + look, dust, np.zeros(60)], 1)
    same_move = np.stack([move, more_look, move + more_look, g.normal(size=60), np.zeros(60)], 1)
    same_look = np.stack([more_move, look, more_move + look, g.normal(size=60), np.zeros(60)], 1)
    for unit, kind in enumerate(("dynamic", "static", None, "none", "none")):
        got = sharing.classify(*(v[:, [unit]] for v in (base, same_move, same_look)))
        assert sum(got[k] for k in sharing.KINDS) == 1
        if kind is not None:
            assert got[kind] == 1
            assert got["unrelated"] == 0
    joint = np.stack([3 * move + look], 1)
    both_parts = sharing.classify(joint, joint + 0.1, joint * 2)
    assert both_parts["joint"] == 1


def test_paired_clips_share_one_factor_exactly() -> None:
    clips = sharing.paired_clips(3, 0, size=56)
    assert set(clips) == set(sharing.ROLES)
    for stack in clips.values():
        assert stack.shape == (3, 16, 56, 56, 3)
        assert stack.dtype == np.uint8
    assert np.abs(clips["base"].astype(int) - clips["dynamics"]).mean() > 5
    assert np.abs(clips["base"].astype(int) - clips["appearance"]).mean() > 1
    again = sharing.paired_clips(3, 0, size=56)
    np.testing.assert_array_equal(again["dynamics"], clips["dynamics"])


SPEC = InputSpec("RGB", (0.0, 0.0, 0.0), 1.0, (32, 32), (32, 32), 16)


class Planted(nn.Module):
    """Channels: how bright the clip is, where it changes, nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = x.mean(1) / 255
        moved = ((x[:, :, 1:] - x[:, :, :-1]).abs().amax(1) > 12).float()
        moved = nn.functional.pad(moved, (0, 0, 0, 0, 1, 0))
        return self.out(torch.stack([bright, moved, 0 * bright], dim=1))


def test_a_planted_static_and_a_planted_dynamic_channel_come_out_as_such() -> None:
    clips = sharing.paired_clips(40, 0, size=32)
    measured = sharing.answers(Planted(), SPEC, clips, ["out"])
    r_dynamic, r_static = sharing.correlations(*sharing.of_layer(measured, "out"))
    assert sharing.kinds(r_dynamic, r_static).tolist() == ["static", "dynamic", "none"]
    found = sharing.shares(measured, ["out"])["out"]
    assert found == {"dynamic": 1 / 3, "static": 1 / 3, "joint": 0, "none": 1 / 3, "unrelated": 0}


def test_a_fully_connected_layer_has_channels_and_a_lost_one_is_refused() -> None:
    class Vector(Planted):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(super().forward(x).mean((2, 3, 4)))

    clips = {role: stack[:2] for role, stack in sharing.paired_clips(2, 0, size=32).items()}
    assert sharing.answers(Vector(), SPEC, clips, ["out"])["base.out"].shape == (2, 3)
    with pytest.raises(LayerError, match="nowhere"):
        sharing.answers(Planted(), SPEC, clips, ["nowhere"])


FACTORY = """import torch
from torch import nn
from c3d_viz.nets import InputSpec
def make():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv3d(3, 6, 3), nn.ReLU(), nn.MaxPool3d(2))
    return net, InputSpec('RGB', (127.5,) * 3, 1 / 60, (24, 20), (24, 20), 8)
"""


def test_the_command_writes_kinds_shares_and_untrained_networks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    factory, out = tmp_path / "net.py", tmp_path / "out"
    factory.write_text(FACTORY)
    words = ["units", "dynamic", "--model", f"{factory}:make", "--layer", "1", "--layer", "2"]
    status, said, error = call(capsys, *words, "--pairs", "6", "--controls", "2", "-o", str(out))
    assert status == 0, error
    assert said.startswith("1: dynamic")
    assert {p.name for p in out.iterdir()} == {
        "1.csv", "2.csv", "dynamic.json", "layers.png", "manifest.json",
    }  # fmt: skip
    found = json.loads((out / "dynamic.json").read_text())["layers"]["1"]
    rows = list(csv.DictReader((out / "1.csv").read_text().splitlines()))
    assert len(rows) == 6
    for kind in sharing.KINDS:
        share = sum(row["kind"] == kind for row in rows) / len(rows)
        assert found["share"][kind] == share
        assert f"{kind} {share:.0%}" in said.splitlines()[0]
        assert found["low"][kind] <= found["high"][kind]
        assert len(found["untrained"][kind]) == 2
    for row in rows:
        r = (np.array([float(row[name])]) for name in ("r_dynamic", "r_static"))
        assert sharing.kinds(*r).tolist() == [row["kind"]]
    command = shlex.split(json.loads((out / "manifest.json").read_text())["command"])[1:]
    command[command.index(str(out))] = str(tmp_path / "again")
    assert call(capsys, *command)[0] == 0
    for name in ("1.csv", "dynamic.json"):
        assert (tmp_path / "again" / name).read_text() == (out / name).read_text()


@pytest.mark.parametrize(
    ("change", "said"), [({"pairs": 3}, "pairs"), ({"controls": -1}, "controls")]
)
def test_numbers_out_of_range_are_refused_before_any_work(
    change: dict[str, int], said: str, tmp_path: Path
) -> None:
    with pytest.raises(VizError, match=said):
        write_sharing(tmp_path / "out", SharingSettings(NetworkChoice(), **change))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
