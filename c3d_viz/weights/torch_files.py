"""Torch checkpoints (zip and old pickle form), read without torch.load: see ``pickles``.

The file is mapped into memory. Its pickle says where the numbers of each tensor lie; that is
checked against the file, and a tensor is a view of it (zip) or of what was read (old form, where
numbers are not aligned).
"""

from __future__ import annotations

import math
import mmap
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import WeightsError
from . import files
from .inert import HostileError, StoredTensor, Thing, kind
from .pickles import Machine
from .raw import Raw

# Keys under which training scripts store the weights, the likeliest first.
WRAPPERS = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights"),
    *("module", "params"),
)
_MAX_WRAPPERS = 3  # wrappers inside wrappers
_MAGIC = 0x1950A86A20F9469CFC6C  # of torch.save before 1.6
_HEAD = struct.Struct("<4s22xHH")  # a zip member's: signature, lengths of name and extra field

Places = dict[str, tuple[int, int]]  # storage key -> first byte, end


def read_torch(path: Path, max_bytes: int) -> Raw:
    """A torch checkpoint: a plain state_dict, or one inside a training checkpoint."""
    with files.open_checked(path) as file:
        # Not closed by hand: tensors look into it. Copy on write: nobody can change the file.
        buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    zipped = buffer[:2] == b"PK"
    machine = Machine()
    try:
        root, places, swap = (_zip if zipped else _legacy)(path, buffer, machine)
        key, entries = _choose(path, root)
        files.check_count(path, len(entries))
        numbers = _Numbers(path, buffer if zipped else None, places, swap)
        tensors: dict[str, Tensor] = {}
        total = 0
        for name, tensor in entries.items():
            if isinstance(tensor, StoredTensor):
                total += math.prod(tensor.size) * tensor.dtype.itemsize
                files.check_expansion(path, str(name)[:80], total, len(buffer), max_bytes)
                tensors[str(name)] = numbers.view(str(name)[:80], tensor)
            elif isinstance(tensor, Thing) and tensor.text.startswith("torch._utils._rebuild"):
                raise WeightsError(
                    f"{path}: {str(name)[:80]} is a sparse, quantised or 8-bit tensor; save plain "
                    f"floating point numbers"
                )
    except WeightsError:
        raise
    except HostileError as error:
        raise WeightsError(
            f"{path}: refused, its pickle would {error}; a checkpoint holds tensors: save "
            f"model.state_dict() with torch.save"
        ) from None
    except Exception as error:
        # A damaged pickle can fail in any way; whatever it is, the file cannot be used.
        raise WeightsError(
            f"{path}: damaged, cut or not a torch checkpoint ({files.one_line(error, 100)})"
        ) from None
    beside = [*(root if isinstance(root, dict) and key is not None else ()), *entries]
    ignored = tuple(str(other) for other in beside if other != key and str(other) not in tensors)
    return Raw("torch zip" if zipped else "torch pickle", tensors, wrapped=key, ignored=ignored)


def _zip(path: Path, buffer: mmap.mmap, machine: Machine) -> tuple[object, Places, bool]:
    members = {member.filename: member for member in files.check_zip(path)}
    if any(Path(name).name == "constants.pkl" for name in members):
        raise WeightsError(
            f"{path}: is a TorchScript program, which would be run to be read; save its "
            f"state_dict() with torch.save instead"
        )
    if any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
        raise WeightsError(f"{path}: refused, torch checkpoints are not compressed")
    pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise WeightsError(f"{path}: holds {len(pickles)} checkpoints (data.pkl), not one")
    folder = pickles[0].removesuffix("data.pkl")
    places = {
        name.removeprefix(f"{folder}data/"): _place(member, buffer)
        for name, member in members.items()
        if name.startswith(f"{folder}data/")
    }
    order = members.get(f"{folder}byteorder")
    swap = order is not None and buffer[slice(*_place(order, buffer))] == b"big"
    buffer.seek(_place(members[pickles[0]], buffer)[0])
    return machine.run(buffer), places, swap  # type: ignore[arg-type]


def _place(member: zipfile.ZipInfo, buffer: mmap.mmap) -> tuple[int, int]:
    """First byte and end of a stored member."""
    signature, name, extra = _HEAD.unpack_from(buffer, member.header_offset)
    start = member.header_offset + _HEAD.size + name + extra
    if signature != b"PK\x03\x04" or start + member.file_size > len(buffer):
        raise ValueError("a member lies outside the archive")
    return start, start + member.file_size


def _legacy(path: Path, buffer: mmap.mmap, machine: Machine) -> tuple[object, Places, bool]:
    """Five pickles (magic number, protocol, system, the object, keys), then the storages."""
    first = machine.run(buffer)  # type: ignore[arg-type]
    if first != _MAGIC:
        raise WeightsError(
            f"{path}: is a plain pickle of a {kind(first)[:80]}, not a file of torch.save; load it "
            f"where it was made, and save model.state_dict() with torch.save"
        )
    _, _, root, keys = (machine.run(buffer) for _ in range(4))  # type: ignore[arg-type]
    if not isinstance(keys, list):
        raise ValueError("no list of storages")
    places: Places = {}
    position = buffer.tell()
    for key in keys:
        storage = machine.storages[str(key)]
        (count,) = struct.unpack_from("<q", buffer, position)
        start = position + 8
        position = start + count * storage.dtype.itemsize
        if not start <= position <= len(buffer):
            raise ValueError("a storage is cut")
        places[storage.key] = start, position
    return root, places, False


class _Numbers:
    """The storages of a file. Each is cut out once: a thousand tensors may be views of it."""

    def __init__(self, path: Path, buffer: mmap.mmap | None, places: Places, swap: bool) -> None:
        self._path = path
        self._whole = None if buffer is None else torch.frombuffer(buffer, dtype=torch.uint8)
        self._places = places
        self._swap = swap
        self._cut: dict[tuple[str, torch.dtype], Tensor] = {}

    def view(self, name: str, tensor: StoredTensor) -> Tensor:
        """A tensor of the file, after a check that it lies in its storage."""
        storage, width = tensor.storage, tensor.dtype.itemsize
        start, end = self._places[storage.key]
        stored, declared = end - start, math.prod(tensor.size) * width
        if declared == 0:
            return torch.empty(tensor.size, dtype=tensor.dtype)
        steps = sum((n - 1) * step for n, step in zip(tensor.size, tensor.stride, strict=True))
        needed = max(storage.count * storage.dtype.itemsize, (tensor.offset + steps + 1) * width)
        if needed > stored:
            raise ValueError(f"{name} reaches beyond what is stored")
        if declared > 4 * stored:  # expanded (stride 0) from a few bytes to gigabytes
            raise WeightsError(
                f"{self._path}: refused, {name} declares {files.size_text(declared)} but stores "
                f"{files.size_text(stored)}"
            )
        key = storage.key, tensor.dtype
        if key not in self._cut:
            self._cut[key] = self._numbers(start, stored // width * width, tensor.dtype)
        cut = self._cut[key]
        return cut.as_strided(tensor.size, tensor.stride, cut.storage_offset() + tensor.offset)

    def _numbers(self, start: int, length: int, dtype: torch.dtype) -> Tensor:
        """A run of bytes as numbers: in the mapped file, or where it is not mapped, read."""
        if self._whole is None:
            data = torch.from_numpy(np.fromfile(self._path, np.uint8, length, offset=start))
        else:
            data = self._whole[start : start + length]
        if start % dtype.itemsize and self._whole is not None:
            data = data.clone()  # torch wants numbers at multiples of their size
        if self._swap:
            data = data.view(-1, dtype.itemsize).flip(1).reshape(-1)
        return data.view(dtype)


def _choose(path: Path, loaded: object, depth: int = 0) -> tuple[str | None, dict[Any, Any]]:
    """The dict with the weights and the key it is under: a known one, none, or the only one."""
    if not isinstance(loaded, dict) or (isinstance(loaded, Thing) and not loaded):
        raise WeightsError(
            f"{path}: holds a {kind(loaded)[:120]}, not a state_dict; where it was made, save "
            f"model.state_dict() with torch.save"
        )
    root: dict[Any, Any] = loaded
    for key in WRAPPERS:
        inside: Any = root.get(key)
        if _holds_tensors(inside):
            return key, inside
        if type(inside) is dict and depth < _MAX_WRAPPERS and any(k in inside for k in WRAPPERS):
            return key, _choose(path, inside, depth + 1)[1]
    if _holds_tensors(root):
        return None, root
    # by identity: a pickle may hold the same dict a hundred thousand times
    dicts = {id(value): str(key) for key, value in root.items() if isinstance(value, dict)}
    keys = [key for key in dicts.values() if _holds_tensors(root.get(key))]
    if len(keys) == 1:
        return keys[0], root[keys[0]]
    if keys:
        raise WeightsError(
            f"{path}: holds {len(keys)} state_dicts ({', '.join(keys[:6])[:200]}); save the one "
            f"that is meant: torch.save(checkpoint[{keys[0][:40]!r}], 'weights.pth')"
        )
    held = ", ".join(f"{str(k)[:40]}: {kind(v)[:80]}" for k, v in list(root.items())[:4])
    raise WeightsError(
        f"{path}: holds no weights ({held or 'an empty dict'}); where it was made, save "
        f"model.state_dict() with torch.save"
    )


def _holds_tensors(value: object) -> bool:
    return isinstance(value, dict) and any(isinstance(v, StoredTensor) for v in value.values())
