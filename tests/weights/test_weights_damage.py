"""Damaged and wrong files: one clear line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_files import (
    DAVIDEA,
    MMACTION,
    Weights,
    rename,
    write_caffe,
    write_keras,
    write_tensorflow,
    zip_with,
)
from refusals import refused
from safetensors.torch import save_file

from c3d_viz.errors import WeightsError
from c3d_viz.weights import inspect, load_model


@pytest.mark.parametrize("kind", ["torch", "legacy", "caffe", "keras", "npz", "safetensors"])
def test_every_truncation_is_one_line(tmp_path: Path, weights: Weights, kind: str) -> None:
    path = tmp_path / "w"
    if kind in ("torch", "legacy"):
        zipped = kind == "torch"
        torch.save(rename(weights, DAVIDEA), path, _use_new_zipfile_serialization=zipped)
    elif kind == "caffe":
        write_caffe(path, weights)
    elif kind == "keras":
        write_keras(path, weights)
    elif kind == "npz":
        path = write_tensorflow(tmp_path / "w.npz", weights)
    else:
        save_file(weights, path)
    data = path.read_bytes()
    load_model("c3d", path)
    generator = np.random.default_rng(0)
    for cut in {1, 2, 7, 8, 9, 60, *generator.integers(10, len(data) - 2, 12).tolist()}:
        path.write_bytes(data[:cut])
        refused(path)


@pytest.mark.parametrize("kind", ["torch", "legacy", "caffe", "keras", "npz", "safetensors"])
def test_flipped_bytes_never_crash(tmp_path: Path, weights: Weights, kind: str) -> None:
    """Damage anywhere loads or is a WeightsError, nothing else."""
    path = tmp_path / "w.npz"
    if kind in ("torch", "legacy"):
        zipped = kind == "torch"
        torch.save(rename(weights, DAVIDEA), path, _use_new_zipfile_serialization=zipped)
    else:
        write = {"caffe": write_caffe, "keras": write_keras, "npz": write_tensorflow}
        write[kind](path, weights) if kind in write else save_file(weights, path)
    data = path.read_bytes()
    generator = np.random.default_rng(1)
    outcomes = {"loads": 0, "refused": 0}
    for trial in range(60):
        broken = bytearray(data)
        span = 400 if trial % 2 else len(data)  # half of the damage goes into the headers
        for position in generator.integers(0, min(span, len(data)), 3):
            broken[position] = int(generator.integers(256))
        path.write_bytes(broken)
        try:
            load_model("c3d", path)
            outcomes["loads"] += 1
        except WeightsError:
            outcomes["refused"] += 1
    assert outcomes["refused"] >= 3


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    refused(tmp_path / "nothing.pth", "no such weights file")
    refused(tmp_path, "is a folder")
    empty = tmp_path / "empty.pth"
    empty.touch()
    refused(empty, "is empty")
    text = tmp_path / "notes.pth"
    text.write_text("hello, these are not weights\n" * 10)
    refused(text, "not a known kind")
    text.write_text("\n\nblank lines look like protobuf\n")
    refused(text)
    zip_with(text, {"readme.txt": b"hello"})
    refused(text, "neither torch nor numpy")
    torch.save([1, 2, 3], text)
    refused(text, "holds a list")
    torch.save({"epoch": 3}, text)
    refused(text, "holds no weights")
    refused(Path("/dev/null"), "not a regular file")
    with pytest.raises(WeightsError, match="no such weights file"):
        load_model("c3d", "a\0b")


def test_size_cap_is_checked_before_reading(tmp_path: Path, weights: Weights) -> None:
    path = tmp_path / "sparse.pth"
    with path.open("wb") as file:
        file.truncate(3 * 1024**3)  # sparse: takes no space, and is never read
    refused(path, "3.2 GB is above the limit of 2.1 GB", "max_bytes")
    small = write_caffe(tmp_path / "m", weights)
    refused(small, "above the limit of 1 kB", max_bytes=1000)


def test_missing_unexpected_and_misshapen_are_listed(tmp_path: Path, weights: Weights) -> None:
    path = tmp_path / "w.pth"
    state = rename(weights, DAVIDEA)
    state["conv9.weight"] = torch.zeros(3)
    del state["conv3b.bias"]
    state["conv2.weight"] = torch.zeros(4, 2, 3, 3, 1)
    torch.save(state, path)
    refused(
        path,
        "missing: conv3b.bias",
        "unexpected: conv9.weight",
        "conv2.weight is (4, 2, 3, 3, 1), expected (4, 2, 3, 3, 3)",
    )
    report = inspect(path)
    assert len(report.problems) == 3
    assert report.format == "davidea"

    torch.save({"conv1.weight": state["conv1.weight"]} | dict.fromkeys("abc", torch.ones(1)), path)
    refused(path, "fit no known C3D checkpoint", "davidea")
    some = {k: v for k, v in rename(weights, DAVIDEA).items() if k[:4] == "conv"}
    torch.save(some | {f"x{i}": torch.ones(1) for i in range(50)}, path)
    refused(path, "missing: fc6.weight, fc6.bias", "x0, x1, x2, x3, x4, x5 and 44 more")


def test_wrong_numbers(tmp_path: Path, weights: Weights) -> None:
    path = tmp_path / "w.pth"
    state = rename(weights, MMACTION)
    state["fc7.bias"] = torch.full((12,), float("nan"))
    torch.save(state, path)
    refused(path, "NaN or infinite numbers in: fc7.bias")
    state["fc7.bias"] = torch.zeros(12, dtype=torch.int64)
    torch.save(state, path)
    refused(path, "fc7.bias torch.int64")
    state["fc7.bias"] = torch.zeros(12).to_sparse()
    torch.save(state, path)
    refused(path)


@pytest.mark.parametrize("number", [float("inf"), -float("inf"), float("nan")])
def test_one_number_that_is_not_finite_is_enough(
    tmp_path: Path, weights: Weights, number: float
) -> None:
    state = rename(weights, MMACTION)
    name = next(key for key in state if key.endswith("weight"))
    state[name] = state[name].clone()
    state[name].view(-1)[7] = number
    torch.save(state, tmp_path / "w.pth")
    refused(tmp_path / "w.pth", f"NaN or infinite numbers in: {name}")


def test_h5py_missing_names_the_extra(
    tmp_path: Path, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_keras(tmp_path / "w.h5", weights)
    monkeypatch.setitem(sys.modules, "h5py", None)
    refused(path, "pip install 'c3d-viz[keras]'")


def test_nothing_heavy_is_imported_for_the_rest() -> None:
    code = "import sys, c3d_viz.weights; print([m for m in ('h5py', 'captum') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
