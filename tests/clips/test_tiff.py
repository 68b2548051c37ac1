"""TIFF frames of every kind of number: their picture or a line that names the kind."""

from __future__ import annotations

import itertools
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from c3d_viz.clips import read_clip
from c3d_viz.clips.tiff import samples_of
from c3d_viz.errors import ClipError

SIDE = 8
KINDS = {"u": "integers", "i": "signed integers", "f": "floating-point numbers"}


def write_tiff(
    path: Path, data: bytes, bits: int, channels: int, kind: str, order: str, planes: int
) -> None:
    """An uncompressed SIDE x SIDE picture with the tags that the standard asks for."""
    tags = {
        256: (SIDE,), 257: (SIDE,), 258: (bits,) * channels, 259: (1,),
        262: (2 if channels > 2 else 1,), 277: (channels,), 278: (SIDE,), 284: (planes,),
        339: ("uif".index(kind) + 1,) * channels,
    }  # fmt: skip
    extra = channels - (3 if channels > 2 else 1)
    tags |= {338: (2,) * extra} if extra else {}
    strips = channels if planes == 2 else 1
    size = len(data) // strips
    start = 10 + 12 * (len(tags) + 2) + 4
    longs = {273: 0, 279: size}
    room = sum(2 * len(values) for values in tags.values() if len(values) > 2) + 8 * strips
    entries, outside = b"", b""
    for tag in sorted([*tags, *longs]):
        if tag in longs:
            first = start + room
            values = tuple(first + size * i if tag == 273 else size for i in range(strips))
        else:
            values = tags[tag]
        raw = struct.pack(order + ("I" if tag in longs else "H") * len(values), *values)
        if len(raw) > 4:
            raw, outside = struct.pack(order + "I", start + len(outside)), outside + raw
        kind_of_tag = 4 if tag in longs else 3
        entries += struct.pack(order + "HHI", tag, kind_of_tag, len(values)) + raw.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    count = struct.pack(order + "H", len(tags) + 2)
    path.write_bytes(head + count + entries + bytes(4) + outside.ljust(room, b"\0") + data)


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8"])
def test_read_right_or_named(tmp_path: Path, kind: str) -> None:
    ramp = np.linspace(0, 1, SIDE * SIDE).reshape(SIDE, SIDE, 1)
    dtype = np.dtype(kind)
    white = 1 if dtype.kind == "f" else np.iinfo(dtype).max
    read = 0
    for channels, order, planes in itertools.product((1, 2, 3, 4), "<>", (1, 2)):
        values = (ramp * white).astype(dtype).repeat(channels, axis=2)
        rows = values.transpose(2, 0, 1) if planes == 2 else values
        data = rows.astype(dtype.newbyteorder(order)).tobytes()
        bits = 8 * dtype.itemsize
        write_tiff(tmp_path / "0.tif", data, bits, channels, dtype.kind, order, planes)
        try:
            frame = read_clip(tmp_path, frames=1).frames[0]
        except ClipError as error:
            told = re.escape(
                f"0.tif holds {'one channel' if channels == 1 else f'{channels} channels'} of "
                f"{bits}-bit {KINDS[dtype.kind]}{', plane by plane' if planes == 2 else ''}, which "
                f"are not read; save frames as 8 or 16 bits"
            )
            assert re.search(told + "$", str(error))  # noqa: PT017
            continue
        read += 1
        assert np.abs(frame - 255 * ramp).max() <= 1
    assert read == {"u1": 14, "u2": 6, "f4": 2}.get(kind, 0)


def test_twelve_bits_are_not_black(tmp_path: Path) -> None:
    values = np.arange(SIDE * SIDE) * 65
    pairs = values.reshape(-1, 2)
    packed = [pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255]
    data = np.stack(packed, 1).astype(np.uint8).tobytes()
    write_tiff(tmp_path / "0.tif", data, 12, 1, "u", "<", 1)
    frame = read_clip(tmp_path, frames=1).frames[0]
    assert np.array_equal(frame[..., 0].ravel(), values >> 4)


def test_a_damaged_directory_is_no_kind(tmp_path: Path) -> None:
    path = tmp_path / "0.tif"
    write_tiff(path, bytes(2 * 3 * SIDE * SIDE), 16, 3, "f", "<", 1)
    assert str(samples_of(path)) == "3 channels of 16-bit floating-point numbers"
    whole = path.read_bytes()
    for cut in (4, 9, 40):
        path.write_bytes(whole[:cut])
        with pytest.raises(ClipError, match="damaged, truncated or not a picture"):
            read_clip(tmp_path, frames=1)
    path.write_bytes(whole[:4] + b"\xff" * 40)
    with pytest.raises(ClipError, match="damaged, truncated or not a picture"):
        read_clip(tmp_path, frames=1)
