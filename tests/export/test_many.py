"""Several clips: a folder each, an index, bad ones listed, a stopped run goes on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import files, links, manifest_of
from video_files import colour_noise

from c3d_viz.cli import main
from c3d_viz.errors import ClipError, ExportError, LayerError, VizError
from c3d_viz.export import ExportSettings, export_clip, export_clips, is_one_clip, many
from c3d_viz.weights import NetworkChoice

NET = """
from torch import nn
import c3d_viz as viz

def build():
    net = nn.Sequential(nn.Conv3d(3, 2, 3, 2), nn.ReLU(), nn.Conv3d(2, 3, 3), nn.ReLU())
    return net, viz.InputSpec("RGB", resize=26, crop=(24, 24), frames=8)
"""


@pytest.fixture
def settings(tmp_path: Path) -> ExportSettings:
    (tmp_path / "net.py").write_text(NET)
    network = NetworkChoice(f"{tmp_path}/net.py:build")
    return ExportSettings(network, layers=("1",), methods=("gradient",), top=1)


@pytest.fixture
def clips(tmp_path: Path, make_video: Callable[..., Path]) -> Path:
    folder = tmp_path / "clips"
    (folder / "walk").mkdir(parents=True)
    for seed, name in enumerate(("a.mp4", "b.mp4")):
        make_video(folder / name, np.roll(colour_noise(9, 36, 52), seed, 1))
    make_video(folder / "short.mp4", colour_noise(5, 36, 52))
    (folder / "broken.mp4").write_bytes(b"no video")
    make_video(folder / "walk" / "A.mkv", colour_noise(10, 36, 52))
    return folder


def test_a_folder_each_and_an_index(
    clips: Path, settings: ExportSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads, load = [], NetworkChoice.load
    monkeypatch.setattr(NetworkChoice, "load", lambda self: loads.append(1) or load(self))
    looked: list[object] = []  # all weights are read for the facts: once
    monkeypatch.setattr("c3d_viz.export.plan.facts_for", lambda *of: looked.append(of))
    told: list[tuple[int, int, str]] = []
    out = tmp_path / "out"
    done = export_clips(
        [clips, clips / "walk", clips / "a.mp4"], out, settings,
        progress=lambda *step: told.append(step),
    )  # fmt: skip
    assert [clip.folder.name for clip in done] == ["a", "b", "broken", "short", "A-2"]
    assert [clip.error is None for clip in done] == [True, True, False, False, True]
    assert "short.mp4 has 5 frames; a window of 8 needs 8" in str(done[3].error)
    assert len(loads) == len(looked) == 1
    assert {path.name for path in out.iterdir()} == {"a", "b", "A-2", "index.html", "clips.json"}
    export_clip(clips / "b.mp4", tmp_path / "alone", network=settings.network, layers="1",
                methods="gradient", top=1)  # fmt: skip
    own, alone = files(out / "b"), files(tmp_path / "alone")
    assert {name for name in alone if own[name] != alone[name]} == {"index.html", "manifest.json"}
    assert own.keys() == alone.keys()  # those two name the folder
    assert manifest_of(out / "A-2")["clip"]["path"] == str(clips / "walk" / "A.mkv")
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "3 of 5 clips ·" in page
    assert "broken.mp4 is not a video file" in page
    linked = links(out / "index.html")[0]
    assert {"a/index.html", "b/index.html", "A-2/index.html", "A-2/input.mp4"} <= set(linked)
    assert all((out / name).is_file() for name in linked)
    listed = json.loads((out / "clips.json").read_text())
    assert [entry["folder"] for entry in listed["done"]] == ["a", "b", "broken", "short", "A-2"]
    assert [entry["error"] for entry in listed["done"]] == [clip.error for clip in done]
    assert [step[0] for step in told] == sorted(step[0] for step in told)
    assert told[-1][:2] == (500, 500)
    assert any("b (2 of 5): 1 gradient" in what for _, _, what in told)


def test_a_stopped_run_goes_on(
    clips: Path, settings: ExportSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, write, asked = tmp_path / "out", many.write_export, []

    def stops(path: Path, *args: Any, **kwargs: Any) -> Path:
        asked.append(path.name)
        if path.name == "b.mp4" and asked.count("b.mp4") == 1:
            raise KeyboardInterrupt
        return write(path, *args, **kwargs)

    monkeypatch.setattr(many, "write_export", stops)
    with pytest.raises(KeyboardInterrupt):
        export_clips([clips], out, settings)
    assert "1 of 4 clips; not finished" in (out / "index.html").read_text(encoding="utf-8")
    made = (out / "a" / "index.html").stat().st_mtime_ns
    with pytest.raises(ExportError, match="exists already; go on with --resume"):
        export_clips([clips], out, settings)
    done = export_clips([clips], out, settings, resume=True)
    assert [clip.error is None for clip in done] == [True, True, False, False]
    assert (out / "a" / "index.html").stat().st_mtime_ns == made
    assert "2 of 4 clips ·" in (out / "index.html").read_text(encoding="utf-8")
    (out / "a" / "mine.txt").write_text("kept")
    export_clips([clips / "b.mp4", clips / "a.mp4"], out, settings, overwrite=True)
    assert (out / "a" / "mine.txt").read_text() == "kept"
    assert (out / "a" / "index.html").stat().st_mtime_ns > made


def test_a_damaged_manifest_of_one_clip_stops_in_one_line(
    clips: Path, settings: ExportSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, two = tmp_path / "out", [clips / "a.mp4", clips / "b.mp4"]
    export_clips(two, out, settings)
    manifest = manifest_of(out / "b")
    manifest["windows"][0]["frames"] = []
    (out / "b" / "manifest.json").write_text(json.dumps(manifest))
    (out / "a" / "index.html").unlink()
    before = files(out)
    more = ["--layer", "1", "--method", "gradient", "--top", "1", *settings.network.options()]
    with pytest.raises(SystemExit) as left:
        main(["export", *map(str, two), "-o", str(out), "--resume", *more])
    assert left.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "b/manifest.json is damaged (windows[0].frames is empty); nothing was changed" in last
    assert files(out) == before  # the first one is not written again first


def test_what_no_clip_could_make_right_stops_all(
    clips: Path, settings: ExportSettings, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for paths, changed, error, said in (
        ([clips], {"layers": ("none",)}, LayerError, "no layer 'none'"),
        (
            [clips],
            {"methods": ("occlusion",), "tuned": ("occlusion.window=9,4,4",)},
            VizError,
            r"^occlusion.window \(9, 4, 4\) is larger than the clip \(8, 24, 24\)",
        ),
        ([clips, tmp_path / "no"], {"start": 90}, ClipError, "none of 5 clips can be used; the fi"),
        ([tmp_path], {}, ClipError, "holds no videos"),
    ):
        with pytest.raises(error, match=said):
            export_clips(paths, out, ExportSettings(**{**vars(settings), **changed}))
        assert not out.exists()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "index.html").write_text("mine")
    with pytest.raises(ExportError, match="holds other things than exports of several clips"):
        export_clips([clips], tmp_path / "own", settings, overwrite=True)
    assert (tmp_path / "own" / "index.html").read_text() == "mine"
    out.mkdir()
    (out / "a").symlink_to(tmp_path / "own")
    (out / "clips.json").write_text("{}")
    with pytest.raises(ExportError, match="is a link"):
        export_clips([clips], out, settings, resume=True)


def test_a_clip_whose_export_is_in_the_way_stops_all_and_is_not_listed_as_a_bad_clip(
    clips: Path, settings: ExportSettings, tmp_path: Path
) -> None:
    """What stands in a folder is no fault of the clip, and the next clips would meet it as well."""
    out, two = tmp_path / "out", [clips / "a.mp4", clips / "b.mp4", clips / "walk"]
    export_clips(two[1:2], out, dataclasses.replace(settings, methods=("guided",)))
    before = files(out / "b")
    with pytest.raises(ExportError, match=r"/b holds an export with another methods"):
        export_clips(two, out, settings, resume=True)
    listed = json.loads((out / "clips.json").read_text())
    assert [(entry["folder"], entry["error"]) for entry in listed["done"]] == [("a", None)]
    assert files(out / "b") == before
    assert not (out / "A-2").exists()


def test_the_command(
    clips: Path, settings: ExportSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert is_one_clip([clips / "a.mp4"])
    assert not is_one_clip([clips])
    assert not is_one_clip([clips / "a.mp4", clips / "b.mp4"])
    more = ["--layer", "1", "--method", "gradient", "--top", "1", *settings.network.options()]
    with pytest.raises(SystemExit) as left:
        main(["export", str(clips), "-o", str(tmp_path / "out"), *more])
    assert left.value.code == 3
    said = capsys.readouterr()
    assert said.out == f"open {tmp_path / 'out' / 'index.html'}\n"
    assert "left out: " in said.err
    assert "2 of 4 clips could not be used" in said.err
    listed = json.loads((tmp_path / "out" / "clips.json").read_text())
    assert listed["command"].startswith(f"c3d-viz export {clips} -o {tmp_path / 'out'} --layer 1")
    with pytest.raises(SystemExit) as left:
        main(["export", str(clips / "a.mp4"), str(clips / "b.mp4"), "-o", str(tmp_path / "two"),
              *more])  # fmt: skip
    assert not left.value.code
