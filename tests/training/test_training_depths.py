"""The study of temporal depths: shapes, clips, resuming, the rule, what is written."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from c3d_viz.errors import ExportError, ShapeError
from c3d_viz.synthetic import HOWS, WHATS, load_library
from c3d_viz.training import commands
from c3d_viz.training.depths import DEPTHS, DepthNet, Plan, run, study
from c3d_viz.training.depths.clips import Clips, epochs, rendered
from c3d_viz.training.depths.judge import accuracy, compare, pairs
from c3d_viz.training.loop import step_seed

TINY = Plan(
    names=("depth-1", "depth-3"), seeds=1, clips=8, epochs=2, curve=4, test=6, frames=4, size=16,
    width=1, fc=4, batch=4,
)  # fmt: skip


def test_the_paper_s_six_depths_differ_in_their_convolutions_alone() -> None:
    counts = {}
    for name, depths in DEPTHS.items():
        net = DepthNet(depths, width=2, fc=8)
        kernels = [getattr(net, f"conv{i}").kernel_size for i in range(1, 6)]
        assert kernels == [(d, 3, 3) for d in depths]
        shapes = (3, 2), (2, 4), (4, 8), (8, 8), (8, 8)
        wanted = sum(9 * d * a * b for d, (a, b) in zip(depths, shapes, strict=True))
        assert net.parameters_of_convolutions == wanted
        total = sum(p.numel() for p in net.parameters())
        counts[name] = total - wanted
        net.eval()
        assert net(torch.zeros(1, 3, 16, 40, 40)).shape == (1, len(WHATS) + len(HOWS))
    assert len(set(counts.values())) == 1


def test_a_net_of_depth_1_cannot_tell_a_clip_from_its_reversal() -> None:
    x = torch.randn(2, 3, 16, 32, 32, generator=torch.Generator().manual_seed(0))
    for name, same in (("depth-1", True), ("depth-3", False), ("decreasing", False)):
        torch.manual_seed(0)
        net = DepthNet(DEPTHS[name], width=2, fc=8, size=32).eval()
        with torch.no_grad():
            assert torch.allclose(net(x), net(x.flip(2)), atol=1e-6) is same, name


@pytest.mark.parametrize("depths", [(3, 3, 3), (3, 3, 2, 3, 3), (1, 1, 1, 1, -1)])
def test_depths_that_are_none_are_refused(depths: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="five odd positive"):
        DepthNet(depths)


def some_clips(n: int, sprites: int = 4) -> Clips:
    index = np.arange(n)
    frames = np.zeros((n, 3, 2, 4, 4), np.uint8)
    return Clips(frames + index[:, None, None, None, None].astype(np.uint8), index % 6,
                 index % 10, index % sprites)  # fmt: skip


def test_an_epoch_shows_every_clip_once_in_an_order_of_its_own() -> None:
    clips = some_clips(12)

    def shown(seed: int, epoch: int) -> list[int]:
        batches = epochs(clips, 4, seed)
        steps = range(3 * epoch, 3 * epoch + 3)
        return torch.cat([batches(step_seed(seed, s), 0.0)[2] for s in steps]).tolist()

    for seed, epoch in ((0, 0), (0, 1), (1, 0)):
        assert sorted(shown(seed, epoch)) == sorted((np.arange(12) % 10).tolist())
    assert shown(0, 0) == shown(0, 0)
    assert shown(0, 0) != shown(0, 1)
    assert shown(0, 0) != shown(1, 0)


def test_clips_are_balanced_and_rendered_once(sources: Path, tmp_path: Path) -> None:
    library = load_library(sources, "all", "all")
    clips, plan = tmp_path / "clips", Plan(frames=4, size=16, clutter=1.0)
    first = rendered(library, 62, clips, seed=1, plan=plan)
    assert first.frames.shape == (62, 3, 4, 16, 16)
    assert first.what[:60].tolist() == [i // 10 for i in range(60)]
    assert first.how[:12].tolist() == [*range(10), 0, 1]
    assert (library.what[torch.from_numpy(first.sprite)].numpy() == first.what).all()
    (file,) = clips.iterdir()
    before = file.stat().st_mtime_ns
    again = rendered(library, 62, clips, seed=1, plan=plan)
    assert (again.frames == first.frames).all()
    assert file.stat().st_mtime_ns == before
    other = rendered(library, 62, clips, seed=2, plan=plan)
    assert (other.frames != first.frames).any()
    plain = dataclasses.replace(plan, clutter=0.0)
    other = rendered(library, 62, clips, seed=1, plan=plain)  # none of another look is taken
    assert (other.frames != first.frames).any()


def planted(shares: dict[str, tuple[float, float]], n: int = 600) -> tuple[Clips, dict]:  # type: ignore[type-arg]
    """Answers of which these shares (of both seeds, on motion) are right; on appearance all are."""
    clips = some_clips(n, sprites=60)
    said = {}
    for name, seeds in shares.items():
        for seed, share in enumerate(seeds):
            wrong = np.random.default_rng([seed, len(name)]).random(n) >= share
            how = np.where(wrong, (clips.how + 1) % 10, clips.how)
            said[name, seed, 1] = np.stack([clips.what, how], 1)
    return clips, said


def test_the_rule_needs_the_interval_and_every_seed() -> None:
    plan = dataclasses.replace(TINY, names=("depth-1", "depth-3", "depth-5"), seeds=2)
    clips, said = planted({"depth-1": (0.3, 0.32), "depth-3": (0.8, 0.82), "depth-5": (0.95, 0.5)})
    found = {(c.first, c.second, c.question): c for c in compare(said, clips, plan, 1)}
    assert pairs(plan) == [("depth-3", "depth-1"), ("depth-3", "depth-5"), ("depth-5", "depth-1")]
    clear = found["depth-3", "depth-1", "motion"]
    assert clear.verdict == "better"
    assert clear.difference == pytest.approx(0.5, abs=0.05)
    assert clear.low < clear.difference < clear.high
    split = found["depth-3", "depth-5", "motion"]
    assert split.verdict == "not told apart"  # one seed of depth 5 is ahead, one behind
    assert found["depth-3", "depth-1", "appearance"].verdict == "not told apart"
    assert found["depth-3", "depth-1", "appearance"].difference == 0
    share = accuracy(said, clips, "depth-5", 1, "both")
    assert share.seeds == pytest.approx((0.95, 0.5), abs=0.05)
    assert share.share == pytest.approx(np.mean(share.seeds))
    clips, said = planted({"depth-1": (0.9, 0.9), "depth-3": (0.4, 0.4), "depth-5": (0.4, 0.4)})
    assert compare(said, clips, plan, 1)[0].verdict == "worse"


def test_a_difference_in_the_mean_alone_tells_nothing_apart() -> None:
    plan = dataclasses.replace(TINY, names=("depth-1", "depth-3"), seeds=2)
    clips, said = planted({"depth-1": (0.9, 0.5), "depth-3": (0.2, 0.6)})
    found = compare(said, clips, plan, 1)[0]
    assert found.high < 0
    assert found.verdict == "not told apart"  # a seed of depth 3 is ahead of one of depth 1
    clips = some_clips(12, sprites=12)
    said = {
        (name, seed, 1): np.stack([clips.what, np.where(hit, clips.how, -1)], 1)
        for name, hit in (("depth-1", np.arange(12) < 2), ("depth-3", np.arange(12) > 8))
        for seed in (0, 1)
    }
    found = compare(said, clips, plan, 1)[0]
    assert found.difference == pytest.approx(1 / 12)
    assert found.low < 0
    assert found.verdict == "not told apart"  # every seed is ahead, by too little


def test_intervals_hold_for_all_comparisons_together() -> None:
    """Three pairs on two questions: 95 % for all six, 99.17 % for each."""
    plan = dataclasses.replace(TINY, names=("depth-1", "depth-3", "depth-5"), seeds=2)
    clips, said = planted({"depth-1": (0.3, 0.3), "depth-3": (0.4, 0.4), "depth-5": (0.5, 0.5)})
    found = compare(said, clips, plan, 1)[0]
    right = {run: (answers[:, 1] == clips.how) * 1.0 for run, answers in said.items()}
    gap = sum(right["depth-3", seed, 1] - right["depth-1", seed, 1] for seed in (0, 1)) / 2
    error = gap.reshape(10, 60).mean(0).std() / np.sqrt(60)  # clip i is of cut-out i mod 60
    assert (found.high - found.low) / (2 * error) == pytest.approx(2.638, abs=0.15)  # not 1.96


@pytest.fixture
def pictures(sources: Path) -> Path:
    """The folder with each cut-out and background in both splits."""
    for folder in (sources / "backgrounds", *(sources / "sprites").iterdir()):
        for path in list(folder.iterdir()):
            path.with_name(f"extra-{path.name}").write_bytes(path.read_bytes())  # trains
    return sources


@pytest.mark.slow
def test_a_study_killed_midway_ends_as_an_uninterrupted_one(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(pictures, tmp_path / "whole", TINY)

    class KilledError(Exception):
        pass

    lines: list[tuple[int, int, str]] = []
    kept = study.fit

    def dies(state, *args, **kwargs):  # type: ignore[no-untyped-def]
        """Half an epoch of the last network's second epoch, and then nothing more."""
        if state.step == 2 and state.net.conv1.kernel_size[0] == 3:
            kept(state, *args, **{**kwargs, "stop_after": 1})
            raise KilledError
        return kept(state, *args, **kwargs)

    monkeypatch.setattr(study, "fit", dies)
    with pytest.raises(KilledError):
        run(pictures, tmp_path / "parts", TINY)
    early = json.loads((tmp_path / "parts/depths.json").read_text())
    assert (early["epochs_reached"], early["finished"]) == (1, False)  # a fair comparison stands
    assert "decides nothing yet" in (tmp_path / "parts/depths.md").read_text()
    made: list[int] = []
    averaged: list[object] = []

    def counted(state, *args, **kwargs):  # type: ignore[no-untyped-def]
        before = state.step
        result = kept(state, *args, **kwargs)
        made.append(result.step - before)
        averaged.append(result.ema)
        return result

    monkeypatch.setattr(study, "fit", counted)
    heard, says = [], study.said
    monkeypatch.setattr(study, "said", lambda net, *of: heard.append(net) or says(net, *of))
    parts = run(pictures, tmp_path / "parts", TINY, lambda *line: lines.append(line))
    assert made == [1]  # only the step that was missing
    assert heard == averaged  # the averaged network answers
    for name in ("depths.json", "depths.md", "depths.png", "depth-3-seed-0/said-02.npz"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes(), name
    assert lines[-1][:2] == (8, 8)
    assert "min left" in lines[-1][2]
    found = json.loads((whole / "depths.json").read_text())
    assert found["finished"]
    assert [len(c) for c in found["curves"]["depth-3"]["motion"]] == [1, 1]
    text = (whole / "depths.md").read_text()
    assert "6 held-out clips" in text
    assert "decides nothing" not in text
    assert f"| {sum(p.numel() for p in TINY.net('depth-3', 0).parameters()):,} (" in text
    made.clear()
    run(pictures, tmp_path / "parts", TINY)
    assert made == []
    with pytest.raises(ExportError, match="another plan"):
        run(pictures, tmp_path / "parts", dataclasses.replace(TINY, lr=0.1))


def test_the_command_hands_its_options_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[Path, Path, Plan]] = []
    monkeypatch.setattr(study, "run", None)
    monkeypatch.setattr(
        "c3d_viz.training.depths.run", lambda data, out, plan, line: asked.append((data, out, plan))
    )
    assert commands.main(["depths", "d", "-o", "o", "--clips", "48", "--seeds", "3"]) == 0
    assert asked == [(Path("d"), Path("o"), dataclasses.replace(Plan(), clips=48, seeds=3))]
