"""The whole check on a tiny network: files, resuming, what is refused, what is said."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import call
from torch import nn

import c3d_viz as viz
from c3d_viz.engine import Unit
from c3d_viz.errors import VizError
from c3d_viz.nets import InputSpec, ModelSpec, fingerprint
from c3d_viz.render import write_image
from c3d_viz.stats import bootstrap
from c3d_viz.trust import (
    Case,
    CheckSettings,
    ControlResult,
    default_layers,
    read_facts,
    real_cases,
    run_check,
    synthetic_cases,
)
from c3d_viz.trust.judge import judge
from c3d_viz.trust.study import Row, _plan
from c3d_viz.trust.subject import Subject

SPEC = InputSpec(resize=(40, 40), crop=(32, 32), frames=8, mean=(120.0,) * 3, scale=1 / 60)


@pytest.fixture(scope="module")
def net() -> tuple[nn.Module, ModelSpec]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv3d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv3d(6, 6, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(6, 3),
    ).eval()  # fmt: skip
    model.requires_grad_(False)
    return model, ModelSpec("own", "own weights", True, SPEC, 3)


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    """A frame folder with masks: a white square that moves to the right."""
    folder = tmp_path / "square"
    rng = np.random.default_rng(0)
    back = rng.integers(0, 120, (40, 60, 3), dtype=np.uint8)
    for t in range(10):
        frame, mask = back.copy(), np.zeros_like(back)
        place = np.s_[12:24, 14 + 2 * t : 26 + 2 * t]
        frame[place], mask[place] = 250, (128, 0, 0)  # a colour of its own, as data sets draw it
        for name, picture in (("frames", frame), ("masks", mask)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            write_image(folder / name / f"{t:05d}.png", picture)
    return folder


def test_masks_come_with_their_frames(davis: Path) -> None:
    (case,), skipped = real_cases([davis], SPEC)
    assert (case.name, skipped) == ("square", [])
    assert case.masks is not None
    assert case.masks.shape == (8, 32, 32)
    # drawn on the very pixels: the white square and nothing else
    white = case.frames.min(-1) > 200
    assert (white & case.masks).sum() / (white | case.masks).sum() > 0.85  # a frame later: 0.71
    for picture in (davis / "masks").iterdir():
        write_image(picture, np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(VizError, match="must agree"):
        real_cases([davis], SPEC)


def test_windows_have_the_stride_of_the_network_and_so_have_their_masks(davis: Path) -> None:
    spec = dataclasses.replace(SPEC, frames=4, stride=3)
    (case,), _ = real_cases([davis], spec)
    as_read = viz.read_clip(davis / "frames", 0, 4, 3)  # 10 frames hold one such window
    np.testing.assert_array_equal(case.frames, viz.cropped_frames(as_read, spec))
    assert case.masks is not None
    white = case.frames.min(-1) > 200
    assert ((white & case.masks).sum((1, 2)) / (white | case.masks).sum((1, 2))).min() > 0.7


def test_masks_of_other_frames_are_refused(davis: Path) -> None:
    (davis / "masks" / "00000.png").unlink()
    with pytest.raises(VizError, match="holds 9 masks for 10 frames; they must agree"):
        real_cases([davis], SPEC)


def test_a_video_that_is_too_short_is_named(davis: Path) -> None:
    spec = dataclasses.replace(SPEC, frames=11)
    with pytest.raises(VizError, match=r"square/frames: the video has 10 frames"):
        real_cases([davis], spec)


def test_synthetic_cases_are_known_and_repeat() -> None:
    one, again = synthetic_cases(5, SPEC, 1), synthetic_cases(5, SPEC, 1)
    assert [c.sha256 for c in one] == [c.sha256 for c in again]
    assert [c.name.split("-")[-1] for c in one] == ["left", "right", "up", "down", "left"]
    assert one[0].sha256 != synthetic_cases(1, SPEC, 2)[0].sha256
    wide = synthetic_cases(1, InputSpec(resize=(40, 60), crop=(32, 48), frames=8), 1)[0]
    assert wide.frames.shape == (8, 32, 48, 3)
    assert wide.masks is not None
    assert wide.masks.shape == (8, 32, 48)


def test_a_check_is_written_resumed_and_the_same(
    net: tuple[nn.Module, ModelSpec],
    davis: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, spec = net
    before = {k: v.clone() for k, v in model.state_dict().items()}
    told: list[int] = []

    def stop(done: int, total: int, what: str) -> None:
        told.append(done)
        if what.startswith("randomisation"):
            raise KeyboardInterrupt

    given = {"spec": spec, "layers": ["3"], "methods": ["gradient", "guided"], "synthetic": 1}
    with pytest.raises(KeyboardInterrupt):
        viz.check(model, [davis], tmp_path / "out", progress=stop, **given)  # type: ignore[arg-type]
    kept = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out" / "cache").iterdir()}
    judged = viz.check(model, [davis], tmp_path / "out", **given)  # type: ignore[arg-type]
    after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out" / "cache").iterdir()}
    assert kept
    assert kept.items() <= after.items()
    assert len(after) == 12
    viz.check(model, [davis], tmp_path / "again", **given)  # type: ignore[arg-type]
    for name in ("results.csv", "facts.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())

    assert judged.valid
    assert judged.methods == ("gradient", "guided")
    rows = list(csv.DictReader((tmp_path / "out" / "results.csv").read_text().splitlines()))
    seen = {row["metric"] for row in rows if row["method"] == "guided"}
    for metric in ("cascade", "one layer", "iou", "faithfulness neighbour", "infidelity",
                   "max-sensitivity", "motion specificity", "stability compression"):  # fmt: skip
        assert metric in seen
    motion = [row for row in rows if row["metric"] == "motion specificity"]
    assert {row["case"] for row in motion} == {"synthetic-1-left"}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "own weights" in page
    assert "All positive controls came out right" in page
    faith = [judged.find("3", m, "faithfulness grey", "all", "random") for m in judged.methods]
    widest = max((i.high - i.low) / 2 for i in faith if i is not None)
    assert f"one in faithfulness (grey) from random maps from {widest:.2f} on" in page
    assert "http" not in page.replace("http-equiv", "")

    facts = read_facts(tmp_path / "out" / "facts.json")
    assert facts.fingerprint == fingerprint(model)
    assert facts.about("3", "gradient") == judged.sentences["3", "gradient"]
    assert facts.briefly("3", "gradient") == judged.short["3", "gradient"]
    assert facts.briefly("3", "gradient").startswith("changes")


def test_finished_work_is_of_the_same_question_alone(net: tuple[nn.Module, ModelSpec]) -> None:
    volume = np.zeros((3, 8, 40, 40), np.float32)
    other = volume.copy()
    other[0, 0, 0, 0] = 1.0
    case = synthetic_cases(1, SPEC, 0)[0]
    unit = Unit("3", 0, (1, 2, 3))

    def facts(
        *, network: str = "a", seed: int = 0, mean: np.ndarray = volume, case: Case = case,
        methods: tuple[str, ...] = ("gradient",), unit: Unit = unit,
    ) -> str:  # fmt: skip
        spec = dataclasses.replace(SPEC, mean_volume=mean)
        settings = CheckSettings(checks=("motion",), seed=seed)
        (piece,) = _plan([Subject(net[0], spec, case, unit, 8, seed)], methods, settings, network)
        return repr(piece.facts)

    changed = {
        facts(network="b"), facts(seed=1), facts(mean=other), facts(methods=("guided",)),
        facts(unit=Unit("3", 0, (1, 2, 4))), facts(case=synthetic_cases(1, SPEC, 1)[0]),
    }  # fmt: skip
    assert facts() == facts(mean=volume.copy())
    assert len(changed | {facts()}) == 7


def test_the_rule_of_the_sentences() -> None:
    """Known numbers in, the words of docs/trust.md out."""
    rows = []
    for i in range(8):
        for method, iou, cascade in (
            ("good", 0.6, 0.1),
            ("bad", 0.3, 0.9),
            ("frame difference", 0.4, math.nan),
        ):
            shake = 0.01 * (-1) ** i
            for metric, value in (
                ("iou", iou + shake),
                ("cascade", cascade),
                ("faithfulness grey", iou),
            ):
                if not math.isnan(value):
                    rows.append(
                        Row(f"c{i}", f"c{i}", False, "l", 0, "x", method, metric, value, "")
                    )
        rows.append(
            Row(f"c{i}", f"c{i}", False, "l", 0, "x", "random", "faithfulness grey", 0.45, "")
        )
    judged = judge(rows, ("good", "bad"), ("l",), [ControlResult("c", False, "")])
    assert judged.sentences["l", "good"] == (
        "changes when the weights are random: 0.10 of 1 is left",
        "finds the moving object better than a frame difference on 8 real clips",
        "the pixels it marks matter more than random ones (+0.15)",
    )
    assert judged.short["l", "good"] == (
        "changes when the weights are random: 0.10; finds the moving object better than a frame "
        "difference on 8 real clips; its pixels matter more than random ones"
    )
    assert judged.sentences["l", "bad"] == (
        "changes little when the weights are random: 0.90 of 1 is left",
        "no better than a frame difference at finding the moving object on 8 real clips",
        "the pixels it marks matter no more than random ones (-0.15)",
    )
    assert not judged.valid
    found = judged.find("l", "good", "iou", "real", "frame difference")
    known = bootstrap([0.2] * 8, [f"c{i}" for i in range(8)])
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx(
        (known.value, known.low, known.high)
    )


def test_a_difference_whose_interval_holds_zero_is_none_and_few_clips_say_nothing() -> None:
    def row(case: int, method: str, metric: str, value: float, why: str = "") -> Row:
        return Row(f"c{case}", f"c{case}", False, "l", 0, "x", method, metric, value, why)

    rows = []
    for case in range(8):
        higher = 0.5 + (0.9 if case == 0 else -0.01)  # by one clip alone
        for method, value in (("wide", higher), ("frame difference", 0.5), ("random", 0.5)):
            rows += [row(case, method, "iou", value), row(case, method, "faithfulness grey", value)]
    rows += [row(0, "few", "iou", 0.3), row(0, "few", "faithfulness grey", 0.9)]
    rows += [row(0, "refused", "iou", math.nan, "it gives no map")]
    judged = judge(rows, ("wide", "few", "refused", "absent"), ("l",), [])
    found = judged.find("l", "wide", "iou", "real", "frame difference")
    assert found is not None
    assert found.low <= 0 < found.value
    assert judged.said("l", "wide") == (
        "no better than a frame difference at finding the moving object on 8 real clips",
        f"the pixels it marks matter no more than random ones ({found.value:+.2f})",
    )
    assert "too little for a sentence" in judged.said("l", "few")[0]
    assert judged.said("l", "refused") == ("it gives no map",)
    assert judged.said("l", "absent") == ("nothing could be measured",)


def test_files_that_no_check_made_stay(tmp_path: Path, net: tuple[nn.Module, ModelSpec]) -> None:
    out, mine = tmp_path / "mine", tmp_path / "mine" / "report.html"
    (out / "cache").mkdir(parents=True)
    (out / "cache" / "notes.npz").write_text("mine too")
    mine.write_text("mine")
    with pytest.raises(VizError, match=r"holds report\.html, which no check made"):
        viz.check(net[0], [], out, spec=net[1], synthetic=1)
    assert mine.read_text() == "mine"


def test_what_cannot_be_checked(
    tmp_path: Path, net: tuple[nn.Module, ModelSpec], capsys: pytest.CaptureFixture[str]
) -> None:
    assert default_layers(*net) == ("2",)
    for given in ({"methods": ("gradcamm",)}, {"checks": ("x",)}, {"synthetic": -1}, {"seed": -1}):
        with pytest.raises(VizError):
            CheckSettings(**given)  # type: ignore[arg-type]
    for name in ("network", "layers", "methods", "checks", "synthetic", "seed"):
        with pytest.raises(VizError, match=f"CheckSettings: {name} must be"):
            CheckSettings(**{name: None})  # type: ignore[arg-type]
    for name in ("clips", "out", "settings", "loaded", "resume"):
        with pytest.raises(VizError, match=f"run_check: {name} must be"):
            run_check(**{"clips": [], "out": tmp_path, name: 5})  # type: ignore[arg-type]
    for words, says in (
        (["--synthetic", "0"], "nothing to check on"),
        (["--method", "nonsense"], "no method 'nonsense'; there are"),
        ([str(tmp_path / "missing.mp4")], "missing.mp4"),
        (["--layer", "conv9z", "--synthetic", "1"], "conv9z"),
    ):
        status, _, err = call(capsys, "check", "-o", str(tmp_path / "out"), *words)
        assert status == 2
        assert says in err.splitlines()[-1]
        assert not (tmp_path / "out").exists()
