"""Files made to take any time are accepted or refused in two seconds."""

from __future__ import annotations

import json
import pickle
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from checkpoint_files import field, varint, zip_with
from safetensors.torch import save_file

from c3d_viz.errors import WeightsError
from c3d_viz.weights import load_model, load_state

SECONDS = 2.0  # of processor time, whatever else the machine does
Maker = Callable[[Path], object]


def layer(*fields: bytes) -> bytes:
    return field(2, b"".join(fields))


def caffe_empty_fields(path: Path) -> None:
    path.write_bytes(layer(field(4, b"x")) + b"\x1a\x00" * 5_000_000)


def caffe_empty_fields_in_a_layer(path: Path) -> None:
    path.write_bytes(layer(field(4, b"x"), b"\x1a\x00" * 5_000_000))


def caffe_alternating_fields(path: Path) -> None:
    path.write_bytes(layer(field(6, (b"\x35" + bytes(4) + b"\x08\x01") * 300_000)))


def caffe_many_blobs(path: Path) -> None:
    one = field(6, b"".join(varint(i << 3) + b"\x01" for i in range(1, 6)) + field(6, bytes(4)))
    path.write_bytes(layer(field(4, b"x"), one * 300_000))


def caffe_many_layers(path: Path) -> None:
    one = field(6, b"".join(varint(i << 3) + b"\x01" for i in range(1, 6)) + field(6, bytes(4)))
    path.write_bytes(b"".join(layer(field(4, b"%d" % i), one) for i in range(100_000)))


def pickle_of(body: bytes) -> Maker:
    return lambda path: path.write_bytes(b"\x80\x02" + body + b".")


def pickle_in_zip(body: bytes) -> Maker:
    return lambda path: write_zip(path, body)


def write_zip(path: Path, body: bytes) -> None:
    zip_with(path, {"a/data.pkl": b"\x80\x02" + body + b".", "a/version": b"3\n"})


def tuple_that_takes_ages_to_hash(path: Path) -> None:
    # t = (t, t) sixty times, as the key of a dict: 2^60 steps
    body = b"}" + b")" + b"\x86".join([b"2"] * 60) + b"\x86" + b"Ns"
    write_zip(path, body)


def tuple_too_deep_to_hash(path: Path) -> None:
    # a hash that calls itself 300,000 deep would end the process
    write_zip(path, b"})" + b"\x85" * 300_000 + b"Ns")


def long_names_again_and_again(path: Path) -> None:
    # a name of 1 MB in the memo, asked for as a class 100,000 times
    name = b"X" + struct.pack("<I", 1_000_000) + b"a" * 1_000_000 + b"q\x000"
    write_zip(path, name + b"h\x00h\x00\x930" * 50_000 + b"}")


def long_number_as_a_key(path: Path) -> None:
    number = b"\x8b" + struct.pack("<I", 1_000_000) + b"\x01" * 1_000_000 + b"q\x000"
    write_zip(path, number + b"}" + b"h\x00Ns" * 100_000)


def the_same_pairs_again_and_again(path: Path) -> None:
    pairs = b"]q\x01(" + b"]q\x02(K\x01K\x02e" + b"h\x02" * 50_000 + b"e0"
    again = b"ccollections\nOrderedDict\nq\x000" + pairs + b"h\x00h\x01\x85R0" * 50_000
    write_zip(path, again + b"}")


def the_same_dict_again_and_again(path: Path) -> None:
    numbers = [b"J" + struct.pack("<i", i) for i in range(100_000)]
    inner = b"}q\x00(" + b"".join(n + b"N" for n in numbers) + b"u0"
    outer = b"}(" + b"".join(n + b"h\x00" for n in numbers) + b"u"
    write_zip(path, inner + outer)


def torch_many_tensors(path: Path) -> None:
    torch.save({f"layer{i}.weight": torch.zeros(1) for i in range(20_000)}, path)


def torch_many_tensors_old(path: Path) -> None:
    state = {f"layer{i}.weight": torch.zeros(1) for i in range(12_000)}
    torch.save(state, path, _use_new_zipfile_serialization=False)


def many_views_of_one_storage(path: Path) -> None:
    # 40 MB, not aligned: a copy for each view would be 80 GB
    base = torch.zeros(10_000_000)
    views = {f"v{i}": base.as_strided((2,), (9_000_000,), i) for i in range(2000)}
    torch.save(views, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for shift in (b"", b"x"):
        with zipfile.ZipFile(zip_with(path, {"w/shift": shift, **members})) as archive:
            start = archive.getinfo("w/data/0").header_offset + 30 + len("w/data/0")
        if start % 4:
            break


def zip_of_many_members(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        for i in range(35_000):
            archive.writestr(f"a/data/{i}", b"")


def safetensors_empty(path: Path) -> None:
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({f"layer{i}": entry for i in range(300_000)}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def npz_many_arrays(path: Path) -> None:
    np.savez(path, **{f"a{i}": np.zeros(1, np.float32) for i in range(9000)})


def h5_many_groups(path: Path) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        for i in range(20_000):
            file.create_group(f"layer{i}")


def h5_many_groups_deeper(path: Path) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        for i in range(60):
            for j in range(60):
                file.create_group(f"layer{i}/sub{j}")


def h5_many_chunks(path: Path) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        array = np.zeros(200_000, np.float32)
        file.create_dataset("a/kernel:0", data=array, chunks=(1,))


STEPS = "more than 500,000 steps"
COSTLY: dict[str, tuple[Maker, str]] = {
    "empty fields": (caffe_empty_fields, "more than 100,000 fields"),
    "empty fields in a layer": (caffe_empty_fields_in_a_layer, "more than 100,000 fields"),
    "alternating fields": (caffe_alternating_fields, "more than 16 parts"),
    "many blobs": (caffe_many_blobs, "more than 100,000 fields"),
    "many layers": (caffe_many_layers, "10,001 tensors"),
    "marks": (pickle_of(b"(" * 4_000_000), "more than 1,000 marks"),
    "lists": (pickle_of(b"]" * 4_000_000 + b"a" * 3_999_999), STEPS),
    "marks in a zip": (pickle_in_zip(b"(" * 40_000_000), "more than 1,000 marks"),
    "lists in a zip": (pickle_in_zip(b"]" * 40_000_000), STEPS),
    "numbers in a zip": (pickle_in_zip(b"](" + b"K\x01" * 20_000_000 + b"e"), STEPS),
    "a memo of huge numbers": (pickle_in_zip(b"}r\xff\xff\xff\xff"), "holds no weights"),
    "a tuple of tuples as a key": (tuple_that_takes_ages_to_hash, "holds no weights"),
    "a deep tuple as a key": (tuple_too_deep_to_hash, "holds no weights"),
    "a long name": (long_names_again_and_again, "hundreds of letters"),
    "a long number as a key": (long_number_as_a_key, "holds no weights"),
    "the same pairs": (the_same_pairs_again_and_again, STEPS),
    "the same dict": (the_same_dict_again_and_again, "holds no weights"),
    "20,000 tensors": (torch_many_tensors, "archive members; no checkpoint"),
    "12,000 tensors, old form": (torch_many_tensors_old, "12,000 tensors"),
    "many views": (many_views_of_one_storage, "its 2000 tensors (v0, v1, v2, v3 and"),
    "a zip of many members": (zip_of_many_members, "its directory has 2 MB"),
    "300,000 tensors in safetensors": (safetensors_empty, "its header has 21 MB"),
    "9,000 arrays": (npz_many_arrays, "9,000 arrays"),
    "20,000 groups": (h5_many_groups, "20,000 groups"),
    "groups in groups": (h5_many_groups_deeper, "groups and arrays"),
    "many chunks": (h5_many_chunks, "200,000 chunks"),
}


@pytest.mark.parametrize("kind", COSTLY)
def test_costly_files_end_in_time(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "w.npz"
    make, says = COSTLY[kind]
    make(path)
    start = time.process_time()
    with pytest.raises(WeightsError) as caught:
        load_model("c3d", path)
    spent = time.process_time() - start
    assert spent < SECONDS
    assert "\n" not in str(caught.value)
    assert says in str(caught.value)


def test_large_but_sound_files_load(tmp_path: Path) -> None:
    """The bounds leave room: 1,000 parameters, with the state of an optimiser."""
    names = [f"layer{i}.weight" for i in range(1000)]
    net = torch.nn.Module()
    for name in names:
        child = torch.nn.Module()
        child.weight = torch.nn.Parameter(torch.zeros(1))
        net.add_module(name.split(".")[0], child)
    state = {name: torch.full((1,), float(i)) for i, name in enumerate(names)}
    optimiser = {i: {"exp_avg": torch.zeros(1), "step": 7} for i in range(1000)}
    torch.save({"state_dict": state, "optimizer": {"state": optimiser}}, tmp_path / "w.pth")
    save_file(state, tmp_path / "w.safetensors")
    for file in ("w.pth", "w.safetensors"):
        start = time.process_time()
        loaded = load_state(net, tmp_path / file)
        assert time.process_time() - start < SECONDS
        assert len(loaded.names) == 1000
        assert float(net.state_dict()["layer999.weight"]) == 999.0


def test_pickle_with_a_long_history_is_read(tmp_path: Path) -> None:
    net = torch.nn.Linear(2, 2)
    history = {"loss": [0.5] * 100_000, "text": "x" * 1_000_000}
    torch.save({"model": net.state_dict(), "history": history}, tmp_path / "w.pth")
    assert load_state(torch.nn.Linear(2, 2), tmp_path / "w.pth").ignored == ("history",)
    plain = pickle.dumps(history, protocol=2)
    (tmp_path / "w.pth").write_bytes(plain)
    with pytest.raises(WeightsError, match=r"plain pickle of a dict, not a file of torch\.save"):
        load_state(net, tmp_path / "w.pth")
