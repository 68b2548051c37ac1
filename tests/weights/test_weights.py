"""load_model: names, random weights, overrides, mean files, class names; inspect's report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_files import (
    DAVIDEA,
    MMACTION,
    blob,
    canonical,
    rename,
    write_caffe,
    write_tensorflow,
)

from c3d_viz.errors import WeightsError
from c3d_viz.nets.c3d import C3D
from c3d_viz.nets.layers import layer_module
from c3d_viz.nets.spec import CAFFE_INPUT, COMPACT_INPUT
from c3d_viz.weights import MODELS, format_report, inspect, load_model, read_mean, save_model


@pytest.fixture
def caffe_file(tmp_path: Path) -> Path:
    return write_caffe(tmp_path / "c3d.caffemodel", canonical())


def test_random_weights_are_seeded_and_say_so() -> None:
    first, spec = load_model("compact", "random", seed=7)
    before = torch.random.get_rng_state()
    again, _ = load_model("compact", "random", seed=7)
    other, _ = load_model("compact", "random", seed=8)
    assert torch.equal(torch.random.get_rng_state(), before)  # nobody else's numbers change
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert not torch.equal(first.conv1a.weight, other.conv1a.weight)
    assert (spec.weights, spec.trained) == ("random weights (seed 7), untrained", False)
    assert (spec.source, spec.sha256, spec.format) == (None, None, None)
    assert spec.input == COMPACT_INPUT


@pytest.mark.parametrize("name", ["compact", "compact-2d"])
def test_models_are_ready_to_look_inside(name: str) -> None:
    model, spec = load_model(name)
    assert not model.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in model.parameters())
    assert model.temporal_depths == MODELS[name].temporal_depths
    assert model(torch.zeros(1, 3, 16, 112, 112)).shape == (1, spec.num_classes)
    assert spec.name == name
    if spec.classes is not None:
        assert len(spec.classes) == spec.num_classes


def test_shipped_files_name_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("c3d_viz.weights.choice._FOLDER", tmp_path)
    assert not load_model("compact-2d")[1].trained  # nothing shipped: random, and says so
    model, spec = load_model("compact-2d", "random", num_classes=2)
    save_model(tmp_path / "compact-2d.safetensors", model, spec)
    _, shipped = load_model("compact-2d")
    assert shipped.trained
    assert shipped.weights == "compact-2d: trained on procedural clips, 2 classes"
    assert shipped.source == "compact-2d.safetensors, shipped with c3d_viz"
    assert not load_model("compact-2d", "random")[1].trained


def test_num_classes_of_random_and_of_files(caffe_file: Path) -> None:
    model, spec = load_model("compact-2d", "random", num_classes=4)
    assert model.fc8.out_features == spec.num_classes == 4
    assert load_model("c3d", caffe_file, num_classes=7)[1].num_classes == 7
    with pytest.raises(WeightsError, match="has 7 classes, not 101"):
        load_model("c3d", caffe_file, num_classes=101)
    with pytest.raises(WeightsError, match="must be 1 to 100000, got 0"):
        load_model("compact", "random", num_classes=0)


def test_a_foreign_file_is_c3d_whatever_the_name(caffe_file: Path) -> None:
    model, spec = load_model("compact", caffe_file)
    assert spec.name == "c3d"
    assert (model.width, model.fc, spec.input) == (2, 12, CAFFE_INPUT)
    assert spec.source == str(caffe_file)


def test_temporal_depths_come_from_the_file(tmp_path: Path) -> None:
    deep = C3D(3, width=1, temporal_depths=(3, 3, 5, 5, 7), fc=4).eval()
    path = tmp_path / "deep.pth"
    torch.save(deep.state_dict(), path)
    model, spec = load_model("compact", path)
    assert model.temporal_depths == (3, 3, 5, 5, 7)
    x = torch.randn(1, 3, 16, 112, 112)
    assert torch.equal(model(x), deep(x))
    assert (spec.format, spec.name) == ("c3d_viz", "compact")


def test_overrides(caffe_file: Path) -> None:
    model, spec = load_model(
        "c3d",
        caffe_file,
        channel_order="RGB",
        mean=(1, 2, 3),
        scale=0.25,
        resize=(120, 160),
        crop=(112, 112),
        pool5="padded",
        classes=list("abcdefg"),
    )
    wanted = spec.input
    assert (wanted.channel_order, wanted.mean, wanted.scale) == ("RGB", (1.0, 2.0, 3.0), 0.25)
    assert (wanted.resize, wanted.crop) == ((120, 160), (112, 112))
    assert spec.pool5 == model.pool5_form == "padded"
    assert layer_module(model, "pool5").padding == (0, 1, 1)
    assert spec.classes == tuple("abcdefg")
    assert load_model("c3d", caffe_file, resize=130)[1].input.resize == 130


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ({"channel_order": "GBR"}, "'RGB' or 'BGR'"),
        ({"mean": (1, 2)}, "three numbers 0-255"),
        ({"mean": (1, 2, 300)}, "three numbers 0-255"),
        ({"scale": 0}, "positive"),
        ({"scale": float("nan")}, "positive"),
        ({"resize": 100}, "112 to 4096"),
        ({"resize": (112, 99)}, "112 to 4096"),
        ({"resize": ()}, r"112 to 4096, got \(\)"),
        ({"resize": "128"}, "112 to 4096"),
        ({"resize": (128.5, 171)}, "112 to 4096"),
        ({"mean": (10**5000, 1, 2)}, "thousands of digits"),
        ({"mean": (None, 1, 2)}, "three numbers 0-255"),
        ({"scale": "big"}, "positive"),
        ({"crop": 5}, "got 5"),
        ({"crop": (100, 100)}, r"must be \(112, 112\)"),
        ({"pool5": "floor"}, "'ceil' or 'padded'"),
        ({"fc6_order": "cwh"}, "'chw' or 'hwc'"),
        ({"classes": ["a"]}, "1 class names, the weights have 60"),
        ({"mean": "/nowhere/mean.npy"}, "no such"),
    ],
)
def test_overrides_that_make_no_sense(override: dict[str, object], says: str) -> None:
    with pytest.raises(WeightsError, match=says):
        load_model("compact", "random", **override)  # type: ignore[arg-type]


def test_unknown_model() -> None:
    with pytest.raises(WeightsError, match="choose from compact, compact-2d, c3d"):
        load_model("resnet")


def test_class_names_from_a_file(tmp_path: Path, caffe_file: Path) -> None:
    names = tmp_path / "labels.txt"
    names.write_text("\ufeffjavelin throw\nb\nc\n\nd\ne\nf\ngö\n", encoding="utf-8")
    _, spec = load_model("c3d", caffe_file, classes=names)
    assert spec.classes == ("javelin throw", "b", "c", "d", "e", "f", "gö")
    names.write_text("a\nb\n")
    with pytest.raises(WeightsError, match="2 class names, the weights have 7"):
        load_model("c3d", caffe_file, classes=names)
    names.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(WeightsError, match="UTF-8"):
        load_model("c3d", caffe_file, classes=names)


def volume(height: int = 128, width: int = 171) -> np.ndarray:
    ramp = np.linspace(0, 255, 3 * 16 * height * width, dtype=np.float32)
    return ramp.reshape(3, 16, height, width)


@pytest.mark.parametrize("kind", ["npy", "npy float64", "binaryproto", "old binaryproto"])
def test_mean_volumes(tmp_path: Path, kind: str) -> None:
    path, array = tmp_path / "mean", volume(112, 113) if "old" in kind else volume()
    if "binaryproto" in kind:
        path.write_bytes(blob(array, packed="old" not in kind))
    else:
        with path.open("wb") as file:
            np.save(file, array.astype(np.float64 if "64" in kind else np.float32))
    got = read_mean(path)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, array)
    if "old" not in kind:
        _, spec = load_model("compact", "random", mean=path)
        np.testing.assert_array_equal(spec.input.mean_volume, array)
        assert spec.input.mean == pytest.approx(array.mean((1, 2, 3)), rel=1e-5)


def test_mean_volume_must_fit_the_resize(tmp_path: Path) -> None:
    path = tmp_path / "mean.npy"
    np.save(path, volume(128, 128))
    with pytest.raises(WeightsError, match=r"128 x 128 .* resized to \(128, 171\); pass resize"):
        load_model("compact", "random", mean=path)
    _, spec = load_model("compact", "random", mean=path, resize=(128, 128))
    assert spec.input.mean_volume is not None
    model, _ = load_model("compact", "random")
    with pytest.raises(WeightsError, match="not a mean volume"):
        save_model(tmp_path / "w", model, spec)


def test_mean_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "mean.npy"
    for array in (np.zeros((3, 112, 112)), volume()[:, :8], volume() * 2, volume() - 1):
        np.save(path, array)
        with pytest.raises(WeightsError, match="a mean volume"):
            read_mean(path)
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(WeightsError, match="floating point"):
        read_mean(path)
    path.write_bytes(blob(volume(), packed=True)[:-5])
    with pytest.raises(WeightsError, match="binaryproto"):
        read_mean(path)
    path.write_text("hello")
    with pytest.raises(WeightsError, match="binaryproto"):
        read_mean(path)


def test_means_of_the_release(shared_data: Path) -> None:
    ucf = read_mean(shared_data / "means" / "train01_16_128_171_mean.npy")
    assert ucf.shape == (3, 16, 128, 171)
    assert ucf.mean((1, 2, 3)) == pytest.approx((90.25, 97.66, 101.41), abs=0.01)
    i380k = read_mean(shared_data / "means" / "fb_train16_128_mean.binaryproto")
    assert i380k.shape == (3, 16, 128, 128)
    assert 90 < i380k.mean() < 130
    labels = shared_data / "means" / "sports1m_labels.txt"
    _, spec = load_model("compact", "random", num_classes=487, classes=labels)
    assert spec.classes is not None
    assert (spec.classes[0], len(spec.classes)) == ("boomerang", 487)


def test_report(tmp_path: Path) -> None:
    weights = canonical()
    path = tmp_path / "c3d.pickle"
    torch.save({f"module.{k}": v.half() for k, v in rename(weights, DAVIDEA).items()}, path)
    report = inspect(path)
    assert (report.format, report.container) == ("davidea", "torch zip")
    assert (report.width, report.fc, report.temporal_depths) == (2, 12, (3, 3, 3, 3, 3))
    assert report.parameters == sum(t.numel() for t in weights.values())
    assert report.size == path.stat().st_size
    assert report.sha256 == load_model("c3d", path)[1].sha256 == report.spec.sha256
    assert report.problems == ()
    first = report.layers[0]
    assert (first.name, first.source) == ("conv1a.weight", "module.conv1.weight")
    assert (first.shape, first.dtype) == ((2, 3, 3, 3, 3), "float16")
    text = format_report(report)
    assert "DavideA PyTorch port (davidea)" in text
    assert "classes    7\n" in text
    assert "pool5      padded" in text
    assert "BGR, (value - [90.25, 97.66, 101.41]) x 1" in text
    assert "pool5='ceil' gives the logits of the release" in text
    assert "conv1a.weight module.conv1.weight 2 x 3 x 3 x 3 x 3 float16" in " ".join(text.split())
    assert text.endswith("loads: yes")


def test_report_names_what_was_ignored_and_guessed(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"state_dict": rename(canonical(), MMACTION), "meta": {}, "optimizer": {}}, path)
    notes = " ".join(inspect(path).notes)
    assert "under the key 'state_dict'" in notes
    assert "ignored: meta, optimizer" in notes
    assert "none, the file has no classifier" in format_report(inspect(path))
    npz = write_tensorflow(tmp_path / "w.npz", canonical())
    assert "taken as hwc" in format_report(inspect(npz))


def test_report_lists_problems(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    state = rename(canonical(), DAVIDEA)
    del state["fc7.weight"]
    torch.save(state, path)
    text = format_report(inspect(path))
    assert text.endswith("problem: missing: fc7.weight")
    with pytest.raises(WeightsError, match="is a folder"):
        inspect(tmp_path)
