"""The same clip changed in one respect, and networks whose answer to it is known."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from tiny import tiny
from torch import nn

from c3d_viz.engine import Unit, top_units, trace
from c3d_viz.nets import COMPACT_INPUT, InputSpec
from c3d_viz.trust import (
    Case,
    little_changes,
    motion_specificity,
    run_controls,
    stability,
)
from c3d_viz.trust import subject as subject_of
from c3d_viz.trust.perturbation import MotionSpecificity
from c3d_viz.trust.subject import Subject


def subject(depth: int) -> Subject:
    rng = np.random.default_rng(0)
    still = rng.integers(0, 255, (112, 140, 3), dtype=np.uint8)
    frames = np.stack([still[:, t : t + 112] for t in range(16)])
    model = tiny(depth)
    made = Subject(model, COMPACT_INPUT, Case("a", "a", frames), Unit("conv3b", 0), 1)
    seen = trace(model, made.x, ["conv3b"])
    (unit,) = top_units(seen, "conv3b", 1)
    return Subject(model, COMPACT_INPUT, made.case, unit, seen.activations["conv3b"].shape[1])


@pytest.mark.parametrize("method", ["gradient", "deconvnet"])
def test_a_network_without_time_is_not_specific_to_motion(method: str) -> None:
    flat, deep = subject(1), subject(3)
    scores = [
        motion_specificity(partial(s.explain_by, s.asked(), method), s.case.frames, s.unit, s.steps)
        for s in (flat, deep)
    ]
    assert abs(scores[0].direction) < 1e-6
    assert scores[0].appearance > 1e-4
    assert scores[0].score == pytest.approx(0, abs=1e-3)
    assert scores[1].direction > 1e-4
    assert scores[1].score > 0.05


def test_the_score_by_hand() -> None:
    assert MotionSpecificity(0.3, 0.1).score == pytest.approx(0.75)
    assert MotionSpecificity(0.0, 0.1).score == 0
    assert np.isnan(MotionSpecificity(0.0, 0.0).score)


def test_a_map_that_is_gone_has_changed_altogether() -> None:
    def forward_only(frames: np.ndarray, unit: Unit) -> np.ndarray:
        runs = frames[0, 0, 0, 0] < frames[-1, 0, 0, 0]
        return np.full((4, 16, 16), float(runs), np.float32) * np.arange(16, dtype=np.float32)

    frames = np.zeros((4, 16, 16, 3), np.uint8)
    frames[:] = np.arange(4, dtype=np.uint8)[:, None, None, None]
    found = motion_specificity(forward_only, frames, Unit("a", 0, (0, 0, 0)), 4)
    assert found.direction == 1


def test_stability_of_maps_that_are_known() -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(60, 200, (4, 48, 48, 3), dtype=np.uint8)
    seen: list[np.ndarray] = []

    def follows(frames: np.ndarray, unit: Unit) -> np.ndarray:
        seen.append(frames)
        return frames.astype(np.float32).sum(-1)

    changes = little_changes(frames, 0)
    found = stability(follows, frames, Unit("a", 0, (0, 0, 0)), changes)
    assert found["shift"] == pytest.approx(1.0)  # it moves with the clip
    assert found["noise"] > 0.99
    assert found["compression"] > 0.5
    assert np.array_equal(seen[1][:, :, 1:], frames[:, :, :-1])
    assert set(np.unique(seen[2].astype(int) - frames)) == {-1, 1}
    assert seen[3].shape == frames.shape

    fixed = rng.random((4, 48, 48), dtype=np.float32)
    assert stability(lambda *_: fixed, frames, Unit("a", 0, (0, 0, 0)), changes)["shift"] < 0.95


def test_the_positive_controls_come_out_right(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [c.says for c in run_controls() if not c.right] == []
    # a broken explanation is noticed: the maps of another place
    plain = subject_of._importance

    def shifted(*args: object) -> np.ndarray:
        return np.roll(plain(*args), 20, axis=2)  # type: ignore[arg-type]

    monkeypatch.setattr(subject_of, "_importance", shifted)
    wrong = [c.name for c in run_controls() if not c.right]
    assert any("corner" in name for name in wrong)
    assert any("square" in name for name in wrong)

    # the same map for every clip follows no direction; one of the clip's own order does, always
    def first(values: np.ndarray) -> np.ndarray:
        kept = np.zeros_like(values)
        kept[0] = 1 + np.arange(values[0].size).reshape(values[0].shape)
        return kept

    for made, found in (
        (np.ones_like, "it is specific to the direction of motion"),
        (first, "without time, not"),
    ):
        monkeypatch.setattr(subject_of, "_importance", lambda *a, made=made: made(plain(*a)))
        assert found in [c.name for c in run_controls() if not c.right]


def test_odd_frames_survive_the_compression() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (3, 31, 33, 3), dtype=np.uint8)
    torch.manual_seed(0)
    found = stability(
        lambda f, _u: f.astype(np.float32).sum(-1),
        frames,
        Unit("a", 0, (0, 0, 0)),
        little_changes(frames, 0),
    )
    assert set(found) == {"shift", "noise", "compression"}


def test_what_a_deconvolution_has_of_time_without_kernels_in_time_is_ties_of_zeros() -> None:
    """A pooling over time takes the first of equal cells, also of a reversed clip, and the
    deconvolution alone walks back through cells that are zero."""
    model = nn.Sequential(
        nn.Conv3d(3, 4, (1, 3, 3), padding=(0, 1, 1)), nn.ReLU(), nn.MaxPool3d((2, 2, 2)),
        nn.Conv3d(4, 4, (1, 3, 3), padding=(0, 1, 1)), nn.ReLU(),
    ).eval()  # fmt: skip
    with torch.no_grad():
        for values in model.parameters():
            values.copy_(torch.randn(values.shape, generator=torch.Generator().manual_seed(5)))
    model.requires_grad_(False)
    frames = np.random.default_rng(0).integers(0, 255, (4, 24, 24, 3), dtype=np.uint8)
    spec = InputSpec(resize=(24, 24), crop=(24, 24), frames=4, mean=(120.0,) * 3, scale=1 / 60)

    def direction(method: str, bias: float) -> float:
        model[0].bias.fill_(bias)  # type: ignore[operator, union-attr]
        made = Subject(model, spec, Case("a", "a", frames), Unit("4", 1, (0, 6, 6)), 2)
        explain = partial(made.explain_by, made.asked(), method)
        return motion_specificity(explain, frames, made.unit, made.steps).direction

    assert direction("guided", -6.0) == pytest.approx(0, abs=1e-9)
    assert direction("deconvnet", -6.0) > 1e-3
    assert direction("deconvnet", 100.0) == pytest.approx(0, abs=1e-9)  # nothing is zero
