"""Keras weight files (HDF5). h5py is needed only here: ``pip install 'c3d-viz[keras]'``.

Layout: the root (or its group ``model_weights``) has a group for each layer with its arrays at
some depth, e.g. ``conv1/conv1/kernel:0`` or ``conv1/conv1_W``. The attributes ``layer_names`` and
``weight_names``, which list them again, are not read: the names of groups and the number of axes
say the same, and a list can be made to take any time (many texts that lie at one place).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import WeightsError
from . import files
from .raw import Raw

_MAX_DEPTH = 4  # layer / layer / kernel:0, with one level to spare
_MAX_OBJECTS = 1000  # groups and arrays; the library takes a tenth of a millisecond for each
_MAX_CHUNKS = 10_000  # of an array


def read_h5(path: Path, max_bytes: int) -> Raw:
    """Tensors named ``<layer>.weight`` and ``<layer>.bias``, in Keras' channels-last layout."""
    try:
        import h5py
    except ImportError:
        raise WeightsError(
            f"{path}: is a Keras .h5 file; reading it needs h5py: pip install 'c3d-viz[keras]'"
        ) from None
    tensors: dict[str, Tensor] = {}
    total = 0
    with files.damaged(path, "HDF5 file", 100), h5py.File(path, "r") as file:
        root = dict(_children(path, file, h5py)).get("model_weights", file)
        for layer, dataset in _datasets(path, root, h5py):
            total += _declared(path, dataset, total, max_bytes)
            kind = "bias" if dataset.ndim == 1 else "weight"
            key = f"{layer}.{kind}"
            if key in tensors:
                raise WeightsError(f"{path}: layer {layer[:80]!r} has more than one {kind}")
            tensors[key] = torch.from_numpy(np.ascontiguousarray(dataset[()]))
    return Raw("h5", tensors)


def _datasets(path: Path, root: Any, h5py: Any) -> Iterator[tuple[str, Any]]:
    """(layer, dataset) of all that lies below the groups of ``root``."""
    groups = [(name, node, 1) for name, node in _children(path, root, h5py)]
    opened = len(groups)
    while groups:
        layer, node, depth = groups.pop()
        if isinstance(node, h5py.Dataset) and depth > 1:
            yield layer, node
        elif isinstance(node, h5py.Group):
            if depth > _MAX_DEPTH:
                raise WeightsError(f"{path}: refused, its groups are nested too deeply")
            inside = [(layer, child, depth + 1) for _, child in _children(path, node, h5py)]
            opened += len(inside)
            files.check_count(path, opened, _MAX_OBJECTS, "groups and arrays")
            groups += inside


def _children(path: Path, group: Any, h5py: Any) -> list[tuple[str, Any]]:
    """Members of a group. Links to another place or out of the file are refused."""
    files.check_count(path, len(group), _MAX_OBJECTS, "groups and arrays")
    children = []
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise WeightsError(f"{path}: refused, {name[:80]!r} is a link to another place or file")
        children.append((name, group[name]))
    return children


def _declared(path: Path, dataset: Any, before: int, max_bytes: int) -> int:
    """Bytes a dataset declares, after the checks that make it safe to read."""
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize not in (2, 4, 8):
        raise WeightsError(
            f"{path}: {dataset.name} has type {dataset.dtype}; weights are floating point numbers"
        )
    if dataset.external or dataset.is_virtual:
        raise WeightsError(f"{path}: refused, {dataset.name} keeps its data in another file")
    declared = math.prod(map(int, dataset.shape)) * int(dataset.dtype.itemsize)
    stored = min(int(dataset.id.get_storage_size()), path.stat().st_size)
    files.check_expansion(path, str(dataset.name), before + declared, before + stored, max_bytes)
    if dataset.chunks:
        chunks = (-(-n // chunk) for n, chunk in zip(dataset.shape, dataset.chunks, strict=True))
        files.check_count(path, math.prod(chunks), _MAX_CHUNKS, "chunks in one array")
    return declared
