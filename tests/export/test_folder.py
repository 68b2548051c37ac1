"""What --overwrite and --resume do to a folder whose manifest somebody else wrote: nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from exported import Loaded, files, manifest_of

from c3d_viz.errors import ExportError
from c3d_viz.export.folder import MANIFEST, UNFINISHED
from c3d_viz.export.manifest import check_manifest, places
from c3d_viz.export.run import export_clip

WANTED: dict[str, Any] = {"layers": "conv1a", "top": 1}
CHOICES = ({"overwrite": True}, {"resume": True})


@pytest.fixture
def around(tmp_path: Path) -> Path:
    """A folder with things of value, and an empty OUT in it."""
    for name in ("precious", "out"):
        (tmp_path / "home" / name).mkdir(parents=True)
    (tmp_path / "home" / "precious" / "thesis.txt").write_text("ten years")
    (tmp_path / "home" / "precious" / "activations.npz").write_text("ten more")
    return tmp_path / "home"


def pretend(out: Path, manifest: object, name: str = MANIFEST) -> None:
    """An export as somebody could send it."""
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    (out / name).write_text(text)


def refused(clip: Path, out: Path, loaded: Loaded, message: str) -> None:
    before = files(out.parent)
    for choice in CHOICES:
        with pytest.raises(ExportError, match=message) as caught:
            export_clip(clip, out, loaded=loaded, **WANTED, **choice)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 1100
        assert files(out.parent) == before, choice


def manifest(**parameters: object) -> dict[str, Any]:
    """As far as anything of it is read."""
    asked = {"layers": ["conv1a"], "methods": ["deconvnet"], "start": None, "windows": 1, "top": 1}
    return {
        "parameters": {**asked, "channel": None, **parameters},
        "clip": {"frames": 40, "width": 128, "height": 96},
        "model": {"weights": "none"},
    }


def _layer(**changes: object) -> dict[str, object]:
    whole = {
        "layer": "conv1a",
        "shape": [4, 16, 112, 112],
        "activations": "conv1a/activations.npz",
        "activation_sheet": None,
        "sheets": {},
        "units": [{"files": {}}],
    }
    return {**whole, **changes}


def _window(**changes: object) -> dict[str, object]:
    whole = {"frames": [0, 1], "input": "input.mp4", "layers": [_layer()]}
    return {**whole, **changes}


@pytest.mark.parametrize("name", [MANIFEST, UNFINISHED])
@pytest.mark.parametrize(
    "layers",
    [
        ["../precious"],
        [".."],
        ["."],
        [""],
        ["conv1a", "conv1a/../../precious"],
        ["..\\precious"],
        5,
        None,
        "conv1a",
        {"conv1a": 1},
        [["conv1a"]],
        ["conv1a\0"],
        ["x" * 5000],
        ["\x1b[2J"],
    ],
)
def test_a_manifest_leads_nowhere(
    around: Path, clip: Path, loaded: Loaded, layers: object, name: str
) -> None:
    pretend(around / "out", {**manifest(layers=layers), "windows": [_window()]}, name)
    (around / "out" / "notes.txt").write_text("mine")
    refused(clip, around / "out", loaded, r"(manifest|unfinished)\.json is damaged .*choose")


def test_an_absolute_path_leads_nowhere(around: Path, clip: Path, loaded: Loaded) -> None:
    pretend(around / "out", {**manifest(layers=[str(around / "precious")]), "windows": [_window()]})
    refused(clip, around / "out", loaded, "layers holds something else than names")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        '{"parameters": ' + "[" * 100_000,
        json.dumps({"name": "a web app's manifest"}),
        json.dumps(manifest()),  # a finished one names its windows
        json.dumps({**manifest(methods=3), "windows": [_window()]}),
        json.dumps({**manifest(), "clip": "clip.mp4", "windows": [_window()]}),
        json.dumps({**manifest(), "model": [], "windows": [_window()]}),
        json.dumps({**manifest(), "windows": [_window(input="../precious/thesis.txt")]}),
        json.dumps({**manifest(), "windows": [_window(input=7)]}),
        json.dumps({**manifest(), "windows": [_window(layers=[_layer(activations=None)])]}),
        json.dumps({**manifest(), "windows": 3}),
        json.dumps({**manifest(), "windows": []}),
        json.dumps({**manifest(), "windows": [_window(frames=[])]}),
        json.dumps({**manifest(), "windows": [_window(frames=["1"])]}),
        json.dumps({**manifest(), "windows": [{"input": "input.mp4", "layers": [_layer()]}]}),
        json.dumps({**manifest(), "windows": [_window(layers=[_layer(left_out=5)])]}),
        json.dumps({**manifest(), "windows": [_window(layers=[_layer(layer="conv2a")])]}),
        json.dumps({**manifest(), "windows": [_window(layers=[_layer(units=[{"files": 1}])])]}),
        json.dumps({**manifest(), "windows": [_window()], "clip": {"width": 1, "height": 1}}),
        json.dumps({**manifest(), "windows": [_window()], "left_out": 5}),
        json.dumps({**manifest(), "windows": [_window()], "left_out": [1]}),
        json.dumps({**manifest(), "windows": [_window()], "files": {"index.html": 3}}),
        json.dumps({**manifest(windows=True), "windows": [_window()]}),
        json.dumps({**manifest(layers=[f"l{n}" for n in range(2001)]), "windows": [_window()]}),
        json.dumps({"parameters": [], "windows": [_window()]}),
        json.dumps({"parameters": None, "windows": [_window()]}),
        json.dumps({**manifest(), "windows": [_window()], "clip": {"sha256": "x" * 100_000}})[:-9],
    ],
)
def test_a_damaged_manifest_ends_in_one_line(
    around: Path, clip: Path, loaded: Loaded, text: str
) -> None:
    pretend(around / "out", text)
    refused(clip, around / "out", loaded, r"manifest\.json is damaged")


def test_the_helper_of_these_tests_is_a_manifest() -> None:
    """Else the damage would be another one than the one that is meant."""
    check_manifest({**manifest(), "windows": [_window()]}, finished=True)


def test_many_names_are_no_long_work() -> None:
    """A name for each of a million files would be sought among all layers."""
    names = [f"l{n}" for n in range(2000)]
    is_file, is_folder = places(manifest(layers=names), (MANIFEST,))
    began = time.process_time()
    for number in range(20_000):
        assert is_file(f"l{number % 2000}/deconvnet/ch0001/map.npz")
    assert time.process_time() - began < 1
    assert is_file("window-0008/l7/activations.png")
    assert is_file(MANIFEST)
    assert is_folder("window-0008/l7/deconvnet/ch0012")
    for name in ("l2000/activations.npz", "l1/guided/sheet.png", "l1/deconvnet/ch0001/../map.npz",
                 "window-1/conv1a/sheet.png", "window-0008/../l1/activations.npz"):  # fmt: skip
        assert not is_file(name)
    for name in ("..", "l1/..", "window-x", "l1/deconvnet/ch1/ch1", "window-1/window-1"):
        assert not is_folder(name)


def test_values_of_a_manifest_are_told_briefly(around: Path, clip: Path, loaded: Loaded) -> None:
    """Deep and long values that are no paths: --resume compares them and says the difference."""
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    for value in (deep, "x" * 100_000, "\x1b[31m"):
        pretend(around / "out", {**manifest(top=value), "schema": 1}, UNFINISHED)
        before = files(around)
        with pytest.raises(ExportError, match="holds an export with another") as caught:
            export_clip(clip, around / "out", loaded=loaded, resume=True, **WANTED)
        assert len(str(caught.value)) < 600
        assert str(caught.value).isprintable()
        assert files(around) == before


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("conv1a", "precious"),
        ("conv1a/deconvnet", "precious"),
        ("conv1a/deconvnet/ch0001", "precious"),
        ("window-0008", "precious"),
        ("window-0008/conv1a", "precious"),
        ("conv1a/activations.npz", "precious/activations.npz"),
        ("input.mp4", "precious/thesis.txt"),
        ("index.html", "precious/thesis.txt"),
        ("unfinished.json", "precious/thesis.txt"),
    ],
)
def test_nothing_is_removed_or_written_through_a_link(
    around: Path, clip: Path, loaded: Loaded, place: str, target: str
) -> None:
    out = around / "out"
    pretend(out, {**manifest(), "windows": [_window()]})
    (out / place).parent.mkdir(parents=True, exist_ok=True)
    (out / place).symlink_to(around / target)
    refused(clip, out, loaded, f"{place} is a link")


def test_a_manifest_that_is_a_link(around: Path, clip: Path, loaded: Loaded) -> None:
    pretend(around / "precious", {**manifest(), "windows": [_window()]})
    (around / "out" / MANIFEST).symlink_to(around / "precious" / MANIFEST)
    refused(clip, around / "out", loaded, "is a link")


@pytest.mark.parametrize("finished", [True, False])
def test_overwriting_leaves_what_is_not_ours(
    clip: Path, loaded: Loaded, tmp_path: Path, finished: bool
) -> None:
    out = tmp_path / "out"
    wanted: dict[str, Any] = {"layers": "conv2a", "methods": ["guided"], "top": 1, "windows": 2}
    export_clip(clip, out, loaded=loaded, **wanted)
    window = manifest_of(out)["windows"][0]["folder"]
    unit = next((out / window / "conv2a" / "guided").glob("ch*"))
    if not finished:
        (out / MANIFEST).rename(out / UNFINISHED)
    mine = {
        out / "notes.txt",
        out / "photos" / "activations.npz",
        out / window / "notes.txt",
        out / window / "conv2a" / "notes.npz",
        unit / "map2.npz",
        out / window / "conv2a" / "guided" / "chosen" / "map.npz",
        out / "conv3a" / "activations.npz",
        out / "window-x" / "input.mp4",
    }
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    export_clip(clip, out, overwrite=True, loaded=loaded, **WANTED)
    assert all(path.read_text() == "mine" for path in mine)
    left = {path for path in out.rglob("*") if path.is_file()} - mine
    assert not any("conv2a" in path.parts for path in left)
    assert manifest_of(out)["parameters"]["layers"] == ["conv1a"]
    assert len({path.parent for path in left if path.name == "map.npz"}) == 1
