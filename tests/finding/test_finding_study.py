"""The whole test on tiny networks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from c3d_viz.finding.study import run
from c3d_viz.finding.types import StudySettings
from c3d_viz.weights import NetworkChoice

SMALL = dict(reinit=2, permuted_nets=1, shuffles=2, per_kind=1, synthetic_reinit=1, pairs=2)


@pytest.mark.slow
def test_the_whole_test_runs_resumes_and_repeats(files: Path, tmp_path: Path) -> None:
    settings = StudySettings(
        network=NetworkChoice(weights=str(files / "compact.safetensors")),
        twin_weights=str(files / "compact-2d.safetensors"),
        **SMALL,  # type: ignore[arg-type]
    )
    told: list[tuple[int, int, str]] = []
    out = tmp_path / "out"
    result = run([files / "clips"], out, settings, progress=lambda *what: told.append(what))
    assert result.answer in ("inconclusive", "invalid")  # two untrained networks decide nothing
    assert told[-1][0] == told[-1][1]
    data = json.loads((out / "result.json").read_text())
    by_name = {control["name"]: control["status"] for control in data["controls"]}
    assert list(by_name) == [
        "frozen", "shuffled", "reversed", "positive", "re-initialised", "weight permutation",
        "2D twin", "weight randomisation", "perturbation",
    ]  # fmt: skip
    assert by_name["frozen"] == by_name["reversed"] == "right"
    assert by_name["re-initialised"] == "undetermined"
    assert [w["start"] for w in data["windows"][:2]] == [0, 0]
    seeds = {n["name"]: n["seed"] for n in data["networks"]}
    assert seeds["reinit-01"] == 1001
    assert data["model"]["weights"]
    page = (out / "report.html").read_text()
    assert data["verdict"]["sentence"].split(":")[0] in page
    assert "http" not in page.replace("http-equiv", "")
    for name in ("effect", "curves", "clips", "energy", "depth", "units"):
        assert (out / f"{name}.png").stat().st_size > 5000
    stored = np.load(out / "curves.npz")
    assert stored["trained/appearance-first-0@0/A"].shape[-1] == 16

    # again from what was kept: the same numbers, nothing measured
    first = (out / "result.json").read_text()
    cached = {p.name: p.stat().st_mtime_ns for p in (out / "cache").iterdir()}
    run([files / "clips"], out, settings)
    assert {p.name: p.stat().st_mtime_ns for p in (out / "cache").iterdir()} == cached
    assert (out / "result.json").read_text() == first
