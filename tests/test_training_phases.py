"""Training: batches, the joint phase, the commands."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from c3d_viz.errors import WeightsError
from c3d_viz.synthetic_library import WHATS, load_library, procedural_library
from c3d_viz.training import data, loop, phases, stills
from c3d_viz.training.__main__ import main
from c3d_viz.training.nets import TrainNet


def test_batches_depend_on_the_seed_alone() -> None:
    batch = data.clips(procedural_library(), 3)
    (x, _, how), (again, _, _), (other, _, _) = batch(5, 0.5), batch(5, 0.5), batch(6, 0.5)
    assert torch.equal(x, again)
    assert not torch.equal(x, other)
    assert x.shape == (3, 3, 16, 112, 112)
    assert -1.84 < float(x.min()) < float(x.max()) < 2.42  # (0 - 110) / 60, (255 - 110) / 60
    assert set(how.tolist()) <= set(range(10))


def test_blended_backgrounds_are_made_of_the_given_ones() -> None:
    g = torch.Generator().manual_seed(0)
    colours = torch.tensor([[10, 100, 200], [20, 110, 220]], dtype=torch.uint8)
    plain = colours[:, :, None, None].expand(2, 3, 8, 12).contiguous()
    made = data.blended(plain, 64, g)
    assert made.shape == (64, 3, 8, 12)
    assert made.dtype == torch.uint8
    ordered = made[:, :, 0, 0].sort(1).values.int()
    low, high = colours.min(0).values.int(), colours.max(0).values.int()
    assert (ordered >= low).all()
    assert (ordered <= high).all()  # between the two, in some order of the channels
    exchanged = (made[:, :, 0, 0].argsort(1) != torch.arange(3)).any(1).float().mean()
    assert 0.25 < float(exchanged) < 0.6  # half, less one order in six that changes nothing
    assert torch.equal(made, data.blended(plain, 64, torch.Generator().manual_seed(0)))
    ramp = torch.arange(8, dtype=torch.uint8)[None, None, :, None].expand(1, 3, 8, 12)
    upside_down = data.blended(ramp.contiguous(), 64, g)[:, 0, 0, 0] > 3
    assert 0.25 < float(upside_down.float().mean()) < 0.75


def test_pictures_at_full_clutter_from_the_first_step() -> None:
    library = procedural_library()
    library = dataclasses.replace(library, what=torch.arange(len(library.what)) % len(WHATS))
    pieces = stills.pieces(library, 4, torch.Generator().manual_seed(0))
    fixed = stills.batches(library, 5, pieces, clutter=1.0)
    grown = stills.batches(library, 5, pieces)
    assert torch.equal(fixed(3, 0.0)[0], grown(3, 1.0)[0])
    assert not torch.equal(fixed(3, 0.0)[0], grown(3, 0.0)[0])
    assert fixed(3, 0.0)[0].shape == (5, 3, 112, 112)


def test_a_joint_run_goes_on_from_another(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    before = TrainNet(phases.HEADS, depth=1, plain=phases.PLAIN)
    torch.save({"ema": before.state_dict(), "seen": 48}, tmp_path / "joint.pt")
    few, everything = data.fixed_clips, load_library(sources, "all", "all")
    monkeypatch.setattr(data, "fixed_clips", lambda library, n, seed: few(library, 2, seed))
    monkeypatch.setattr(phases, "load_library", lambda *_: everything)
    settings = loop.Settings(steps=1, batch=2, head_weights=(1.5, 1.0), lr=1e-3, warmup=100)
    state = phases.train_joint(
        sources, tmp_path / "joint.pt", tmp_path / "run", 1, settings, warm=True, pictures=3
    )
    assert (state.seen, state.stills) == (50, 3)
    moved = (state.net.fc8.weight - before.fc8.weight).detach().abs().max()
    assert 0 < float(moved) < 1e-4  # one step of AdamW at a hundredth of the learning rate
    net, seen = phases.joint_net(tmp_path / "run")
    assert (net.depth, seen) == (1, 50)
    with pytest.raises(WeightsError, match="has temporal depth 1; give --depth 1"):
        phases.train_joint(sources, tmp_path / "run", tmp_path / "3d", 3, settings, warm=True)


def test_commands_fail_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stills", str(tmp_path), "-o", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no animal cut-outs")
    assert error.count("\n") == 1
