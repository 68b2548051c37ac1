"""Exports: the tree, the numbers in it, byte-identity."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from exported import LINE, Loaded, files, links, manifest_of

import c3d_viz as viz
from c3d_viz.errors import ExportError, LayerError
from c3d_viz.export.run import export_clip
from c3d_viz.export.settings import named_layers
from c3d_viz.nets.c3d import CONV_LAYERS, LAYERS
from c3d_viz.nets.spec import COMPACT_INPUT, ModelSpec
from c3d_viz.weights import save_model


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


def test_windows_stand_beside_each_other(clip: Path, loaded: Loaded, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_clip(clip, out, layers="conv1a", top=1, windows=2, start=4, loaded=loaded)
    manifest = manifest_of(out)
    starts = [w["start"] for w in manifest["windows"]]
    assert starts == [9, 19]  # the middles of two equal parts of what is left from frame 4 on
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


def test_a_units_file_is_the_same_whatever_else_is_exported(
    tree: Path, clip: Path, loaded: Loaded, tmp_path: Path
) -> None:
    """All bytes of it, the last bit of the activation too: no other unit shares its pass here."""
    export_clip(clip, tmp_path / "out", layers=["conv5b"], methods="guided", top=1, start=8,
                loaded=loaded)  # fmt: skip
    (file,) = (tmp_path / "out").rglob("map.npz")
    assert file.read_bytes() == (tree / file.relative_to(tmp_path / "out")).read_bytes()
    with np.load(file) as stored:
        x = viz.preprocess(viz.read_clip(clip, start=8), loaded[1].input)
        seen = viz.trace(loaded[0], x, ["conv5b"]).activations["conv5b"]
        assert stored["activation"] == seen[(int(stored["channel"]), *stored["at"])].numpy()
