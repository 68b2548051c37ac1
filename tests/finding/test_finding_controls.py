"""Controls on made-up measurements, windows by rule, kept work, shared units."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from c3d_viz.errors import ClipError
from c3d_viz.finding import controls as c
from c3d_viz.finding import sharing
from c3d_viz.finding.probe import perturbation_delta
from c3d_viz.finding.statistics import DECIDING, Effect, Interval
from c3d_viz.finding.stimulus import stimulus
from c3d_viz.finding.windows import (
    Window,
    expand,
    frozen,
    real_windows,
    shuffled,
    synthetic_windows,
)
from c3d_viz.finding.work import Piece, as_json, do
from c3d_viz.nets.spec import COMPACT_INPUT

N = 12
VIDEOS = [f"v{i}" for i in range(N)]
NOISE = np.random.default_rng(0).normal(0, 0.01, (N, 4))


def both(values: object) -> dict[str, np.ndarray]:
    return {method: np.asarray(values, float) for method in DECIDING}


def measured(m_late: float, a_early: float, units: int = 2) -> dict[str, np.ndarray]:
    """A and M (direction, method, unit, frame) of a clip whose reversal mirrors it exactly."""
    m, a = np.full((2, 2, units, 16), np.nan), np.full((2, 2, units, 16), np.nan)
    m[0, ..., 1:8], m[0, ..., 8:15] = 0.0, m_late
    a[0, ..., 1:8], a[0, ..., 8:15] = a_early, 0.0
    m[1], a[1] = m[0, ..., ::-1], a[0, ..., ::-1]
    return {"M": m, "A": a}


def test_a_clip_that_mirrors_has_content_and_no_position() -> None:
    p, k = c.positional(measured(0.3, 0.2))["gradient"]
    assert p == pytest.approx(0.0)
    assert k == pytest.approx(0.5)


def test_pairing_frames_gives_the_same_p_and_bears_a_blind_half() -> None:
    g = np.random.default_rng(0)
    arrays = {"M": g.normal(size=(2, 2, 3, 16)), "A": g.normal(size=(2, 2, 3, 16))}
    for method in DECIDING:
        assert c.paired_positional(arrays)[method] == pytest.approx(c.positional(arrays)[method][0])
    # a unit that sees the first half, and on the reversed clip the second, mirrored: no position
    blind = measured(0.3, 0.2)
    blind["M"][0, ..., 8:] = np.nan
    blind["M"][1, ..., :8] = np.nan
    assert np.isnan(c.positional(blind)["guided"][0])
    assert c.paired_positional(blind)["guided"] == pytest.approx(0.0)
    blind["M"][0] += 0.4  # more motion on the clip than on its mirror image: position
    assert c.paired_positional(blind)["guided"] == pytest.approx(-0.2)
    blind["M"][:] = np.nan
    assert np.isnan(c.paired_positional(blind)["guided"])


def test_frozen_control_wants_nothing_defined() -> None:
    nothing = measured(np.nan, 0.2)
    nothing["M"][:] = np.nan
    assert c.frozen_control([nothing]).status == "right"
    assert c.frozen_control([nothing, measured(0.3, 0.2)]).status == "wrong"
    assert c.frozen_control([]).status == "undetermined"


def test_flat_controls() -> None:
    zero = np.zeros(N)
    flat, _ = c.shuffled_control(both(NOISE[:, 0]), both(zero), VIDEOS, seed=0)
    assert flat.status == "right"
    steep, _ = c.shuffled_control(both(NOISE[:, 0] + 0.2), both(zero), VIDEOS, seed=0)
    assert steep.status == "wrong"
    assert "+0.2" in steep.says
    # the architecture's own contrast is no fault: it is in the baseline as well
    own, _ = c.shuffled_control(both(NOISE[:, 0] + 0.2), both(zero + 0.2), VIDEOS, seed=0)
    assert own.status == "right"
    twin, _ = c.twin_control(both(NOISE[:, 0] - 0.3), VIDEOS, seed=0)
    assert twin.status == "wrong"
    assert c.twin_control(None, VIDEOS, seed=0)[0].status == "undetermined"
    same, _ = c.permutation_control(both(NOISE[:, :2]), both(NOISE), VIDEOS, seed=0)
    assert same.status == "right"


def test_one_bad_method_is_enough() -> None:
    mixed = {"gradient": NOISE[:, 0], "guided": NOISE[:, 0] + 0.3}
    assert c.twin_control(mixed, VIDEOS, seed=0)[0].status == "wrong"


def test_positive_control_needs_both_signs() -> None:
    kinds = ["appearance first"] * 6 + ["motion first"] * 6
    sign = np.repeat([1.0, -1.0], 6)
    good, _ = c.positive_control(both(0.3 * sign + NOISE[:, 0]), kinds, seed=0)
    assert good.status == "right"
    turned, _ = c.positive_control(both(-0.3 * sign + NOISE[:, 0]), kinds, seed=0)
    assert turned.status == "wrong"
    # always "appearance first", whatever is shown: the mean over the kinds hides it, the signs not
    stuck, _ = c.positive_control(both(0.3 + NOISE[:, 0] + 0.05 * sign), kinds, seed=0)
    assert stuck.status == "undetermined"


def test_reinit_control_counts() -> None:
    assert c.reinit_control(both(np.zeros((N, 10)))).status == "right"
    assert c.reinit_control(both(np.zeros((N, 9)))).status == "undetermined"
    assert c.reinit_control(both(np.full((N, 10), np.nan))).status == "undetermined"


def test_randomisation_control() -> None:
    low, _ = c.randomisation_control(both(0.2 + NOISE[:, 0]), VIDEOS, seed=0)
    high, _ = c.randomisation_control(both(0.9 + NOISE[:, 0]), VIDEOS, seed=0)
    assert (low.status, high.status) == ("right", "wrong")


def effects(low: float, high: float) -> dict[str, Effect]:
    t = Interval((low + high) / 2, low, high, 0.01, N, N)
    return {m: Effect(t, 0.9, (0.0,), low, 0) for m in DECIDING}


def test_perturbation_must_not_contradict() -> None:
    zero = np.zeros(N)
    for shift, says, status in (
        (-0.3, (0.1, 0.2), "wrong"),
        (0.3, (0.1, 0.2), "right"),
        (0.3, (-0.2, -0.1), "wrong"),
        (0.3, (-0.1, 0.1), "right"),
    ):
        control, _ = c.perturbation_control(
            NOISE[:, 0] + shift, zero, VIDEOS, effects(*says), seed=0
        )
        assert control.status == status


def test_perturbation_delta_by_hand() -> None:
    motion, texture = np.full(16, np.nan), np.full(16, np.nan)
    motion[1:15], texture[1:15] = 0.0, 0.02
    motion[8:15] = 0.4  # shape: 0 then 2; texture's shape: 1 throughout
    delta = perturbation_delta(motion, texture)
    assert delta[1:8] == pytest.approx(-1)
    assert delta[8:15] == pytest.approx(1)
    assert np.isnan(perturbation_delta(np.where(np.isnan(motion), np.nan, 0.0), texture)).all()


def test_reversed_control_on_real_pixels() -> None:
    windows = synthetic_windows(1, 0)
    assert c.reversed_control(windows).status == "right"
    wrong = windows[0]
    wrong.__dict__["stimulus"] = stimulus(np.roll(wrong.frames, 3, axis=0))
    assert c.reversed_control([wrong]).status == "wrong"


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
    window = Window("a", "a", frames, "a", 0)
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
    found = expand([tmp_path / "set"])
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
        expand([tmp_path / "empty"])
    with pytest.raises(ClipError, match="no clips given"):
        expand([])


def test_work_is_kept_and_resumed(tmp_path: Path) -> None:
    ran: list[str] = []
    lock = threading.Lock()

    def piece(key: str, fact: int = 0, fails: bool = False) -> Piece:
        def run() -> dict[str, np.ndarray]:
            if fails:
                raise KeyboardInterrupt
            with lock:
                ran.append(key)
            return {"x": np.array([len(key)])}

        return Piece(key, key, 2, (fact,), run)

    told: list[tuple[int, int]] = []
    with pytest.raises(KeyboardInterrupt):
        do([piece("a"), piece("b/c"), piece("d", fails=True)], tmp_path, resume=True)
    assert sorted(ran) == ["a", "b/c"]
    found = do(
        [piece("a"), piece("b/c"), piece("d")], tmp_path, resume=True, workers=2,
        progress=lambda done, total, what: told.append((done, total)),
    )  # fmt: skip
    assert sorted(ran) == ["a", "b/c", "d"]  # two were kept
    assert list(found) == ["a", "b/c", "d"]
    assert found["b/c"]["x"].tolist() == [3]
    assert told[0] == (4, 6)
    assert told[-1] == (6, 6)
    do([piece("a", fact=1)], tmp_path, resume=True)  # other facts: done again
    assert ran.count("a") == 2
    kept = next(tmp_path.glob("d-*.npz"))
    kept.write_bytes(kept.read_bytes()[:40])  # cut short
    assert do([piece("d")], tmp_path, resume=True)["d"]["x"].tolist() == [1]
    do([piece("d")], tmp_path, resume=False)
    assert ran.count("d") == 3
    assert not list(tmp_path.glob("*.part"))


def test_json_says_null_for_undefined() -> None:
    text = as_json({"a": np.array([1.0, np.nan]), "b": np.float32(1 / 3), "c": (np.int64(2), True)})
    assert json.loads(text) == {"a": [1.0, None], "b": 0.333333, "c": [2, True]}


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
