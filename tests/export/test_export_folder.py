"""Export folders: resumed, refused, whole or not there at all."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exported import Loaded, StopError, files

from c3d_viz.engine.tracing import Unit
from c3d_viz.errors import ClipError, ExportError, LayerError, VizError
from c3d_viz.export import run
from c3d_viz.export import window as export_window
from c3d_viz.export.run import export_clip


def test_a_stopped_export_is_resumed(
    tree: Path, clip: Path, loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    wanted: dict[str, Any] = {
        "layers": ["conv5b", "conv1a", "fc8"],
        "methods": ["deconvnet", "guided"],
        "top": 2,
        "start": 8,
        "loaded": loaded,
    }

    def stop(done: int, total: int, what: str) -> None:
        if done == 7:
            raise StopError

    with pytest.raises(StopError):
        export_clip(clip, out, progress=stop, **wanted)
    assert not (out / "manifest.json").exists()
    assert (out / "unfinished.json").is_file()
    # what a killed process leaves: half a file under a temporary name
    (out / "conv1a" / f".activations.npz-{'7f' * 16}.part").write_bytes(b"half")
    kept = {p: p.stat().st_mtime_ns for p in out.rglob("ch*/*") if p.is_file()}
    assert kept

    asked: list[Unit] = []
    real = export_window.attributions

    def counting(seen: Any, units: list[Unit], *rest: Any, **more: Any) -> Any:
        asked.extend(units)
        return real(seen, units, *rest, **more)

    monkeypatch.setattr(export_window, "attributions", counting)
    steps: list[tuple[int, int]] = []
    export_clip(clip, out, resume=True, progress=lambda d, t, _: steps.append((d, t)), **wanted)
    assert 0 < len(asked) < 12
    assert steps[-1] == (15, 15)
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    resumed, whole = files(out), files(tree)
    assert set(resumed) == set(whole)
    assert all(resumed[n] == whole[n] for n in whole if n not in ("manifest.json", "index.html"))

    asked.clear()
    before = files(out)
    export_clip(clip, out, resume=True, **wanted)  # nothing is missing: nothing is done
    assert asked == []
    assert files(out) == before

    shutil.rmtree(out / "conv5b" / "guided")
    export_clip(clip, out, resume=True, **wanted)
    assert {unit.layer for unit in asked} == {"conv5b"}
    assert files(out) == before


def test_another_export_is_not_resumed(clip: Path, loaded: Loaded, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_clip(clip, out, layers="conv1a", top=1, loaded=loaded)
    for change, name in [({"top": 2}, "top"), ({"start": 3}, "start"), ({"seed": 4}, "seed")]:
        wanted: dict[str, Any] = {"layers": "conv1a", "top": 1, "loaded": loaded, **change}
        with pytest.raises(ExportError, match=f"another {name} .*--overwrite"):
            export_clip(clip, out, resume=True, **wanted)
    other = tmp_path / "other.mp4"
    other.write_bytes(clip.read_bytes() + b"\0" * 8)
    with pytest.raises(ExportError, match="another clip's SHA-256"):
        export_clip(other, out, layers="conv1a", top=1, resume=True, loaded=loaded)


def test_the_same_weights_read_in_another_way_are_not_resumed(
    clip: Path, loaded: Loaded, tmp_path: Path
) -> None:
    out, (net, spec) = tmp_path / "out", loaded
    export_clip(clip, out, layers="fc8", top=1, loaded=loaded)
    for change, name in (
        ({"pool5": "padded"}, "pool5"),
        ({"input": spec.input.replace(mean=(1.0, 2.0, 3.0))}, "input"),
        ({"classes": tuple("abcde")}, "class names' SHA-256"),
    ):
        other = net, replace(spec, **change)
        with pytest.raises(ExportError, match=f"another {name} .*--overwrite"):
            export_clip(clip, out, layers="fc8", top=1, resume=True, loaded=other)
    assert export_clip(clip, out, layers="fc8", top=1, resume=True, loaded=loaded).is_file()


def test_an_existing_folder_is_refused(clip: Path, loaded: Loaded, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_clip(clip, out, layers="conv1a", top=1, loaded=loaded)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"exists already.*--resume.*--overwrite"):
        export_clip(clip, out, layers="conv1a", top=1, loaded=loaded)
    export_clip(clip, out, layers="conv2a", top=1, overwrite=True, loaded=loaded)
    assert not (out / "conv1a").exists()
    assert (out / "conv2a").is_dir()
    assert (out / "notes.txt").read_text() == "mine"

    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "holiday.jpg").write_bytes(b"x")
    for choice in ({"overwrite": True}, {"resume": True}):
        with pytest.raises(ExportError, match="holds other things"):
            export_clip(clip, foreign, layers="conv1a", loaded=loaded, **choice)
    assert [p.name for p in foreign.iterdir()] == ["holiday.jpg"]

    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(ExportError, match="is a file"):
        export_clip(clip, file, overwrite=True, loaded=loaded)
    with pytest.raises(ExportError, match="exclude each other"):
        export_clip(clip, tmp_path / "new", resume=True, overwrite=True, loaded=loaded)


def test_what_cannot_be_done_leaves_nothing_behind(
    clip: Path, loaded: Loaded, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "out"
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    cases: list[tuple[Path, dict[str, Any], type[VizError], str]] = [
        (text, {}, ClipError, "text.mp4"),
        (tmp_path / "nowhere.mp4", {}, ClipError, "nowhere.mp4"),
        (clip, {"start": 30}, ClipError, "start"),
        (clip, {"stride": 3}, ClipError, "16"),
        (clip, {"layers": "conv9z"}, LayerError, "conv9z.*conv5b"),
        (clip, {"methods": "magic"}, VizError, "magic.*deconvnet"),
        (clip, {"top": 0}, VizError, "top"),
        (clip, {"windows": 0}, VizError, "windows"),
        (clip, {"start": -1}, VizError, "start"),
        (clip, {"mode": "loud"}, VizError, "loud.*magnitude"),
        (clip, {"scale": "page"}, VizError, "page.*clip"),
        (clip, {"device": "abacus"}, VizError, "abacus"),
        (clip, {"device": "cuda:77"}, VizError, "cuda:77"),
        (clip, {"precision": "int4"}, VizError, "int4"),
        (clip, {"at": (0, 1, 2)}, VizError, "at needs channel"),
        (clip, {"layers": []}, VizError, "nothing to do"),
    ]
    for path, wanted, kind, message in cases:
        with pytest.raises(kind, match=message) as caught:
            export_clip(path, out, **{"loaded": loaded, "layers": "conv1a", **wanted})
        assert "\n" not in str(caught.value)
        assert not out.parent.exists(), wanted


def test_a_place_that_cannot_be_written(clip: Path, loaded: Loaded, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExportError, match="cannot write"):
        export_clip(clip, tmp_path / "file" / "out", layers="conv1a", loaded=loaded)


def test_a_network_of_the_callers_stays_on_its_device(
    clip: Path, loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device "meta" stands for any other one: nothing can be computed there."""
    monkeypatch.setattr(run, "check_settings", lambda settings: None)
    monkeypatch.setattr("c3d_viz.export.plan.facts_for", lambda *_: None)
    with pytest.raises(VizError, match="meta"):
        export_clip(clip, tmp_path / "out", device="meta", loaded=loaded)
    assert {p.device.type for p in loaded[0].parameters()} == {"cpu"}
