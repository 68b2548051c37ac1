"""Hostile, damaged and wrong files: one clear line, nothing run, nothing large allocated."""

from __future__ import annotations

import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from checkpoint_files import (
    DAVIDEA,
    MMACTION,
    Weights,
    blob,
    canonical,
    field,
    rename,
    varint,
    write_caffe,
    write_keras,
    write_tensorflow,
    zip_with,
)
from safetensors.torch import save_file

from c3d_viz.errors import WeightsError
from c3d_viz.weights import inspect, load_model


@pytest.fixture(scope="module")
def weights() -> Weights:
    return canonical()


def refused(path: Path, *says: str, **options: object) -> str:
    """load_model refuses the file with one line that names it and says so."""
    with pytest.raises(WeightsError) as caught:
        load_model("c3d", path, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert len(message) < 1000
    for part in says:
        assert part in message
    return message


class Evil:
    """Unpickling this writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.target), "w"))


def test_the_hostile_pickle_is_hostile(tmp_path: Path) -> None:
    target = tmp_path / "written"
    pickle.loads(pickle.dumps(Evil(target))).close()
    assert target.exists()


@pytest.mark.parametrize("how", ["torch zip", "torch legacy", "pickle", "pickle 4", "in a tensor"])
def test_hostile_pickle_runs_nothing(tmp_path: Path, weights: Weights, how: str) -> None:
    target, path = tmp_path / "written", tmp_path / "c3d.pickle"
    state = rename(weights, DAVIDEA) | {"evil": Evil(target)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(Evil(target), protocol=2))
    elif how == "pickle 4":
        path.write_bytes(pickle.dumps({"state_dict": Evil(target)}, protocol=4))
    elif how == "in a tensor":
        tensor = torch.zeros(2)
        tensor.payload = Evil(target)  # type: ignore[attr-defined]
        torch.save({"conv1.weight": tensor}, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=how == "torch zip")
    refused(path, "refused, its pickle would", "state_dict")
    with pytest.raises(WeightsError, match="refused"):
        inspect(path)
    assert not target.exists()


def test_a_hostile_pickle_behind_valid_ones_is_refused(tmp_path: Path) -> None:
    target, path = tmp_path / "written", tmp_path / "w.pth"
    data = io.BytesIO()
    torch.save({}, data, _use_new_zipfile_serialization=False)
    start = data.getvalue()
    second = start.index(b".") + 1  # after the magic number
    path.write_bytes(start[:second] + pickle.dumps(Evil(target), protocol=2))
    refused(path, "refused")
    assert not target.exists()


def test_pickled_model_and_torchscript_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(torch.nn.Linear(2, 2), path)
    refused(path, "torch.nn.modules.linear.Linear", "model.state_dict()")
    zip_with(path, {"m/data.pkl": b"\x80\x02}q\x00.", "m/constants.pkl": b"\x80\x02)."})
    refused(path, "TorchScript")


def test_memory_bombs_in_a_pickle_are_refused(tmp_path: Path) -> None:
    # bytearray(10**12), which torch's own weights_only reader would allocate
    bomb = b"\x80\x02cbuiltins\nbytearray\n\x8a\x06\x00\x10\xa5\xd4\xe8\x00\x85R."
    (tmp_path / "w.pth").write_bytes(bomb)
    refused(tmp_path / "w.pth", "builtins.bytearray")
    wide = torch.zeros(1).expand(1000, 1000, 1000)
    torch.save({"conv1.weight": wide}, tmp_path / "w.pth")
    refused(tmp_path / "w.pth", "conv1.weight", "above the limit")
    torch.save({"conv1.weight": torch.zeros(1).expand(1000, 1000)}, tmp_path / "w.pth")
    refused(tmp_path / "w.pth", "declares 4 MB but stores 4 bytes")


def test_storage_shorter_than_its_tensor_reads_nothing_outside_the_file(tmp_path: Path) -> None:
    # without mmap torch trusts the pickle here and reads memory that is not the file's
    good, bad = tmp_path / "good.pth", tmp_path / "bad.pth"
    torch.save({"conv1.weight": torch.ones(1000)}, good)
    with zipfile.ZipFile(good) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    record = next(name for name in members if name.endswith("data/0"))
    members[record] = members[record][:4]
    zip_with(bad, members)
    refused(bad)


def test_zip_bombs(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    zeros = bytes(80 * 1024**2)
    zip_with(path, {"var_name/wc1.npy": zeros}, zipfile.ZIP_DEFLATED)
    refused(path, "zip bomb", "84 MB")
    zip_with(path, {"a/data.pkl": zeros}, zipfile.ZIP_DEFLATED)
    refused(path, "zip bomb")
    zip_with(path, {"a/data.pkl": b"\x80\x02}."}, zipfile.ZIP_DEFLATED)
    refused(path, "not compressed")
    # a directory that lies about what is inside: 3 GB in one member
    data = bytearray(zip_with(path, {"wc1.npy": b"x" * 100}).read_bytes())
    where = data.index(b"PK\x01\x02") + 24
    data[where : where + 4] = struct.pack("<I", 3 * 10**9)
    path.write_bytes(data)
    refused(path, "would unpack to 3.0 GB", "2.1 GB", "max_bytes")


def test_overlapping_zip_members(tmp_path: Path) -> None:
    path = tmp_path / "quine.npz"
    data = zip_with(path, {"a.npy": bytes(5000)}).read_bytes()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entries = data[start:end] * 20
    tail = bytearray(data[end:])
    tail[8:10] = tail[10:12] = struct.pack("<H", 20)
    tail[12:16] = struct.pack("<I", len(entries))
    path.write_bytes(data[:start] + entries + tail)
    refused(path, "overlap")


def test_npz_with_objects_or_forged_headers(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, wc1=np.array([Evil(tmp_path / "written")], dtype=object))
    refused(path, "type object")
    assert not (tmp_path / "written").exists()
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"shape": (10**6, 10**6), "fortran_order": False, "descr": "<f4"}
    )
    zip_with(path, {"wc1.npy": buffer.getvalue() + bytes(64)})
    refused(path, "declares 4000.0 GB", "forged")
    np.savez(path, wc1=np.zeros(3, np.int64))
    refused(path, "int64", "floating point")
    zip_with(path, {"wc1.npy": b"\x93NUMPY\x01\x00\x10\x00{'shape': ((((((("})
    refused(path, "damaged")


def test_h5_with_huge_datasets_and_links(tmp_path: Path, weights: Weights) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("conv1/kernel:0", (10**5, 10**5), "f4", chunks=(100, 100))
    refused(path, "declares 40.0 GB", "above the limit")
    with h5py.File(path, "w") as file:
        file.create_dataset("conv1/kernel:0", (10**4, 10**4), "f4", chunks=(100, 100))
    refused(path, "declares 400 MB", "only 0 bytes are stored")
    other = write_keras(tmp_path / "other.h5", weights)
    with h5py.File(path, "w") as file:
        file.create_group("conv1")
        file["conv1/kernel:0"] = h5py.ExternalLink(str(other), "conv1/conv1/kernel:0")
    refused(path, "link to another place or file")
    with h5py.File(path, "w") as file:
        file.create_group("conv1")
        file.create_dataset("conv1/k", (3,), "f4", external=[(str(other), 0, 12)])
    refused(path, "another file")
    with h5py.File(path, "w") as file:
        group = file.create_group("a")
        group["again"] = group  # a group inside itself
    refused(path, "nested too deeply")


def test_safetensors_with_bad_headers(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"

    def write(header: bytes, data: bytes = b"", length: int | None = None) -> None:
        size = struct.pack("<Q", len(header) if length is None else length)
        path.write_bytes(size + header + data)

    write(b"{not json" + bytes(50))
    refused(path, "damaged or cut safetensors")
    entry = {"conv1a.weight": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4]}}
    write(json.dumps(entry).encode(), bytes(4))
    refused(path, "damaged or cut safetensors")
    write(b"{}", length=10**15)
    refused(path, "not a known kind")
    write(b"{}")
    refused(path, "holds no weights")


def test_own_metadata_that_makes_no_sense(tmp_path: Path, weights: Weights) -> None:
    path = tmp_path / "w.safetensors"
    for metadata, says in (
        ({"classes": "[1, 2]"}, "list of names"),
        ({"classes": '["a"]'}, "metadata name 1 classes, fc8 has 7"),
        ({"classes": "[" * 5000}, "not JSON"),
        ({"pool5": '"odd"'}, "'ceil' or 'padded'"),
        ({"input": "[]"}, "JSON object"),
        ({"input": '{"mean": [1, 2]}'}, "cannot be used"),
        ({"input": '{"channel_order": "GBR"}'}, "cannot be used"),
    ):
        save_file(weights, path, metadata=metadata)
        refused(path, says)
    save_file(weights, path)
    assert load_model("compact", path)[1].num_classes == 7


def test_protobuf_with_lying_lengths(tmp_path: Path, weights: Weights) -> None:
    path = write_caffe(tmp_path / "m.caffemodel", weights)
    good = path.read_bytes()
    for data, says in (
        (b"\x12\xff\xff\xff\xff\x0f" + bytes(20), "4.3 GB"),
        (b"\x12" + b"\xff" * 20, "number without end"),
        (good[: len(good) // 2], "bytes"),
        (b"\x0a\x03abc", "holds no weights"),
        (field(100, b""), "newer `layer` form"),
        (field(2, field(4, b"x") + field(6, field(6, bytes(7)))), "float array is cut"),
        (field(2, field(4, b"x") + field(6, field(6, bytes(8)))), "shape (0, 0, 0, 0, 0)"),
        (field(2, field(4, b"x") + field(6, b"\x35\x00")), "a float is cut"),
        (field(2, field(6, b"\x08" + varint(2**63) + field(6, bytes(4)))), "shape"),
        (field(2, field(6, blob(np.zeros(4)) + field(6, bytes(4)))), "holds 5 numbers"),
        (b"\x13" + bytes(30), "not a known kind"),
        (b"\x0a\x01a\x17", "wire type 7"),
        (good + good, "twice"),
    ):
        path.write_bytes(data)
        refused(path, says)


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
