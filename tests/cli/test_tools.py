"""The commands of the finding and of weights hand on what they were told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_line import call

from c3d_viz import finding


def test_finding_figure_passes_everything_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def record(clip: Path, out: Path, **wanted: Any) -> list[Path]:
        seen.update(wanted, clip=clip, out=out)
        return [out / "a.png"]

    monkeypatch.setattr(finding, "make_figure", record)
    words = "finding figure a.mp4 -o out --layer conv3b --maps 5 --method guided --start 9"
    status, out, _ = call(capsys, *words.split())
    assert (status, out) == (0, "out/a.png\n")
    expected = {"clip": Path("a.mp4"), "out": Path("out"), "layer": "conv3b", "maps": 5}
    expected |= {"method": "guided", "start": 9}
    assert {k: seen[k] for k in expected} == expected
    call(capsys, *["finding", "figure", "a.mp4", "-o", "out"])
    expected |= {"layer": "conv5b", "maps": 2, "method": "deconvnet", "start": None}
    assert {k: seen[k] for k in expected} == expected


def test_finding_test_passes_everything_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def record(clips: Any, out: Path, **wanted: Any) -> Any:
        seen.update(wanted, clips=[Path(clip) for clip in clips], out=out)
        return SimpleNamespace(verdict=SimpleNamespace(sentence="Said.", reasons=("one", "two")))

    monkeypatch.setattr(finding, "run_test", record)
    words = "finding test a.mp4 b -o out --reinit 12 --windows 3 --twin compact-2d --fresh"
    status, out, _ = call(capsys, *words.split())
    assert (status, out) == (0, "Said.\n  one\n  two\nopen out/report.html\n")
    expected = {"clips": [Path("a.mp4"), Path("b")], "out": Path("out"), "reinit": 12}
    expected |= {"windows_per_video": 3, "twin": "compact-2d", "resume": False}
    assert {k: seen[k] for k in expected} == expected
    call(capsys, *["finding", "test", "a.mp4", "-o", "out", "--twin", "none"])
    expected = {"reinit": 10, "windows_per_video": 1, "twin": None, "resume": True}
    assert {k: seen[k] for k in expected} == expected


def test_export_passes_precision_look_and_device_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from c3d_viz import export

    seen: dict[str, Any] = {}

    def record(clip: Path, out: Path, **wanted: Any) -> Path:
        seen.update(wanted)
        return out / "manifest.json"

    monkeypatch.setattr(export, "export_clip", record)
    words = "export a.mp4 -o out --precision bf16 --mode signed --device cuda:1 --overwrite"
    assert call(capsys, *words.split())[0] == 0
    expected = {"precision": "bf16", "mode": "signed", "device": "cuda:1", "overwrite": True}
    assert {k: seen[k] for k in expected} == expected


def test_what_pages_note_is_said_with_where() -> None:
    from c3d_viz.cli.shortfall import noted

    def manifest(name: str, notes: list[str], **of_maps: list[str]) -> dict[str, Any]:
        layers = [{"layer": k, "units": [{"notes": {"guided": v}}, {}]} for k, v in of_maps.items()]
        clip = {"name": name, "notes": notes}
        return {"clip": clip, "windows": [{"notes": notes, "layers": layers}, {"layers": layers}]}

    two = [manifest("a", ["cut"], b=["bent."], c=["bent.", "settings: x"]), {}, manifest("z", [])]
    assert noted(two) == ["note: cut (a)", "note: bent (b, c)"]
    many = noted([manifest("a", [str(number) for number in range(9)])])
    assert many[5:] == ["note: 5 (a)", "note: 3 more on the page"]
