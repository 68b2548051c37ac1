"""Methods of their own grid and settings in an export: files, manifest, command, page, resume."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from exported import files, manifest_of
from video_files import write_test_video

from c3d_viz import attribute, load_model, preprocess, read_clip
from c3d_viz.cli import main
from c3d_viz.errors import LayerError, VizError
from c3d_viz.export import export_clip
from c3d_viz.methods import Channel

NET = """
from torch import nn
from c3d_viz import InputSpec

def build():
    net = nn.Sequential()
    for name, i, o in (("one", 3, 4), ("two", 4, 6)):
        net.add_module(name, nn.Sequential(nn.Conv3d(i, o, 3, 2, 1), nn.ReLU()))
    net.add_module("flat", nn.Flatten())
    net.add_module("top", nn.Linear(6 * 2 * 8 * 8, 3))
    return net, InputSpec("RGB", mean=(100, 100, 100), resize=32, crop=(32, 32), frames=8)
"""
NOTE = (
    "the class activation map has 2 time steps of 8 x 8 cells (layer two), stretched to 8 frames "
    "of 32 x 32; nothing between them was measured"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], Path]:
    """A folder, the command line that made it, and the clip."""
    place = tmp_path_factory.mktemp("methods")
    (place / "net.py").write_text(NET)
    clip = place / "clip.mp4"
    frames = np.random.default_rng(1).integers(0, 256, (10, 40, 40, 3), np.uint8)
    write_test_video(clip, frames)
    words = ["export", str(clip), "-o", str(place / "out"), "--model", f"{place}/net.py:build"]
    words += ["--layer", "all", "--top", "1", "--method", "gradcam", "--method", "gradient"]
    words += ["--method", "integrated_gradients"]
    words += ["--set", "integrated_gradients.steps=3", "--set", "gradcam.layer="]
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert not stopped.value.code
    return place / "out", words, clip


def test_the_map_keeps_its_grid_and_the_page_says_so(made: tuple[Path, list[str], Path]) -> None:
    out, _, _ = made
    manifest = manifest_of(out)
    layers = {layer["layer"]: layer for layer in manifest["windows"][0]["layers"]}
    (unit,) = layers["top"]["units"]
    with np.load(out / unit["files"]["gradcam"]["map"]) as stored:
        assert stored["values"].shape == (1, 8, 32, 32)
        assert stored["native"].shape == (2, 8, 8)
        assert str(stored["native_layer"]) == "two"
    with np.load(out / unit["files"]["gradient"]["map"]) as stored:
        assert "native" not in stored
    told = ["settings: steps 3, baseline mean"]
    assert unit["notes"] == {"gradcam": [NOTE], "integrated_gradients": told}
    assert NOTE in (out / "index.html").read_text(encoding="utf-8")
    assert "(layer one)" in layers["two"]["units"][0]["notes"]["gradcam"][0]


def test_a_layer_without_one_below_is_left_out_or_refused(
    made: tuple[Path, list[str], Path], tmp_path: Path
) -> None:
    out, words, clip = made
    layers = {layer["layer"]: layer for layer in manifest_of(out)["windows"][0]["layers"]}
    assert "no convolutional layer lies below one" in layers["one"]["left_out"]["gradcam"]
    assert list(layers["one"]["units"][0]["files"]) == ["gradient", "integrated_gradients"]
    with pytest.raises(LayerError, match="no convolutional layer lies below one"):
        export_clip(clip, tmp_path / "o", model=words[5], layers="one", methods="gradcam")
    named = {"gradcam": {"layer": "top"}}
    with pytest.raises(LayerError, match=r"top has no \(T, H, W\) grid"):
        export_clip(clip, tmp_path / "o", model=words[5], methods="gradcam", settings=named)
    assert not (tmp_path / "o").exists()


def test_settings_stand_in_the_manifest_and_its_command_repeats_them(
    made: tuple[Path, list[str], Path], tmp_path: Path
) -> None:
    out, _, clip = made
    manifest = manifest_of(out)
    assert manifest["parameters"]["settings"] == {
        "gradcam": {"layer": ""},
        "integrated_gradients": {"steps": 3, "baseline": "mean"},
    }
    command = manifest["command"]
    assert "--set integrated_gradients.steps=3" in command
    assert "gradcam.layer" not in command
    again = shlex.split(command)[1:]
    again[again.index("-o") + 1] = str(tmp_path / "again")
    with pytest.raises(SystemExit):
        main(again)
    first, second = files(out), files(tmp_path / "again")
    del first["manifest.json"], second["manifest.json"], first["index.html"], second["index.html"]
    assert first == second
    plain = tmp_path / "plain"
    export_clip(clip, plain, model=again[again.index("--model") + 1], layers="top", top=1)
    assert "settings" not in manifest_of(plain)["parameters"]


def test_resumed_it_says_the_same_and_other_settings_are_refused(
    made: tuple[Path, list[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out, words, _ = made
    before = files(out)
    (out / "top/gradcam/sheet.png").unlink()
    (out / "top/integrated_gradients/sheet.png").unlink()
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--resume"])
    assert not stopped.value.code
    assert files(out) == before
    with pytest.raises(SystemExit) as stopped:
        main([w.replace("steps=3", "steps=4") for w in words] + ["--resume"])
    assert stopped.value.code == 2
    assert "another settings" in capsys.readouterr().err


def test_a_whole_channel_in_place_of_a_unit(
    made: tuple[Path, list[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, words, clip = made
    asked = ["--layer", "two", "--channel", "3", "--at", "mean", "--method", "gradient"]
    asked += ["--method", "gradcam"]
    with pytest.raises(SystemExit) as stopped:
        main(["export", str(clip), "-o", str(tmp_path / "o"), *words[4:6], *asked])
    assert not stopped.value.code
    manifest = manifest_of(tmp_path / "o")
    assert (manifest["parameters"]["at"], " --at mean" in manifest["command"]) == ("mean", True)
    (layer,) = manifest["windows"][0]["layers"]
    (unit,) = layer["units"]
    with np.load(tmp_path / "o" / "two" / "activations.npz") as stored:
        mean = float(stored["values"][3].mean())
    assert (unit["at"], unit["activation"]) == ([], pytest.approx(mean, rel=1e-5))
    net, spec = load_model(words[5])
    x = preprocess(read_clip(clip, 0, frames=8), spec.input)
    for method in ("gradient", "gradcam"):
        expected = attribute(net, x, Channel("two", 3), method)
        with np.load(tmp_path / "o" / unit["files"][method]["map"]) as stored:
            np.testing.assert_array_equal(stored["values"], expected.values)
            assert (str(stored["reduce"]), stored["at"].size) == ("mean", 0)
        assert expected.values.any()
    assert "mean over all its positions" in (tmp_path / "o/index.html").read_text(encoding="utf-8")
    before = files(tmp_path / "o")
    (tmp_path / "o/two/gradient/sheet.png").unlink()
    export_clip(
        clip, tmp_path / "o", model=words[5], layers="two", channel=3, at="mean", resume=True,
        methods=("gradient", "gradcam"),
    )  # fmt: skip
    assert files(tmp_path / "o") == before
    capsys.readouterr()
    with pytest.raises(VizError, match=r"at is a position .* mean or sum, got 'max'"):
        export_clip(clip, tmp_path / "n", model=words[5], layers="two", channel=3, at="max")
    with pytest.raises(VizError, match="at needs channel"):
        export_clip(clip, tmp_path / "n", model=words[5], layers="two", at="sum")
    with pytest.raises(LayerError, match="two has channels 0-5, got 9"):
        export_clip(clip, tmp_path / "n", model=words[5], layers="two", channel=9, at="sum")


def test_a_wrong_setting_is_one_line(
    made: tuple[Path, list[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, words, clip = made
    with pytest.raises(SystemExit) as stopped:
        main(["export", str(clip), "-o", str(tmp_path / "o"), "--set", "gradcam.layer=x"])
    assert stopped.value.code == 2
    error = capsys.readouterr().err.strip()
    assert "gradcam.layer=x sets gradcam, which is not asked for" in error
    assert "\n" not in error
    wrong = {"gradient": {"steps": 3}}
    with pytest.raises(VizError, match="gradient has no settings"):
        export_clip(clip, tmp_path / "o", model=words[5], methods="gradient", settings=wrong)
    unasked = {"gradcam": {"layer": "one"}}
    with pytest.raises(VizError, match="gradcam, which is not asked for"):
        export_clip(clip, tmp_path / "o", model=words[5], methods="gradient", settings=unasked)


def test_a_method_of_many_passes_says_how_far_it_is(
    made: tuple[Path, list[str], Path], tmp_path: Path
) -> None:
    _, words, clip = made
    heard: list[str] = []

    def hear(done: int, total: int, what: str) -> None:
        assert 0 <= done <= total
        heard.append(what)

    few = {"integrated_gradients": {"steps": 2}}
    method = "integrated_gradients"
    export_clip(
        clip, tmp_path / "o", model=words[5], layers="top", top=2, methods=method, settings=few,
        progress=hear,
    )  # fmt: skip
    told = [what for what in heard if "pass" in what]
    assert told[0] == "integrated_gradients, pass 1 of 4"
    assert "integrated_gradients, pass 4 of 4" in told
