"""What a rule could not change is said wherever the map is: manifest, page, pictures, arrays."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from exported import Loaded, files, manifest_of

from c3d_viz.engine import RuleReport
from c3d_viz.export import export_clip
from c3d_viz.export import window as export_window
from c3d_viz.methods import Attribution

REPORT = RuleReport(2, ("SiLU", "f<x>"))
(NOTE,) = REPORT.notes("guided")
NOTED: list[int] = []  # the channel whose map carries it


@pytest.fixture
def with_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guided maps of the strongest channel carry a report, as a net with SiLU would give them."""
    real = export_window.attributions

    NOTED.clear()

    def noting(seen: Any, units: Any, method: str, **more: Any) -> Iterator[Attribution]:
        NOTED.extend(() if NOTED else [units[0].channel])
        for unit, att in zip(units, real(seen, units, method, **more), strict=True):
            noted = method == "guided" and unit.channel == NOTED[0]
            yield dataclasses.replace(att, report=REPORT) if noted else att

    monkeypatch.setattr(export_window, "attributions", noting)


@pytest.mark.usefixtures("with_notes")
def test_notes_travel_with_their_map_alone(clip: Path, loaded: Loaded, tmp_path: Path) -> None:
    out = tmp_path / "out"
    wanted: dict[str, Any] = {"layers": "conv1a", "methods": ["gradient", "guided"], "top": 2}
    export_clip(clip, out, loaded=loaded, **wanted)
    units = manifest_of(out)["windows"][0]["layers"][0]["units"]
    assert [unit["notes"] for unit in units] == [{"guided": [NOTE]}, {}]
    page = (out / "index.html").read_text(encoding="utf-8")
    said = NOTE.replace("'", "&#x27;").replace("<", "&lt;").replace(">", "&gt;")
    assert page.count(said) == 1
    (figure,) = [part for part in page.split("<figure>") if said in part]
    assert f"channel {units[0]['channel']}<" in figure
    assert "Guided" in figure
    height = {}
    for unit in units:
        for method, named in unit["files"].items():
            with np.load(out / named["map"]) as stored:
                assert ("relus" in stored) == (method in unit["notes"])
            height[unit["channel"], method] = cv2.imread(str(out / named["filmstrip"])).shape[0]
    noted, plain = (unit["channel"] for unit in units)  # what a unit sees may take a row of its own
    assert height[noted, "guided"] >= height[noted, "gradient"] + 24  # a line more
    assert height[plain, "guided"] == height[plain, "gradient"]
    sheets = manifest_of(out)["windows"][0]["layers"][0]["sheets"]
    tall = {method: cv2.imread(str(out / path)).shape[0] for method, path in sheets.items()}
    assert tall["guided"] >= tall["gradient"] + 24


@pytest.mark.usefixtures("with_notes")
def test_a_resumed_export_says_the_same(clip: Path, loaded: Loaded, tmp_path: Path) -> None:
    """The note of a map that is there already comes from its file."""
    out = tmp_path / "out"
    wanted: dict[str, Any] = {"layers": "conv1a", "methods": ["guided"], "top": 2}
    export_clip(clip, out, loaded=loaded, **wanted)
    before, entry = files(out), manifest_of(out)["windows"][0]["layers"][0]
    assert [bool(unit["notes"]) for unit in entry["units"]] == [True, False]
    (out / entry["sheets"]["guided"]).unlink()
    shutil.rmtree((out / entry["units"][1]["files"]["guided"]["map"]).parent)
    export_clip(clip, out, loaded=loaded, resume=True, **wanted)
    assert files(out) == before
