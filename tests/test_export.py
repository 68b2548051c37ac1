"""Exports: the tree, the numbers in it, byte-identity, resuming, refusing, and the page."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import av
import numpy as np
import pytest

import c3d_viz as viz
from c3d_viz import export_files, export_window
from c3d_viz.errors import ClipError, ExportError, LayerError, VizError
from c3d_viz.export import export_clip
from c3d_viz.export_settings import named_layers
from c3d_viz.models import CONV_LAYERS, LAYERS
from c3d_viz.spec import COMPACT_INPUT, ModelSpec
from c3d_viz.tracing import Unit
from c3d_viz.weights import save_model

Loaded = tuple[Any, ModelSpec]
LINE = "random weights (seed 0), untrained"


@pytest.fixture(scope="module")
def loaded(tiny_c3d: Any) -> Loaded:
    spec = ModelSpec("compact", LINE, False, COMPACT_INPUT, 5)
    return tiny_c3d, spec


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """40 frames of a bright square that moves over a gradient."""
    t, y, x = np.mgrid[0:40, 0:96, 0:128]
    ground = ((x + y) % 128).astype(np.uint8)
    square = (abs(x - 20 - 2 * t) < 12) & (abs(y - 48) < 12)
    frames = np.stack([np.where(square, 230, ground)] * 3, axis=-1).astype(np.uint8)
    return make_video(tmp_path_factory.mktemp("clip") / "mövie & more.mp4", frames)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, clip: Path, loaded: Loaded) -> Path:
    """One export that several tests only look at."""
    out = tmp_path_factory.mktemp("export") / "out"
    export_clip(
        clip,
        out,
        layers=["conv5b", "conv1a", "fc8"],
        methods=["deconvnet", "guided"],
        top=2,
        start=8,
        loaded=loaded,
    )
    return out


def files(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def manifest_of(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return value


def test_the_tree(tree: Path) -> None:
    manifest = manifest_of(tree)
    expected = {"index.html", "manifest.json", "input.mp4"}
    for layer in manifest["windows"][0]["layers"]:
        name = layer["layer"]
        expected.add(f"{name}/activations.npz")
        if name != "fc8":
            expected.add(f"{name}/activations.png")
        for method in ("deconvnet", "guided"):
            expected.add(f"{name}/{method}/sheet.png")
            for unit in layer["units"]:
                folder = f"{name}/{method}/ch{unit['channel']:04d}"
                expected |= {f"{folder}/{f}" for f in ("filmstrip.png", "overlay.mp4", "map.npz")}
    assert set(files(tree)) == expected
    assert [x["layer"] for x in manifest["windows"][0]["layers"]] == ["conv1a", "conv5b", "fc8"]


def test_the_arrays_are_what_the_library_gives(tree: Path, clip: Path, loaded: Loaded) -> None:
    model, spec = loaded
    x = viz.preprocess(viz.read_clip(clip, start=8), spec.input)
    trace = viz.trace(model, x, ["conv1a", "conv5b", "fc8"])
    for layer in manifest_of(tree)["windows"][0]["layers"]:
        name = layer["layer"]
        with np.load(tree / layer["activations"]) as stored:
            np.testing.assert_array_equal(stored["values"], trace.activations[name].numpy())
        units = viz.top_units(trace, name, k=2)
        assert [(u["channel"], tuple(u["at"])) for u in layer["units"]] == [
            (u.channel, u.at) for u in units
        ]
        for unit, entry in zip(units, layer["units"], strict=True):
            att = viz.attribute(model, x, unit, method="guided")
            assert entry["activation"] == pytest.approx(att.activation, rel=1e-5)
            with np.load(tree / entry["files"]["guided"]["map"]) as stored:
                assert stored["values"].shape == (3, 16, 112, 112)
                assert stored["values"].dtype == np.float32
                scale = np.abs(att.values).max() or 1.0
                np.testing.assert_allclose(stored["values"], att.values, atol=1e-5 * scale)
                assert str(stored["layer"]) == name
                assert int(stored["channel"]) == unit.channel
                assert tuple(stored["at"]) == unit.at
                assert stored["frames"].tolist() == list(range(8, 24))


def test_the_manifest_tells_everything(tree: Path, clip: Path, loaded: Loaded) -> None:
    manifest = manifest_of(tree)
    assert manifest["schema"] == 1
    assert manifest["clip"]["sha256"] == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert (manifest["clip"]["frames"], manifest["clip"]["width"]) == (40, 128)
    assert re.fullmatch("[0-9a-f]{64}", manifest["model"]["weights_sha256"])
    assert manifest["model"]["weights"] == LINE
    assert manifest["model"]["input"]["channel_order"] == "RGB"
    assert manifest["versions"]["c3d-viz"] == viz.__version__
    assert "torch" in manifest["versions"]
    wanted = manifest["parameters"]
    assert (wanted["top"], wanted["start"], wanted["stride"], wanted["seed"]) == (2, 8, 1, 0)
    assert wanted["methods"] == ["deconvnet", "guided"]
    command = manifest["command"]
    assert "--layer conv1a --layer conv5b --layer fc8" in command
    assert "--start 8" in command
    assert "'" + str(clip) + "'" in command  # quoted: the name holds a space and an ampersand


def test_what_is_said_against_a_checkpoint(clip: Path, tiny_c3d: Any, tmp_path: Path) -> None:
    weights, names, out = tmp_path / "own.safetensors", tmp_path / "names.txt", tmp_path / "out"
    save_model(weights, tiny_c3d, ModelSpec("compact", "own", True, COMPACT_INPUT, 5))
    names.write_text("run\njump\nfall\nturn\nstay\n")
    wanted: dict[str, Any] = {
        "weights": weights,
        "layers": "fc8",
        "top": 1,
        "channel_order": "BGR",
        "mean": (1.0, 2.0, 3.0),
        "resize": (120, 130),
        "pool5": "padded",
        "classes": names,
    }
    export_clip(clip, out, **wanted)
    manifest = manifest_of(out)
    found = manifest["model"]["input"]
    assert (found["channel_order"], found["resize"]) == ("BGR", [120, 130])
    assert (found["mean"], manifest["model"]["pool5"]) == ([1, 2, 3], "padded")
    assert manifest["parameters"]["resize"] == [120, 130]
    assert manifest["parameters"]["classes"] == str(names)
    assert manifest["parameters"]["fc6_order"] is None
    words = "--channel-order BGR --mean 1.0,2.0,3.0 --resize 120,130 --pool5 padded --classes"
    assert words in manifest["command"]
    window = manifest["windows"][0]
    assert window["layers"][0]["units"][0]["name"] in names.read_text().split()
    model, spec = viz.load_model("compact", weights, channel_order="BGR", mean=(1, 2, 3))
    x = viz.preprocess(viz.read_clip(clip), spec.input.replace(resize=(120, 130)))
    model = viz.load_model("compact", weights, pool5="padded")[0]
    logits = viz.trace(model, x, ["fc8"]).activations["fc8"].numpy()
    with np.load(out / "fc8" / "activations.npz") as stored:
        np.testing.assert_allclose(stored["values"], logits, rtol=1e-5, atol=1e-6)
    export_clip(clip, out, resume=True, **wanted)
    names.write_text("a\nb\nc\nd\ne\n")
    with pytest.raises(ExportError, match="another class names' SHA-256"):
        export_clip(clip, out, resume=True, **wanted)
    for change in ({"channel_order": "RGB"}, {"resize": 128}):
        with pytest.raises(ExportError, match="another input"):
            export_clip(clip, out, resume=True, **{**wanted, **change})


def test_videos_hold_the_window(tree: Path) -> None:
    entry = manifest_of(tree)["windows"][0]["layers"][1]["units"][0]
    for name in ("input.mp4", entry["files"]["deconvnet"]["overlay"]):
        with av.open(str(tree / name)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
            frames = [f.to_ndarray(format="rgb24") for f in container.decode(stream)]
        assert len(frames) == 16
        assert frames[0].shape == (336, 336, 3)
        assert np.std(np.stack(frames)) > 10  # not blank


def test_equal_inputs_give_equal_bytes(
    tree: Path, clip: Path, loaded: Loaded, tmp_path: Path
) -> None:
    export_clip(
        clip,
        tmp_path / "again",
        layers=["conv1a", "conv5b", "fc8"],
        methods=["deconvnet", "guided"],
        top=2,
        start=8,
        loaded=loaded,
    )
    first, second = files(tree), files(tmp_path / "again")
    assert set(first) == set(second)
    differing = {name for name in first if first[name] != second[name]}
    # these two carry the command line, with the folder's name in it
    assert differing <= {"manifest.json", "index.html"}


class StopError(Exception):
    """Stands for a pulled plug."""


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
    (out / "conv1a" / "deconvnet" / ".overlay-abc123.mp4").write_bytes(b"half")
    (out / "conv1a" / f".activations.npz.77{export_files.PART}").write_bytes(b"half")
    kept = {p: p.stat().st_mtime_ns for p in out.rglob("ch*/*") if p.is_file()}
    assert kept

    asked: list[Unit] = []
    real = export_window.attribute_many

    def counting(model: Any, x: Any, units: list[Unit], *rest: Any, **more: Any) -> Any:
        asked.extend(units)
        return real(model, x, units, *rest, **more)

    monkeypatch.setattr(export_window, "attribute_many", counting)
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


def test_windows_stand_beside_each_other(clip: Path, loaded: Loaded, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_clip(clip, out, layers="conv1a", top=1, windows=2, start=4, loaded=loaded)
    manifest = manifest_of(out)
    starts = [w["start"] for w in manifest["windows"]]
    assert len(starts) == 2
    assert all(4 <= s <= 24 for s in starts)
    for window in manifest["windows"]:
        assert window["folder"] == f"window-{window['start']:04d}"
        assert (out / window["folder"] / "conv1a" / "activations.npz").is_file()
        assert (out / window["input"]).is_file()
    assert set(links(out / "index.html")[0]) <= set(files(out))


def test_a_channel_and_a_position(clip: Path, loaded: Loaded, tmp_path: Path) -> None:
    out = tmp_path / "out"
    wanted: dict[str, Any] = {"layers": ["conv1a"], "channel": [1], "loaded": loaded}
    export_clip(clip, out, at=(3, 50, 60), **wanted)
    (unit,) = manifest_of(out)["windows"][0]["layers"][0]["units"]
    assert (unit["channel"], unit["at"]) == (1, [3, 50, 60])
    with np.load(out / unit["files"]["deconvnet"]["map"]) as stored:
        seen = np.argwhere(np.abs(stored["values"]).sum(axis=0) > 0)
    if len(seen):  # a 3 x 3 x 3 receptive field round the position
        assert (np.abs(seen - [3, 50, 60]) <= 1).all()
    with pytest.raises(LayerError, match="positions"):
        export_clip(clip, tmp_path / "far", at=(3, 500, 60), **wanted)


def test_stride_and_speed(clip: Path, loaded: Loaded, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_clip(clip, out, layers="conv1a", top=1, stride=2, loaded=loaded)
    assert manifest_of(out)["windows"][0]["frames"] == list(range(0, 32, 2))
    with av.open(str(out / "input.mp4")) as container:
        assert float(container.streams.video[0].average_rate) == pytest.approx(12.5)


def test_named_layers() -> None:
    assert named_layers("all") == LAYERS
    assert named_layers(["fc8", "conv"]) == (*CONV_LAYERS, "fc8")
    assert named_layers(["conv5b", "conv1a", "conv5b"]) == ("conv1a", "conv5b")


# The page ------------------------------------------------------------------------------------


def links(page: Path) -> tuple[list[str], list[dict[str, str | None]]]:
    """Every file the page refers to, and every element's attributes."""
    found: list[str] = []
    elements: list[dict[str, str | None]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            values = {"": tag, **dict(attrs)}
            elements.append(values)
            target = values.get("src") or values.get("href")
            if target and not target.startswith("#"):
                found.append(unquote(target))

    Reader().feed(page.read_text(encoding="utf-8"))
    return found, elements


def test_the_page_opens_from_disk(tree: Path) -> None:
    targets, elements = links(tree / "index.html")
    assert set(targets) <= set(files(tree))
    text = (tree / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:)?//", text)
    assert "@import" not in text
    videos = [e for e in elements if e[""] == "video"]
    assert len(videos) == 1 + 3 * 2 * 2
    assert all(v["aria-label"] for v in videos)
    assert all(e.get("alt") for e in elements if e[""] == "img")
    ids = [e["id"] for e in elements if e.get("id")]
    assert len(ids) == len(set(ids))
    layers = [i for i in ids if str(i).startswith("w8-")]
    assert layers == ["w8-conv1a", "w8-conv5b", "w8-fc8"]


def test_the_page_names_the_weights_and_warns(tree: Path) -> None:
    text = (tree / "index.html").read_text(encoding="utf-8")
    assert LINE in text
    assert "This network is untrained" in text
    assert "mövie &amp; more" in text  # names are text, never markup


def test_trained_weights_are_not_warned_about(clip: Path, tiny_c3d: Any, tmp_path: Path) -> None:
    names = ("<b>run</b>", "jump", "fall", "turn", "stay")
    spec = ModelSpec("compact", "compact: trained", True, COMPACT_INPUT, 5, classes=names)
    export_clip(clip, tmp_path / "out", layers="fc8", top=2, loaded=(tiny_c3d, spec))
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "untrained" not in text
    assert "Likeliest classes" in text
    assert "<b>run" not in text
    assert "&lt;b&gt;run" in text
    window = manifest_of(tmp_path / "out")["windows"][0]
    chances = [p["probability"] for p in window["predictions"]]
    assert sum(chances) == pytest.approx(1, abs=1e-4)
    assert chances == sorted(chances, reverse=True)
    units = window["layers"][0]["units"]
    assert [u["name"] for u in units] == [names[u["channel"]] for u in units]


# Files ---------------------------------------------------------------------------------------


def test_npz_bytes_do_not_depend_on_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = {
        "noise": np.random.default_rng(0).normal(size=(3, 40, 40)).astype(np.float32),
        "zeros": np.zeros((3, 40, 40), np.float32),
        "name": "conv5b",
    }
    export_files.write_npz(tmp_path / "a.npz", arrays)
    monkeypatch.setattr("time.time", lambda: 4e9)
    export_files.write_npz(tmp_path / "b.npz", arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz") as stored:
        for name, value in arrays.items():
            np.testing.assert_array_equal(stored[name], value)
    assert (tmp_path / "a.npz").stat().st_size < 1.1 * arrays["noise"].nbytes


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "file"

    def write(failure: Exception) -> None:
        with export_files.whole(target) as part:
            part.write_bytes(b"half")
            raise failure

    with pytest.raises(StopError):
        write(StopError())
    assert list(tmp_path.iterdir()) == []
    target.write_bytes(b"old")
    with pytest.raises(ExportError, match="No space left"):
        write(OSError(28, "No space left on device"))
    assert target.read_bytes() == b"old"
    assert len(os.listdir(tmp_path)) == 1


def test_the_hash_of_a_folder_of_frames(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"one")
    (tmp_path / "2.png").write_bytes(b"two")
    before = export_files.sha256_of_clip(tmp_path)
    assert before == export_files.sha256_of_clip(tmp_path)
    (tmp_path / "2.png").rename(tmp_path / "3.png")
    assert export_files.sha256_of_clip(tmp_path) != before


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_in_a_browser(tree: Path, browser: Any, width: int) -> None:
    """Opened from disk: fits the screen, asks no network, and the videos on screen play."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto((tree / "index.html").as_uri())
    page.wait_for_function(
        "() => { const v = document.querySelector('video'); "
        "return v.currentTime > 0.05 && v.videoWidth === 336; }",
        timeout=60_000,
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.click("#play")
    assert page.text_content("#play") == "Play videos"
    assert page.evaluate("[...document.querySelectorAll('video')].every(v => v.paused)")
    context.close()
    assert wrong == []
    assert all(url.startswith("file:") for url in asked)
