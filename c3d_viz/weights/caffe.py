"""Caffe files of the C3D v1.0 release, read with a protobuf reader of a few lines.

Only what the release's ``caffe.proto`` needs: NetParameter.layers (field 2, the V1 form) with
name (4) and blobs (6); BlobProto with num, channels, length, height, width (1-5) and data (6),
packed or, in old files, one field per number. https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import WeightsError
from . import files
from .raw import Raw

Floats = npt.NDArray[np.float32]
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DATA_UNPACKED = 6 << 3 | _FIXED32  # tag byte of one float of BlobProto.data
_MAX_DIM = 2**31
_MAX_FIELDS = 100_000  # of a file; the release has 600
_MAX_PARTS = 16  # of a blob's numbers; the release has 1


class _DamagedError(Exception):
    """The bytes are not the message they should be."""


class _Message:
    """The bytes of a protobuf file, and how many fields of it may still be read."""

    def __init__(self, buffer: memoryview) -> None:
        self.buffer = buffer
        self.left = _MAX_FIELDS


def read_caffe(path: Path, max_bytes: int) -> Raw:
    """A ``.caffemodel``: ``conv1a.weight``, ``conv1a.bias``, ... with Caffe's 5-D shapes."""
    tensors: dict[str, Tensor] = {}
    with files.open_checked(path) as file:
        # Not closed by hand: arrays may still look into it while an error is on its way out.
        buffer = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        message = _Message(buffer)
        for number, wire, start, end in _fields(message, 0, len(buffer)):
            if number == 100:
                raise WeightsError(
                    f"{path}: is a Caffe file of the newer `layer` form (C3D v1.1 and later); "
                    f"only the C3D v1.0 release is read"
                )
            if number == 2 and wire == _BYTES:
                tensors.update(_layer(path, message, start, end, tensors))
                files.check_count(path, len(tensors))
    except _DamagedError as error:
        raise WeightsError(
            f"{path}: not a Caffe model of the C3D release, or damaged ({error})"
        ) from None
    return Raw("caffe", tensors)


def read_binaryproto(path: Path, max_bytes: int = files.MAX_BYTES) -> Floats:
    """A mean volume: one BlobProto with num 1 -> float32 (channels, length, height, width)."""
    files.check_file(path, max_bytes)
    with files.open_checked(path) as file:
        data = file.read()
    try:
        blob = _blob(_Message(memoryview(data)), 0, len(data))
    except _DamagedError as error:
        raise WeightsError(f"{path}: not a .binaryproto mean, or damaged ({error})") from None
    if blob.shape[0] != 1:
        raise WeightsError(f"{path}: holds {blob.shape[0]} volumes; a mean file holds one")
    volume: Floats = blob[0]
    return volume


def _layer(
    path: Path, message: _Message, start: int, end: int, known: dict[str, Tensor]
) -> dict[str, Tensor]:
    name, blobs = "", []
    for number, wire, a, b in _fields(message, start, end):
        if number == 4 and wire == _BYTES:
            name = bytes(message.buffer[a : min(b, a + 1000)]).decode("utf-8", "replace")
        elif number == 6 and wire == _BYTES:
            blobs.append(torch.from_numpy(_blob(message, a, b)))
    keys = ["weight", "bias", *(f"blob{i}" for i in range(2, len(blobs)))]
    tensors = {f"{name}.{key}": blob for key, blob in zip(keys, blobs, strict=False)}
    if tensors.keys() & known.keys():
        raise WeightsError(f"{path}: layer {name[:60]!r} is there twice")
    return tensors


def _blob(message: _Message, start: int, end: int) -> Floats:
    buffer = message.buffer
    dims = [0, 0, 0, 0, 0]
    parts: list[Floats] = []
    position = start
    while position < end:
        if len(parts) > _MAX_PARTS:
            raise _DamagedError(f"the numbers of a blob are in more than {_MAX_PARTS} parts")
        if buffer[position] == _DATA_UNPACKED:
            run, position = _unpacked(buffer, position, end)
            parts.append(run)
            continue
        number, wire, a, b = _field(message, position, end)
        position = b
        if 1 <= number <= 5 and wire == _VARINT:
            dims[number - 1] = a
        elif number == 6 and wire == _BYTES:
            if (b - a) % 4:
                raise _DamagedError("a float array is cut")
            parts.append(np.frombuffer(buffer[a:b], "<f4"))
        elif number == 5 and wire == _BYTES:
            raise _DamagedError("its blobs have no length axis: 2D Caffe, not C3D")
    count = sum(part.size for part in parts)
    product = 1
    for dim in dims:
        if not 0 < dim < _MAX_DIM:
            raise _DamagedError(f"a blob has the shape {tuple(dims)}")
        product *= dim
    if product != count:
        raise _DamagedError(f"a blob of shape {tuple(dims)} holds {count} numbers")
    whole = np.concatenate(parts) if len(parts) != 1 else parts[0]
    return whole.astype(np.float32, copy=True).reshape(dims)


def _unpacked(buffer: memoryview, start: int, end: int) -> tuple[Floats, int]:
    """Floats stored one field each: (tag, 4 bytes) repeated. Returns them and where they end."""
    count = (end - start) // 5
    rows = np.frombuffer(buffer[start : start + 5 * count], np.uint8).reshape(count, 5)
    other = np.flatnonzero(rows[:, 0] != _DATA_UNPACKED)
    count = int(other[0]) if other.size else count
    if count == 0:
        raise _DamagedError("a float is cut")
    return np.ascontiguousarray(rows[:count, 1:]).view("<f4").ravel(), start + 5 * count


def _fields(message: _Message, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    position = start
    while position < end:
        field = _field(message, position, end)
        yield field
        position = field[3]


def _field(message: _Message, position: int, end: int) -> tuple[int, int, int, int]:
    """One field: (number, wire type, value or start of the bytes, end)."""
    message.left -= 1
    if message.left < 0:
        raise _DamagedError(f"it has more than {_MAX_FIELDS:,} fields")
    buffer = message.buffer
    tag, position = _varint(buffer, position, end)
    number, wire = tag >> 3, tag & 7
    if number == 0:
        raise _DamagedError(f"byte {position}: no field number")
    if wire == _VARINT:
        value, position = _varint(buffer, position, end)
        return number, wire, value, position
    if wire == _BYTES:
        length, position = _varint(buffer, position, end)
    elif wire in (_FIXED64, _FIXED32):
        length = 8 if wire == _FIXED64 else 4
    else:
        raise _DamagedError(f"byte {position}: unknown wire type {wire}")
    if length > end - position:
        raise _DamagedError(
            f"byte {position}: a field of {files.size_text(length)} in {end - position} bytes"
        )
    return number, wire, position, position + length


def _varint(buffer: memoryview, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            raise _DamagedError(f"ends at byte {position} inside a number")
        byte = buffer[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise _DamagedError(f"byte {position}: a number without end")
