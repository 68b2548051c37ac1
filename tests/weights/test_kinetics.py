"""torchvision's video networks. What needs torchvision is skipped, and says so, where it is not."""

from __future__ import annotations

import importlib.util
import sys
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from c3d_viz.errors import WeightsError
from c3d_viz.export import export_clip
from c3d_viz.files import read_json
from c3d_viz.weights import VIDEO_NETS, NetworkChoice, kinetics, load_model

HERE = importlib.util.find_spec("torchvision") is not None
needed = pytest.mark.skipif(not HERE, reason="torchvision is not installed (extra 'torchvision')")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of torch.hub's."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@needed
@pytest.mark.parametrize("name", VIDEO_NETS)
def test_the_catalogue_takes_clips_as_torchvision_does(name: str) -> None:
    theirs = kinetics._published(name).transforms()
    ours = VIDEO_NETS[name]
    assert list(ours.crop) == theirs.crop_size
    assert ours.resize == tuple(theirs.resize_size)
    assert ours.channel_order == "RGB"
    assert ours.std is not None
    pixels = np.array([[0.0, 100, 255]]).T
    given = (pixels - ours.mean) * ours.scale / ours.std
    np.testing.assert_allclose(given, (pixels / 255 - theirs.mean) / theirs.std, rtol=1e-12)


@needed
def test_random_weights_follow_the_seed() -> None:
    before = torch.get_rng_state()
    model, spec = load_model("s3d", seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert (spec.name, spec.trained, spec.num_classes) == ("s3d", False, 400)
    assert (spec.weights, spec.source) == ("random weights (seed 3), untrained", None)
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    twin, _ = load_model("s3d", "random", seed=3)
    other, spec = load_model(
        "s3d", "random", seed=4, num_classes=5, mean=(1, 2, 3), crop=(224, 230)
    )
    first = [next(net.parameters()) for net in (model, twin, other)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])
    assert (spec.num_classes, spec.input.mean, spec.input.crop) == (5, (1, 2, 3), (224, 230))
    with pytest.raises(WeightsError, match="s3d: the network does not take a clip of its input"):
        load_model("s3d", crop=(90, 90))


@needed
def test_a_state_dict_gives_the_classes(tmp_path: Path) -> None:
    model, _ = load_model("s3d", seed=3, num_classes=7)
    file = tmp_path / "fine.pth"
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, file)
    loaded, spec = load_model("s3d", file)
    assert (spec.weights, spec.trained, spec.num_classes) == ("fine.pth, in s3d", True, 7)
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True)
    )
    with pytest.raises(WeightsError, match="has 7 classes, not 8"):
        load_model("s3d", file, num_classes=8)
    with pytest.raises(WeightsError, match=r"do not fit VideoResNet.*missing"):
        load_model("r3d_18", file)


@needed
def test_published_weights_come_through_torchvisions_loader(
    hub: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, _ = load_model("s3d", seed=5)
    asked: list[str] = []

    def fetch(url: str, to: str, hash_prefix: str | None, progress: bool) -> None:
        asked.append(f"{url} {hash_prefix}")
        assert "s3d: fetching 32 MB of Kinetics-400 weights" in capsys.readouterr().err
        torch.save(model.state_dict(), to)

    monkeypatch.setattr("torch.hub.download_url_to_file", fetch)
    for _ in range(2):  # the second time it is there
        loaded, spec = load_model("s3d", "default")
    assert asked == ["https://download.pytorch.org/models/s3d-d76dad2f.pth d76dad2f"]
    assert not capsys.readouterr().out
    assert torch.equal(next(loaded.parameters()), next(model.parameters()))
    assert spec.weights == "s3d: trained on Kinetics-400 (s3d-d76dad2f.pth, torchvision)"
    assert spec.classes is not None
    assert (len(spec.classes), spec.classes[0]) == (400, "abseiling")
    assert (spec.trained, spec.source) == (True, str(hub / "s3d-d76dad2f.pth"))
    choice = NetworkChoice("s3d", "default")
    assert choice.options() == ["--model", "s3d", "--weights", "default"]
    assert choice.absolute() == choice


@needed
def test_no_network_is_one_line(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no route")

    monkeypatch.setattr("torch.hub.download_url_to_file", fetch)
    with pytest.raises(WeightsError, match=r"r3d_18-\w+\.pth \(127 MB\) cannot be fetched .*route"):
        load_model("r3d_18", "default")
    assert not list(hub.iterdir())


@needed
def test_an_export_as_good_as_c3ds(tmp_path: Path, make_video: Any) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (12, 48, 64, 3), np.uint8)
    clip = make_video(tmp_path / "clip.mp4", frames)
    toml = tmp_path / "input.toml"
    toml.write_text("frames = 8\nresize = 40\ncrop = [32, 32]\n")
    network = NetworkChoice("r3d_18", "random", input=toml)
    manifest = export_clip(
        clip, tmp_path / "out", network=network, layers=("layer2", "fc"), methods="guided", top=1
    )
    value: Any = read_json(manifest)
    assert value["model"]["weights"] == "random weights (seed 0), untrained"
    assert "--model r3d_18 --weights random" in value["command"]
    layer2, fc = value["windows"][0]["layers"]
    assert (layer2["layer"], layer2["shape"], fc["shape"]) == ("layer2", [128, 4, 8, 8], [400])
    (unit,) = layer2["units"]
    folder = manifest.parent / "layer2" / "guided" / f"ch{unit['channel']:04d}"
    assert np.load(folder / "map.npz")["values"].shape == (3, 8, 32, 32)


@pytest.fixture
def instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package ``torchvision`` written by the test, in place of any other."""
    for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    models = tmp_path / "torchvision" / "models"
    models.mkdir(parents=True)
    (models / "__init__.py").write_text("")
    (models / "video.py").write_text("there = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "torchvision" / "__init__.py"  # type: ignore[misc]
    for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
        del sys.modules[name]


def test_operators_that_do_not_load_are_declared(instead: Path) -> None:
    # PyTorch before 2.8 lets no operator be described again, as the second import would
    names = ("first_of_the_test", "second_of_the_test")[: 1 + (torch.__version__ >= (2, 8))]
    instead.write_text(
        "import torch\n"
        f"for name in {names}:\n"
        "    torch.library.register_fake(f'torchvision::{name}')(lambda a, b, c: a)\n"
    )
    assert kinetics.video_models().there
    assert all(hasattr(torch.ops.torchvision, name) for name in names)


def test_a_torchvision_that_cannot_be_imported_is_one_line(
    instead: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead.write_text("raise RuntimeError('built for\\nanother world')\n")
    with pytest.raises(WeightsError, match=r"cannot be imported .built for another world"):
        load_model("r3d_18")
    monkeypatch.setitem(sys.modules, "torchvision", None)  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match=r"not installed; run: pip install 'c3d-viz\[torchvis"):
        load_model("mc3_18")


def test_what_is_about_c3d_or_about_torchvision_alone() -> None:
    with pytest.raises(WeightsError, match=r"r3d_18: pool5 is about C3D$"):
        load_model("r3d_18", pool5="ceil")
    with pytest.raises(WeightsError, match=r"c3d: r3d_18, .* have weights by the name 'default'"):
        load_model("c3d", "default")
    with pytest.raises(WeightsError, match="s3d: this takes a C3D"):
        NetworkChoice("s3d").load_c3d()
