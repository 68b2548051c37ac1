"""Which windows are taken, and the synthetic, frozen and shuffled ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from c3d_viz.clips import find_videos
from c3d_viz.errors import ClipError
from c3d_viz.finding.measure.windows import (
    ClipWindow,
    frozen,
    real_windows,
    shuffled,
    synthetic_windows,
)
from c3d_viz.nets import COMPACT_INPUT


def test_synthetic_windows_do_what_they_say() -> None:
    windows = synthetic_windows(2, 0)
    assert [w.kind for w in windows] == ["appearance first"] * 2 + ["motion first"] * 2
    for window in windows:
        # sensor noise of sigma 2 differs by 2 sqrt(2 / pi) sqrt 2 = 2.26 levels on average
        step = np.abs(np.diff(window.frames.astype(float), axis=0)).mean((1, 2, 3))
        still, moving = (step[:7], step[7:]) if window.kind == "appearance first" else (
            step[7:], step[:7],
        )  # fmt: skip
        assert still == pytest.approx(2.26, rel=0.1)
        assert (moving > 1.3 * still.max()).all()
        assert window.stimulus.camera.max() == 0
    again = synthetic_windows(2, 0)
    assert [w.sha256 for w in again] == [w.sha256 for w in windows]
    assert synthetic_windows(2, 1)[0].sha256 != windows[0].sha256


def test_frozen_and_shuffled() -> None:
    frames = np.arange(16, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    window = ClipWindow("a", "a", frames, "a", 0)
    assert np.unique(frozen(window).frames).tolist() == [8]
    mixed = shuffled(window, (0, 1)).frames[:, 0, 0, 0]
    assert sorted(mixed) == list(range(16))
    assert mixed.tolist() != list(range(16))
    assert (shuffled(window, (0, 1)).frames[:, 0, 0, 0] == mixed).all()


def frame_folder(path: Path, count: int, seed: int) -> None:
    path.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for t in range(count):
        cv2.imwrite(str(path / f"{t}.png"), rng.integers(0, 255, (24, 32, 3), np.uint8))


def test_paths_become_windows_by_rule(tmp_path: Path) -> None:
    frame_folder(tmp_path / "set" / "dog" / "frames", 20, 0)
    frame_folder(tmp_path / "set" / "cat10", 16, 1)
    frame_folder(tmp_path / "set" / "cat9", 16, 2)
    frame_folder(tmp_path / "set" / "short", 5, 3)
    (tmp_path / "set" / "notes.txt").write_text("no clip")
    found = find_videos([tmp_path / "set"])
    assert [p.name for p, _ in found] == ["cat9", "cat10", "frames", "short"]
    windows, skipped = real_windows([tmp_path / "set"], COMPACT_INPUT, 1)
    assert [w.name for w in windows] == ["cat9@0", "cat10@0", "dog@2"]
    assert windows[2].cluster == "dog"
    assert windows[0].frames.shape == (16, 112, 112, 3)
    assert len(skipped) == 1
    assert "short" in skipped[0]
    several, _ = real_windows([tmp_path / "set" / "dog"], COMPACT_INPUT, 2)
    assert [w.start for w in several] == [1, 3]
    assert {w.cluster for w in several} == {"dog"}
    with pytest.raises(ClipError, match="short has 5 frames"):
        real_windows([tmp_path / "set" / "short"], COMPACT_INPUT, 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ClipError, match="no videos"):
        find_videos([tmp_path / "empty"])
    with pytest.raises(ClipError, match="no clips given"):
        find_videos([])
