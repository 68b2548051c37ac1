"""Hostile files: one clear line, nothing run, nothing large allocated."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from checkpoint_files import (
    DAVIDEA,
    Weights,
    blob,
    field,
    rename,
    varint,
    write_caffe,
    write_keras,
    zip_with,
)
from refusals import refused
from safetensors.torch import save_file

from c3d_viz.errors import WeightsError
from c3d_viz.weights import inspect, load_model


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
    refused(bad, "conv1.weight reaches beyond what is stored")
    # the pickle says four numbers and takes more: what follows in the file is not the tensor's
    for size, stride, offset in (((5,), (1,), 0), ((2, 2), (3, 1), 0), ((4,), (1,), 1)):
        view = torch.zeros(100).as_strided(size, stride, offset)
        torch.save({"a": view, "b": torch.ones(1000)}, good)
        with zipfile.ZipFile(good) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        pickled = members["good/data.pkl"]
        assert pickled.count(b"K\x64tq") == 1
        members["good/data.pkl"] = pickled.replace(b"K\x64tq", b"K\x04tq")
        members["good/data/0"] = bytes(16)
        zip_with(bad, members)
        refused(bad, "a reaches beyond what is stored")


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
        (
            {"classes": json.dumps([f"c{i}" for i in range(8)])},
            "metadata name 8 classes, fc8 has 7",
        ),
        ({"classes": "[" * 5000}, "not JSON"),
        ({"pool5": '"odd"'}, "'ceil' or 'padded'"),
        ({"input": "[]"}, "JSON object"),
        ({"input": '{"mean": [1, 2]}'}, "cannot be used"),
        ({"input": '{"channel_order": "GBR"}'}, "cannot be used"),
        ({"input": '{"mean": "/etc/passwd"}'}, "mean must be three numbers"),
        ({"input": '{"scale": NaN}'}, "cannot be used: scale must be a positive number"),
        ({"input": '{"scale": 1' + "0" * 400 + "}"}, "cannot be used: scale"),
        ({"input": '{"resize": 1e999}'}, "cannot be used: resize"),
        ({"input": '{"frames": 1000000000}'}, "cannot be used: frames must be 16"),
        ({"input": '{"frame": 16}'}, "cannot be used: unknown frame"),
        ({"input": '{"scale": ' + "1" * 5000 + "}"}, "not JSON"),
        ({"width": "1" * 5000, "classes": "[" + "1" * 5000 + "]"}, "not JSON"),
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


def test_numbers_of_8_bits_are_refused(tmp_path: Path, weights: Weights) -> None:
    path = tmp_path / "w.safetensors"
    for dtype in (torch.float8_e4m3fn, torch.float8_e5m2, torch.int8, torch.bool):
        save_file({name: tensor.to(dtype) for name, tensor in weights.items()}, path)
        refused(path, "not floating point numbers of 16 to 64 bits", f"conv1a.weight {dtype}")
    header = json.dumps({"a": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(1))
    refused(path)
