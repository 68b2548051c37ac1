"""Checkpoints as people have them: with all that training scripts keep beside the weights."""

from __future__ import annotations

import argparse
import collections
import enum
import functools
import pathlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_files import DAVIDEA, JFZHANG, Weights, rename, zip_with
from refusals import refused
from torch import Tensor

from c3d_viz.weights import inspect, load_model, read_state

FRAMEWORK = "some_framework"


class Colour(enum.Enum):
    RED = 1


@pytest.fixture
def framework() -> Iterator[types.ModuleType]:
    """A framework that is installed where the file was written, and not where it is read."""
    module = types.ModuleType(FRAMEWORK)
    for name, base in (("History", object), ("Config", dict), ("Net", torch.nn.Module)):
        made = type(name, (base,), {"__module__": FRAMEWORK})
        setattr(module, name, made)
    sys.modules[FRAMEWORK] = module
    yield module
    sys.modules.pop(FRAMEWORK, None)


def assert_weights(path: Path, weights: Weights) -> None:
    model, _ = load_model("c3d", path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_objects_beside_the_weights_are_not_built(
    tmp_path: Path, weights: Weights, framework: types.ModuleType, protocol: int, legacy: bool
) -> None:
    history = framework.History()
    history.losses = np.arange(5.0)
    config = framework.Config(lr=0.1, nested=framework.Config(a=[1, 2]))
    beside = {
        "best": np.float64(0.5),
        "array": np.arange(3),
        "args": argparse.Namespace(lr=0.1, out=pathlib.PurePosixPath("runs")),
        "log": collections.defaultdict(list, {"loss": [1.0, 0.5]}),
        "counts": collections.Counter("abca"),
        "history": history,
        "config": config,
        "norm": functools.partial(torch.nn.LayerNorm, eps=1e-6),
        "kind": Colour.RED,
        "names": {"a", "b"},
        "frozen": frozenset((1, 2)),
        "bytes": b"\x00\xff",
        "array of bytes": bytearray(b"12"),
        "number": 1 << 100,
        "complex": 1j,
        "a tensor": torch.tensor(0.5),
        3: "a key that is no text",
        (1, 2): "and another",
    }
    path = tmp_path / "w.pth"
    torch.save(
        {**beside, "state_dict": rename(weights, JFZHANG)},
        path,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=not legacy,
    )
    del sys.modules[FRAMEWORK]
    assert_weights(path, weights)
    assert FRAMEWORK not in sys.modules
    report = inspect(path)
    assert "weights are under the key 'state_dict' of a training checkpoint" in report.notes
    assert any(note.startswith("not weights, ignored: best, array, args") for note in report.notes)


def test_objects_inside_the_state_dict_are_ignored(tmp_path: Path, weights: Weights) -> None:
    state = collections.OrderedDict(rename(weights, DAVIDEA))
    state["hyper"] = argparse.Namespace(a=1)
    torch.save(state, tmp_path / "w.pth")
    assert_weights(tmp_path / "w.pth", weights)
    assert read_state(tmp_path / "w.pth").ignored == ("hyper",)


@pytest.mark.parametrize(
    "prefix",
    ["net.", "model.", "_orig_mod.", "module.module.", "model._orig_mod.", "module.model.net."],
)
def test_prefixes(tmp_path: Path, weights: Weights, prefix: str) -> None:
    state = {f"{prefix}{name}": tensor for name, tensor in rename(weights, JFZHANG).items()}
    torch.save({"state_dict": state}, tmp_path / "w.pth")
    assert_weights(tmp_path / "w.pth", weights)


def test_wrappers(tmp_path: Path, weights: Weights, framework: types.ModuleType) -> None:
    path, state = tmp_path / "w.pth", rename(weights, JFZHANG)
    optimiser = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}
    for stored, key in (
        ({"epoch": 3, "generator": state}, "generator"),
        ({"model": {"state_dict": state}, "optimizer": optimiser}, "model"),
        ({"state_dict": framework.Config(state)}, "state_dict"),
        ({"ema": {"x": torch.zeros(1)}, "model": state}, "model"),
        (framework.Config(state), None),
    ):
        torch.save(stored, path)
        assert read_state(path).wrapped == key
        assert_weights(path, weights)


def test_what_cannot_be_taken_out_says_how(
    tmp_path: Path, weights: Weights, framework: types.ModuleType
) -> None:
    path, state = tmp_path / "w.pth", rename(weights, JFZHANG)
    torch.save({"student": state, "teacher": state | {"x": torch.zeros(1)}}, path)
    refused(path, "holds 2 state_dicts (student, teacher)", "torch.save(checkpoint['student'], ")
    torch.save(framework.Net(), path)
    refused(path, "holds a some_framework.Net, not a state_dict", "save model.state_dict()")
    torch.save({"model": framework.Net(), "epoch": 3}, path)
    refused(path, "holds no weights (model: some_framework.Net, epoch: int)", "state_dict()")
    torch.save({"conv1.weight": np.zeros(3)}, path)
    refused(path, "holds no weights (conv1.weight: numpy", "_reconstruct)")
    torch.save({"conv1.weight": torch.zeros(3).to_sparse()}, path)
    refused(path, "holds no weights")
    torch.save(state | {"features.0.bias": torch.zeros(3).to_sparse()}, path)
    refused(path, "features.0.bias is a sparse, quantised or 8-bit tensor")
    torch.save(state | {"features.0.bias": torch.zeros(3).to(torch.float8_e4m3fn)}, path)
    refused(path, "features.0.bias is a sparse, quantised or 8-bit tensor")


def numbers(generator: torch.Generator) -> dict[str, Tensor]:
    base = torch.randn(6, 5, generator=generator)
    plain = {
        str(dtype): (base * 10).to(dtype)
        for dtype in (torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.int64)
    }
    plain |= {"u8": base.abs().to(torch.uint8), "bool": base > 0, "scalar": torch.tensor(2.5)}
    views = {"whole": base, "rows": base[2:4], "columns": base[:, 1:3], "turned": base.t()}
    empty = {"empty": torch.zeros(0, 3), "expanded": torch.ones(1, 2).expand(2, 2)}
    return {**plain, **views, **empty, "parameter": torch.nn.Parameter(base[1])}


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_are_those_of_torch_load(tmp_path: Path, legacy: bool) -> None:
    path = tmp_path / "w.pth"
    torch.save(
        numbers(torch.Generator().manual_seed(0)), path, _use_new_zipfile_serialization=not legacy
    )
    wanted = torch.load(path, weights_only=True)
    read = read_state(path)
    assert read.tensors.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert read.tensors[name].dtype == tensor.dtype
        assert torch.equal(read.tensors[name], tensor), name


def test_big_endian_numbers(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "w.pth"
    tensors = {"a": torch.randn(7), "b": torch.arange(5)}
    torch.save(tensors, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["w/byteorder"] = b"big"
    for key, width in (("w/data/0", 4), ("w/data/1", 8)):
        members[key] = (
            np.frombuffer(members[key], f"V{width}").view(f"u{width}").byteswap().tobytes()
        )
    read = read_state(zip_with(path, members))
    assert all(torch.equal(read.tensors[name], tensor) for name, tensor in tensors.items())
