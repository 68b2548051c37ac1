"""One reader per kind of file: a path -> named tensors, exactly as stored. No names are judged.

A reader is ``(path, max_bytes) -> Raw``; ``READERS`` maps the kind of file to it. Nothing a file
says is executed, and nothing larger than the cap is allocated.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import WeightsError
from . import files
from .caffe import read_caffe
from .files import Container
from .keras import read_h5
from .raw import Raw
from .torch_files import read_torch

_MAX_HEADER = 4 * 1024**2  # bytes of a safetensors header: 400 for each of 10,000 tensors
_MAX_ARRAYS = 1000  # in an .npz; numpy takes a millisecond for each
_MAX_NPY_HEADER = 1000  # characters


def read(path: Path, max_bytes: int = files.MAX_BYTES) -> Raw:
    """Read any known kind of checkpoint file.

    Raises:
        WeightsError: missing, too large, damaged, hostile or unknown file.
    """
    kind = files.container(path, max_bytes)
    try:
        raw = READERS[kind](path, max_bytes)
    except MemoryError:
        raise WeightsError(f"{path}: does not fit into memory") from None
    files.check_count(path, len(raw.tensors))
    files.check_names(path, raw.tensors)
    if not raw.tensors:
        raise WeightsError(f"{path}: holds no weights")
    return raw


def read_safetensors(path: Path, max_bytes: int) -> Raw:
    """A safetensors file. Its library checks the header against the file's size."""
    from safetensors import safe_open

    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        raise WeightsError(
            f"{path}: safetensors opens no file whose name is not UTF-8; rename it"
        ) from None
    with files.open_checked(path) as head:
        length = int.from_bytes(head.read(8), "little")
    if length > _MAX_HEADER:
        raise WeightsError(
            f"{path}: refused, its header has {files.size_text(length)}, for more tensors than "
            f"any checkpoint has"
        )
    with files.damaged(path, "safetensors file"), safe_open(path, framework="pt") as file:
        names = file.keys()
        files.check_count(path, len(names))
        tensors = {name: file.get_tensor(name) for name in names}
        return Raw("safetensors", tensors, dict(file.metadata() or {}))


def read_npz(path: Path, max_bytes: int) -> Raw:
    """An .npz archive of float arrays; each header is checked before its data are read."""
    tensors: dict[str, Tensor] = {}
    with files.damaged(path, "archive"), zipfile.ZipFile(path) as archive:
        files.check_count(path, len(archive.namelist()), _MAX_ARRAYS, "arrays")
        for member in archive.infolist():
            with archive.open(member) as file:
                _check_header(path, member.filename, *read_npy_header(file), member.file_size)
            with archive.open(member) as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
            tensors[member.filename.removesuffix(".npy")] = to_tensor(array)
    return Raw("npz", tensors)


def read_npy(path: Path, max_bytes: int = files.MAX_BYTES) -> npt.NDArray[Any]:
    """A single .npy float array, its header checked first; pickled objects are refused."""
    size = files.check_file(path, max_bytes)
    with files.damaged(path, ".npy file"), files.open_checked(path) as file:
        _check_header(path, "the array", *read_npy_header(file), size)
        file.seek(0)
        array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array


def read_npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype a .npy stream declares. ValueError for anything but versions 1 and 2."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file, _MAX_NPY_HEADER)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file, _MAX_NPY_HEADER)
    else:
        raise ValueError(f"unknown .npy version {version}")
    return tuple(shape), dtype


def to_tensor(array: npt.NDArray[Any]) -> Tensor:
    """A tensor that owns its memory, in native byte order."""
    native = array.astype(array.dtype.newbyteorder("="), order="C", copy=True)
    return torch.from_numpy(native)


def _check_header(
    path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], stored: int
) -> None:
    name = name[:80]
    if dtype.kind != "f" or dtype.itemsize not in (2, 4, 8):
        raise WeightsError(f"{path}: {name} has type {dtype}; weights are floating point numbers")
    declared = dtype.itemsize
    for length in shape:
        declared *= int(length)
    if declared > stored:
        raise WeightsError(
            f"{path}: {name} declares {files.size_text(declared)} but the file holds "
            f"{files.size_text(stored)} for it; cut or forged"
        )


READERS: dict[Container, Callable[[Path, int], Raw]] = {
    "safetensors": read_safetensors,
    "torch zip": read_torch,
    "torch pickle": read_torch,
    "npz": read_npz,
    "h5": read_h5,
    "caffe": read_caffe,
}
