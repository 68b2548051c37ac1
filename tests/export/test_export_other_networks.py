"""An export of a network that the test writes: as good as C3D's, with its own sizes and layers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from exported import files, links, manifest_of

import c3d_viz as viz
from c3d_viz.cli import main
from c3d_viz.errors import ExportError, LayerError, VizError, WeightsError
from c3d_viz.export import export_clip
from c3d_viz.weights import NetworkChoice

NET = """
import torch
from torch import nn
from c3d_viz import InputSpec

class Block(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.conv = nn.Conv3d(i, o, 3, 2, 1)
        self.bn = nn.BatchNorm3d(o)
        self.short = nn.Conv3d(i, o, 1, 2)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)) + self.short(x))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv3d(1, 4, (3, 7, 7), (1, 2, 2), (1, 3, 3))
        self.layer1, self.layer2 = Block(4, 6), Block(6, 8)
        self.tokens = nn.Flatten(2)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.tokens(self.layer2(self.layer1(self.stem(x)))).mean(2))

def build():
    spec = InputSpec("RGB", mean=(100,), std=(50,), resize=(60, 80), crop=(56, 64), frames=20)
    return Net(), spec
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> NetworkChoice:
    path = tmp_path_factory.mktemp("net") / "net.py"
    path.write_text(NET)
    return NetworkChoice(f"{path}:build", seed=2)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, clip: Path, network: NetworkChoice) -> Path:
    folder = tmp_path_factory.mktemp("other") / "out"
    with pytest.raises(SystemExit) as left:
        main(
            ["export", str(clip), "-o", str(folder), *network.options(), "--layer", "all",
             "--method", "gradient", "--method", "guided", "--top", "2", "--start", "3"]
        )  # fmt: skip
    assert not left.value.code
    return folder


def test_the_folder_is_what_the_library_gives(
    out: Path, clip: Path, network: NetworkChoice
) -> None:
    manifest = manifest_of(out)
    (window,) = manifest["windows"]
    assert [x["layer"] for x in window["layers"]] == ["stem", "layer1", "layer2", "head"]
    assert window["frames"] == list(range(3, 23))
    model, spec = network.load()
    x = viz.preprocess(viz.read_clip(clip, 3, 20), spec.input)
    assert x.shape == (1, 1, 20, 56, 64)
    trace = viz.trace(model, x)
    for layer in window["layers"]:
        name = layer["layer"]
        with np.load(out / layer["activations"]) as stored:
            values = trace.activations.get(name)
            traced = viz.trace(model, x, [name]).activations[name]
            assert values is None or torch.equal(values, traced)
            assert np.array_equal(stored["values"], traced.numpy())
        for unit in layer["units"]:
            for method, made in unit["files"].items():
                with np.load(out / made["map"]) as stored:
                    at = tuple(stored["at"].tolist())
                    own = viz.Unit(name, unit["channel"], at)
                    att = viz.attribute(model, x, own, method)
                    # alone and among others, a residual network's sums may end in another bit
                    off = np.abs(stored["values"] - att.values).max()
                    assert off <= 2e-6 * np.abs(att.values).max()
                    assert stored["values"].shape == (1, 20, 56, 64)
                for file in made.values():
                    assert (out / file).stat().st_size > 200
    for name in links(out / "index.html")[0]:
        assert (out / name).is_file()


def test_where_no_relu_lies_below_guided_is_left_out_with_a_reason(
    out: Path, clip: Path, network: NetworkChoice, tmp_path: Path
) -> None:
    manifest = manifest_of(out)
    stem, layer1, *_ = manifest["windows"][0]["layers"]
    assert list(stem["left_out"]) == ["guided"]
    assert stem["left_out"]["guided"].startswith("no ReLU lies between stem and the clip: guided")
    assert "left_out" not in layer1
    assert list(stem["units"][0]["files"]) == list(stem["sheets"]) == ["gradient"]
    assert not (out / "stem" / "guided").exists()
    assert manifest["left_out"] == {
        "tokens": "tokens gives (8, 70), no (C, T, H, W) or (C,) that could be drawn"
    } or manifest["left_out"]["tokens"].startswith("tokens gives (8, ")
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "Left out: no ReLU lies between stem" in page
    with pytest.raises(VizError, match=r"no ReLU lies between stem .* ask for method 'gradient'"):
        export_clip(clip, tmp_path / "x", network=network, layers="stem", methods="guided")
    with pytest.raises(LayerError, match=r"tokens gives \(8, .* choose from stem, layer1"):
        export_clip(clip, tmp_path / "x", network=network, layers="tokens", methods="gradient")
    with pytest.raises(LayerError, match=r"no layer 'layr1'; this model has .*nearest.* layer1"):
        export_clip(clip, tmp_path / "x", network=network, layers="layr1")
    assert not (tmp_path / "x").exists()


def test_the_page_tells_the_networks_own_sizes(out: Path) -> None:
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "net.py:build, weights as the factory gives them" in page
    assert "Nothing says whether this network is trained." in page
    assert "cropped to 64 × 56 pixels" in page
    assert "watches 20 frames at a time" in page
    assert "one unit sees 3 frames × 7 × 7 pixels" in page
    assert "112" not in page.split("</style>")[1].split("<footer>")[0]


def test_a_window_takes_the_frames_that_the_network_takes(
    clip: Path, network: NetworkChoice, tmp_path: Path
) -> None:
    sparse = replace(network, frames=8, frame_stride=2)
    for stride, apart in ((None, 2), (1, 1)):
        out = tmp_path / f"{apart}"
        export_clip(clip, out, network=sparse, layers="stem", methods="gradient", top=1, start=1,
                    stride=stride)  # fmt: skip
        manifest = manifest_of(out)
        assert manifest["windows"][0]["frames"] == list(range(1, 1 + 8 * apart, apart))
        assert f"--stride {apart} " in manifest["command"]
        assert "--frames 8 --frame-stride 2" in manifest["command"]


def test_maps_are_zero_outside_of_the_measured_field(
    out: Path, clip: Path, network: NetworkChoice
) -> None:
    layers = {x["layer"]: x for x in manifest_of(out)["windows"][0]["layers"]}
    assert layers["stem"]["receptive_field"] == {"size": [3, 7, 7], "step": [1, 2, 2]}
    assert layers["layer1"]["receptive_field"] == {"size": [5, 11, 11], "step": [2, 4, 4]}
    assert layers["head"]["receptive_field"] is None
    for unit in layers["layer1"]["units"]:
        with np.load(out / unit["files"]["gradient"]["map"]) as stored:
            seen = np.argwhere(stored["values"][0] != 0)
        extent = seen.max(axis=0) - seen.min(axis=0) + 1
        assert (extent <= [5, 11, 11]).all()


def test_the_command_in_the_manifest_makes_it_again(out: Path, clip: Path, tmp_path: Path) -> None:
    import shlex

    words = shlex.split(manifest_of(out)["command"])
    assert words[words.index("--layer") + 1] == "all"
    again = [str(tmp_path / "again") if w == str(out) else w for w in words[1:]]
    with pytest.raises(SystemExit) as left:
        main(again)
    assert not left.value.code
    ours, theirs = files(out), files(tmp_path / "again")
    assert ours.keys() == theirs.keys()
    different = {name for name in ours if ours[name] != theirs[name]}
    assert different <= {"manifest.json", "index.html"}  # the folder's name stands in the command


def test_it_resumes_and_other_code_is_another_network(
    out: Path, clip: Path, network: NetworkChoice, tmp_path: Path
) -> None:
    file = tmp_path / "net.py"
    file.write_text(NET)
    own = NetworkChoice(f"{file}:build", seed=2)
    call = {"network": own, "layers": "layer1", "methods": "gradient", "top": 1}
    path = export_clip(clip, tmp_path / "o", **call)  # type: ignore[arg-type]
    before = files(tmp_path / "o")
    path.with_name("index.html").unlink()
    export_clip(clip, tmp_path / "o", resume=True, **call)  # type: ignore[arg-type]
    assert files(tmp_path / "o") == before
    assert json.loads(path.read_text())["model"]["input"]["std"] == [50.0]
    file.write_text(NET + "\n# another activation, say\n")
    with pytest.raises(ExportError, match="an export with another network's code"):
        export_clip(clip, tmp_path / "o", resume=True, **call)  # type: ignore[arg-type]


def test_classes_stand_at_the_layer_that_gives_them(
    clip: Path, network: NetworkChoice, tmp_path: Path
) -> None:
    model, spec = network.load()
    weights = tmp_path / "w.pth"
    torch.save(model.state_dict(), weights)
    (tmp_path / "names.txt").write_text("run\njump\nfall\n")
    trained = NetworkChoice(network.model, weights, classes=tmp_path / "names.txt")
    export_clip(
        clip, tmp_path / "o", network=trained, layers="head", methods="gradient", top=3, windows=2
    )
    manifest = manifest_of(tmp_path / "o")
    assert len(manifest["windows"]) == 2
    for window in manifest["windows"]:
        (layer,) = window["layers"]
        assert {u["name"] for u in layer["units"]} == {"run", "jump", "fall"}
        assert {p["class"] for p in window["predictions"]} == {"run", "jump", "fall"}
    assert manifest["model"]["weights"] == "w.pth, in net.py:build"
    with pytest.raises(WeightsError, match="has 2 class names, the weights have 3 classes"):
        NetworkChoice(network.model, classes=("a", "b")).load()
    assert spec.num_classes == 3


def test_32_frames_of_224_pixels(clip: Path, tmp_path: Path, make_video: Callable) -> None:  # type: ignore[type-arg]
    """A network given in Python, by ``loaded``."""
    net = torch.nn.Sequential(torch.nn.Conv3d(3, 2, 3, (4, 8, 8)), torch.nn.ReLU()).eval()
    given = viz.InputSpec("RGB", (0, 0, 0), 1 / 255, 224, (224, 224), 32)
    spec = viz.ModelSpec("mine", "random", False, given, 0)
    export_clip(clip, tmp_path / "o", layers="1", methods="deconvnet", top=1, loaded=(net, spec))
    (layer,) = manifest_of(tmp_path / "o")["windows"][0]["layers"]
    with np.load(tmp_path / "o" / layer["units"][0]["files"]["deconvnet"]["map"]) as stored:
        assert stored["values"].shape == (3, 32, 224, 224)
    assert layer["receptive_field"] == {"size": [3, 3, 3], "step": [4, 8, 8]}
    strip = tmp_path / "o" / layer["units"][0]["files"]["deconvnet"]["filmstrip"]
    assert strip.stat().st_size > 5000
