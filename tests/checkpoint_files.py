"""Builds a checkpoint file in every known layout, from the sources' own key tables.

Written from the sources' code, not from c3d_viz.weights, so that the tests compare two things.
``canonical(...)`` makes weights as the paper's network has them; a ``write_*`` function stores
them as one source does.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

CONVS = ("1a", "2a", "3a", "3b", "4a", "4b", "5a", "5b")
Weights = dict[str, Tensor]


def canonical(width: int = 2, fc: int = 12, classes: int = 7, seed: int = 0) -> Weights:
    """Random weights under the paper's names, scaled so that every layer stays alive."""
    generator = torch.Generator().manual_seed(seed)
    weights: Weights = {}
    channels = 3
    for name, factor in zip(CONVS, (1, 2, 4, 4, 8, 8, 8, 8), strict=True):
        shape = (factor * width, channels, 3, 3, 3)
        std = (2 / (channels * 27)) ** 0.5
        weights[f"conv{name}.weight"] = torch.randn(shape, generator=generator) * std
        weights[f"conv{name}.bias"] = torch.rand(shape[0], generator=generator) * 0.2
        channels = shape[0]
    for name, out, into in (("6", fc, channels * 16), ("7", fc, fc), ("8", classes, fc)):
        weights[f"fc{name}.weight"] = (
            torch.randn(out, into, generator=generator) * (2 / into) ** 0.5
        )
        weights[f"fc{name}.bias"] = torch.rand(out, generator=generator) * 0.2
    return weights


def rename(weights: Weights, table: dict[str, str]) -> Weights:
    """``table`` maps paper layer -> source layer; layers not in it are left out."""
    renamed: Weights = {}
    for key, tensor in weights.items():
        layer, kind = key.split(".")
        if layer in table:
            renamed[f"{table[layer]}.{kind}"] = tensor
    return renamed


# The sources' names, spelled out.
DAVIDEA = {
    "conv1a": "conv1",
    "conv2a": "conv2",
    "conv3a": "conv3a",
    "conv3b": "conv3b",
    "conv4a": "conv4a",
    "conv4b": "conv4b",
    "conv5a": "conv5a",
    "conv5b": "conv5b",
    "fc6": "fc6",
    "fc7": "fc7",
    "fc8": "fc8",
}
JFZHANG = {
    "conv1a": "features.0",
    "conv2a": "features.3",
    "conv3a": "features.6",
    "conv3b": "features.8",
    "conv4a": "features.11",
    "conv4b": "features.13",
    "conv5a": "features.16",
    "conv5b": "features.18",
    "fc6": "classifier.0",
    "fc7": "classifier.3",
    "fc8": "classifier.6",
}
MMACTION = {f"conv{n}": f"conv{n}.conv" for n in CONVS} | {"fc6": "fc6", "fc7": "fc7"}
MMACTION_RECOGNIZER = {k: f"backbone.{v}" for k, v in MMACTION.items()} | {"fc8": "cls_head.fc_cls"}
TENSORFLOW = {
    "conv1a": "c1",
    "conv2a": "c2",
    "conv3a": "c3a",
    "conv3b": "c3b",
    "conv4a": "c4a",
    "conv4b": "c4b",
    "conv5a": "c5a",
    "conv5b": "c5b",
    "fc6": "d1",
    "fc7": "d2",
    "fc8": "out",
}


def dhwio(kernel: Tensor) -> np.ndarray:
    """Conv kernel (out, in, t, h, w) -> TensorFlow's (t, h, w, in, out)."""
    return np.ascontiguousarray(np.transpose(kernel.numpy(), (2, 3, 4, 1, 0)))


def dense(name: str, weight: Tensor, *, hwc: bool) -> np.ndarray:
    """Linear (out, in) -> (in, out); fc6's rows from (c, h, w) to (h, w, c) order with ``hwc``."""
    kernel = weight.numpy().T.copy()
    if name == "fc6" and hwc:
        columns = []
        for column in kernel.T:  # one output unit at a time, as the Keras port's converter does
            columns.append(np.transpose(column.reshape(-1, 4, 4), (1, 2, 0)).ravel())
        kernel = np.stack(columns, axis=1)
    return np.ascontiguousarray(kernel)


def write_keras(
    path: Path, weights: Weights, *, names: str = "bytes", keras1: bool = False, full: bool = False
) -> Path:
    """A Keras file. ``names``: type of the name lists ("bytes", "text", "none")."""
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if full else file
        layers = [*DAVIDEA.values(), "pool5", "dropout_1"]
        if names != "none":
            root.attrs["layer_names"] = _name_list(layers, names)
        for ours, theirs in DAVIDEA.items():
            group = root.create_group(theirs)
            kernel = weights[f"{ours}.weight"]
            array = dhwio(kernel) if kernel.ndim == 5 else dense(ours, kernel, hwc=True)
            stored = [f"{theirs}_W", f"{theirs}_b"] if keras1 else ["kernel:0", "bias:0"]
            stored = stored if keras1 else [f"{theirs}/{name}" for name in stored]
            if names != "none":
                group.attrs["weight_names"] = _name_list(stored, names)
            group.create_dataset(stored[0], data=array)
            group.create_dataset(stored[1], data=weights[f"{ours}.bias"].numpy())
        for empty in ("pool5", "dropout_1"):
            group = root.create_group(empty)
            if names != "none":
                group.attrs["weight_names"] = np.array([], dtype="S1")
    return path


def _name_list(names: list[str], kind: str) -> object:
    if kind == "bytes":
        return np.array([name.encode() for name in names])
    return np.array(names, dtype=h5py.string_dtype("utf-8"))


def write_tensorflow(
    path: Path, weights: Weights, *, hwc: bool = True, prefix: str = "var_name/", **more: object
) -> Path:
    """The TensorFlow port's variables as .npz."""
    arrays: dict[str, np.ndarray] = {}
    for ours, theirs in TENSORFLOW.items():
        kernel = weights[f"{ours}.weight"]
        array = dhwio(kernel) if kernel.ndim == 5 else dense(ours, kernel, hwc=hwc)
        arrays[f"{prefix}w{theirs}"] = array
        arrays[f"{prefix}b{theirs}"] = weights[f"{ours}.bias"].numpy()
    np.savez(path, **arrays, **more)  # type: ignore[arg-type]
    return path


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def blob(array: np.ndarray, *, packed: bool = True) -> bytes:
    """BlobProto of the C3D release: num 1, channels 2, length 3, height 4, width 5, data 6."""
    shape = (1,) * (5 - array.ndim) + array.shape
    dims = b"".join(varint(i << 3) + varint(n) for i, n in enumerate(shape, start=1))
    flat = array.astype("<f4").ravel()
    if packed:
        return dims + field(6, flat.tobytes())
    return dims + b"".join(b"\x35" + struct.pack("<f", value) for value in flat)


def write_caffe(path: Path, weights: Weights, *, suffix: str = "-1", packed: bool = True) -> Path:
    """A V1 .caffemodel: name 1, layers 2 {bottom 2, top 3, name 4, type 5, blobs 6}."""
    message = field(1, b"DeepConv3DNet_Sport1M_Val")
    message += field(2, field(3, b"data") + field(4, b"data") + b"\x28\x28")
    for layer in [f"conv{n}" for n in CONVS] + ["fc6", "fc7", "fc8"]:
        name = (layer + suffix if layer.startswith("fc") else layer).encode()
        body = field(2, b"below") + field(3, name) + field(4, name) + varint(5 << 3) + varint(14)
        for kind in ("weight", "bias"):
            body += field(6, blob(weights[f"{layer}.{kind}"].numpy(), packed=packed))
        body += varint(7 << 3 | 5) + struct.pack("<f", 1.0)  # blobs_lr, one unpacked float
        message += field(2, body)
        message += field(2, field(2, name) + field(4, b"relu") + varint(5 << 3) + varint(18))
    path.write_bytes(message)
    return path


def zip_with(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path
