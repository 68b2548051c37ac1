"""Every checkpoint format gives the network its source computes: conv5b and logits.

Files are built from the sources' key tables (checkpoint_files) and compared with forwards written
in the sources' own layouts (checkpoint_forwards).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from checkpoint_files import (
    CONVS,
    DAVIDEA,
    JFZHANG,
    MMACTION,
    MMACTION_RECOGNIZER,
    TENSORFLOW,
    Weights,
    canonical,
    rename,
    write_caffe,
    write_keras,
    write_tensorflow,
)
from checkpoint_forwards import Result, caffe, channels_last, pytorch_port
from torch import Tensor

from c3d_viz.engine.tracing import trace
from c3d_viz.nets.c3d import C3D, initialise
from c3d_viz.nets.spec import ModelSpec
from c3d_viz.weights import load_model, save_model

LAYERS = [f"conv{n}" for n in CONVS] + ["fc6", "fc7", "fc8"]


@pytest.fixture(scope="module")
def clip() -> Tensor:
    return torch.randn(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(5)) * 2


def ours(model: C3D, x: Tensor) -> Result:
    with torch.no_grad():
        h = x
        for name, module in model.named_children():
            h = module(h)
            if name == "relu5b":
                conv5b = h
    return conv5b, h


def assert_same(got: Result, expected: Result) -> None:
    conv5b, logits = expected
    assert float((conv5b > 0).double().mean()) > 0.05  # the comparison is not about zeros
    assert float(logits.std()) > 0.01
    torch.testing.assert_close(got[0].double(), conv5b.double(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(got[1].double(), logits.double(), rtol=1e-4, atol=1e-4)


def port(weights: Weights, x: Tensor) -> Result:
    return pytorch_port(lambda n: weights[f"{n}.weight"], lambda n: weights[f"{n}.bias"], x)


def assert_spec(spec: ModelSpec, *, form: str, order: str, mean: tuple, resize: object) -> None:
    assert spec.format == form
    assert spec.input.channel_order == order
    assert spec.input.mean == mean
    assert spec.input.resize == resize
    assert spec.input.crop == (112, 112)
    assert spec.input.scale == 1.0
    assert spec.trained
    assert spec.name == "c3d"
    assert len(spec.sha256 or "") == 64


RELEASE_MEAN = (90.25, 97.66, 101.41)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("suffix", "form"), [("-1", "caffe"), ("", "caffe-finetuned")])
def test_caffe(
    tmp_path: Path, weights: Weights, clip: Tensor, packed: bool, suffix: str, form: str
) -> None:
    path = write_caffe(tmp_path / "model", weights, suffix=suffix, packed=packed)
    model, spec = load_model("c3d", path)
    blobs = {n: (weights[f"{n}.weight"].numpy(), weights[f"{n}.bias"].numpy()) for n in LAYERS}
    assert_same(ours(model, clip), caffe(blobs, clip))
    assert_spec(spec, form=form, order="BGR", mean=RELEASE_MEAN, resize=(128, 171))
    assert (spec.pool5, spec.num_classes) == ("ceil", 7)
    assert spec.weights == "model: " + (
        "Caffe C3D v1.0, 7 classes" if suffix else "Caffe C3D v1.0, fine-tuned, 7 classes"
    )


TORCH_FORMS = {
    "davidea": (DAVIDEA, None, "BGR", RELEASE_MEAN, (128, 171)),
    "jfzhang95": (JFZHANG, None, "BGR", (90.0, 98.0, 102.0), (128, 171)),
    "jfzhang95-finetuned": (DAVIDEA, "state_dict", "BGR", (90.0, 98.0, 102.0), (128, 171)),
    "mmaction2-recognizer": (MMACTION_RECOGNIZER, "state_dict", "RGB", (104.0, 117.0, 128.0), 128),
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("form", TORCH_FORMS)
def test_pytorch_ports(
    tmp_path: Path, weights: Weights, clip: Tensor, form: str, legacy: bool
) -> None:
    table, wrap, order, mean, resize = TORCH_FORMS[form]
    stored: object = rename(weights, table)
    if wrap:
        optimiser = torch.optim.SGD([torch.zeros(3, requires_grad=True)], lr=0.1)
        stored = {"epoch": 9, wrap: stored, "opt_dict": optimiser.state_dict()}
    path = tmp_path / "weights.bin"
    torch.save(stored, path, _use_new_zipfile_serialization=not legacy)
    model, spec = load_model("c3d", path)
    assert_same(ours(model, clip), port(weights, clip))
    assert_spec(spec, form=form, order=order, mean=mean, resize=resize)
    assert (spec.pool5, spec.num_classes) == ("padded", 7)


def test_mmaction_backbone_has_no_classifier(
    tmp_path: Path, weights: Weights, clip: Tensor
) -> None:
    path = tmp_path / "backbone.pth"
    torch.save(rename(weights, MMACTION), path)
    model, spec = load_model("c3d", path)
    assert_spec(spec, form="mmaction2", order="RGB", mean=(104.0, 117.0, 128.0), resize=128)
    assert spec.num_classes == model.num_classes == 0
    assert spec.weights == "backbone.pth: MMAction2 backbone, no classes"
    got, empty = ours(model, clip)
    assert empty.shape == (1, 0)
    torch.testing.assert_close(got, port(weights, clip)[0], rtol=1e-4, atol=1e-4)

    headed, spec = load_model("c3d", path, num_classes=5, seed=3)
    assert headed(clip).shape == (1, 5)
    assert spec.num_classes == 5
    assert spec.weights.endswith("random fc8 (seed 3)")
    again, _ = load_model("c3d", path, num_classes=5, seed=3)
    assert torch.equal(headed.fc8.weight, again.fc8.weight)


@pytest.mark.parametrize("prefix", ["module.", ""])
@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict"])
def test_dataparallel_half_and_wrappers(
    tmp_path: Path, weights: Weights, clip: Tensor, prefix: str, wrapper: str
) -> None:
    half = {f"{prefix}{k}": v.half() for k, v in rename(weights, DAVIDEA).items()}
    path = tmp_path / "w.pth"
    torch.save({wrapper: half, "best_acc": 0.5}, path)
    model, _ = load_model("c3d", path)
    assert all(p.dtype == torch.float32 for p in model.parameters())
    rounded = {k: v.half().float() for k, v in weights.items()}
    assert_same(ours(model, clip), port(rounded, clip))


def test_checkpoints_of_old_torch_saved_on_a_gpu(
    tmp_path: Path, weights: Weights, clip: Tensor
) -> None:
    path = tmp_path / "C3D-ucf101_epoch-99.pth.tar"
    stored = {"epoch": 99, "state_dict": rename(weights, DAVIDEA)}
    torch.save(stored, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    assert data.count(b"ctorch\nFloatStorage\n") == 1
    data = data.replace(b"ctorch\nFloatStorage\n", b"ctorch.cuda\nFloatStorage\n")
    device, gpu = b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"
    assert data.count(device) == 1
    path.write_bytes(data.replace(device, gpu))
    model, spec = load_model("c3d", path)
    assert spec.format == "jfzhang95-finetuned"
    assert_same(ours(model, clip), port(weights, clip))


@pytest.mark.parametrize("names", ["bytes", "text", "none"])
@pytest.mark.parametrize("keras1", [False, True])
def test_keras(tmp_path: Path, weights: Weights, clip: Tensor, names: str, keras1: bool) -> None:
    path = write_keras(tmp_path / "w.h5", weights, names=names, keras1=keras1, full=keras1)
    model, spec = load_model("c3d", path)
    with h5py.File(path) as file:  # the oracle runs on the arrays that are in the file
        root = file["model_weights"] if keras1 else file
        inner = {n: root[t] if keras1 else root[t][t] for n, t in DAVIDEA.items()}
        name = (lambda t, k: f"{t}_{k[0].upper() if k == 'W' else 'b'}") if keras1 else None
        kernels = {
            n: g[name(DAVIDEA[n], "W") if name else "kernel:0"][()] for n, g in inner.items()
        }
        biases = {n: g[name(DAVIDEA[n], "b") if name else "bias:0"][()] for n, g in inner.items()}
    assert kernels["conv2a"].shape == (3, 3, 3, 2, 4)
    assert_same(ours(model, clip), channels_last(kernels, biases, clip, transpose=False))
    assert_spec(spec, form="keras", order="BGR", mean=RELEASE_MEAN, resize=(128, 171))
    assert (spec.pool5, spec.num_classes) == ("ceil", 7)


@pytest.mark.parametrize(
    ("classes", "given", "hwc"),
    [(7, None, True), (101, None, False), (7, "chw", False), (101, "hwc", True)],
)
def test_tensorflow(
    tmp_path: Path, clip: Tensor, classes: int, given: str | None, hwc: bool
) -> None:
    weights = canonical(classes=classes, seed=1)
    path = write_tensorflow(tmp_path / "w.npz", weights, hwc=hwc)
    model, spec = load_model("c3d", path, fc6_order=given)  # type: ignore[arg-type]
    with np.load(path) as file:
        kernels = {n: file[f"var_name/w{t}"] for n, t in TENSORFLOW.items()}
        biases = {n: file[f"var_name/b{t}"] for n, t in TENSORFLOW.items()}
    assert_same(ours(model, clip), channels_last(kernels, biases, clip, transpose=not hwc))
    assert_spec(spec, form="tensorflow", order="RGB", mean=RELEASE_MEAN, resize=112)
    assert (spec.pool5, spec.num_classes) == ("ceil", classes)


def test_own_format_carries_everything(tmp_path: Path, clip: Tensor) -> None:
    model = C3D(3, width=2, temporal_depths=(1, 3, 5, 3, 1), fc=8, pool5="padded")
    initialise(model, 4)
    model.eval()
    _, spec = load_model("compact", "random", num_classes=3, scale=0.5, resize=112)
    spec = replace(spec, name="compact-2d", classes=("a", "b", "c"))
    path = save_model(tmp_path / "own", model, spec, half=False, description="three classes")
    again, got = load_model("compact", path)
    assert torch.equal(again(clip), model(clip))
    assert again.temporal_depths == (1, 3, 5, 3, 1)
    assert got.input == spec.input
    assert (got.name, got.classes, got.pool5) == ("compact-2d", ("a", "b", "c"), "padded")
    assert got.weights == "three classes"
    assert list(tmp_path.iterdir()) == [path]  # the temporary file is gone


def test_pool5_forms_differ_and_can_be_overridden(
    tmp_path: Path, weights: Weights, clip: Tensor
) -> None:
    path = write_caffe(tmp_path / "model", weights)
    ceil, _ = load_model("c3d", path)
    padded, spec = load_model("c3d", path, pool5="padded")
    assert spec.pool5 == "padded"
    assert_same(ours(padded, clip), port(weights, clip))
    assert float((ours(ceil, clip)[1] - ours(padded, clip)[1]).abs().max()) > 0.01


def test_all_layers_can_be_traced(tmp_path: Path, weights: Weights, clip: Tensor) -> None:
    model, _ = load_model("c3d", write_caffe(tmp_path / "model", weights))
    result = trace(model, clip, ("conv3b", "conv5b"))
    torch.testing.assert_close(result.activations["conv5b"], ours(model, clip)[0][0])


@pytest.mark.slow
def test_full_size_caffe(tmp_path: Path, clip: Tensor) -> None:
    full = canonical(width=64, fc=4096, classes=487)
    assert sum(t.numel() for t in full.values()) == 79_991_015
    path = write_caffe(tmp_path / "conv3d_deepnetA_sport1m_iter_1900000", full)
    model, spec = load_model("c3d", path)
    assert spec.num_classes == 487
    blobs = {n: (full[f"{n}.weight"].numpy(), full[f"{n}.bias"].numpy()) for n in LAYERS}
    assert_same(ours(model, clip), caffe(blobs, clip))
