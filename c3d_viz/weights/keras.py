"""Keras weight files (HDF5). h5py is needed only here: ``pip install 'c3d-viz[keras]'``.

Layout: the root (or its group ``model_weights``) lists ``layer_names``; each layer is a group
with ``weight_names`` that point at datasets, e.g. ``conv1/conv1/kernel:0`` or ``conv1_W``. Both
lists are bytes in old files and text in new ones; where one is missing the groups are walked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import WeightsError
from . import files
from .raw import Raw

_MAX_DEPTH = 4  # layer / layer / kernel:0, with one level to spare


def read_h5(path: Path, max_bytes: int) -> Raw:
    """Tensors named ``<layer>.weight`` and ``<layer>.bias``, in Keras' channels-last layout."""
    try:
        import h5py
    except ImportError:
        raise WeightsError(
            f"{path}: is a Keras .h5 file; reading it needs h5py: pip install 'c3d-viz[keras]'"
        ) from None
    tensors: dict[str, Tensor] = {}
    try:
        with h5py.File(path, "r") as file:
            root = _child(path, file, "model_weights", h5py)
            root = file if root is None else root
            total = 0
            for layer in _names(root, "layer_names") or list(root):
                group = _child(path, root, layer, h5py)
                if not isinstance(group, h5py.Group):
                    continue
                for dataset in _datasets(path, group, h5py):
                    total += _declared(path, dataset, total, max_bytes)
                    kind = "bias" if dataset.ndim == 1 else "weight"
                    key = f"{layer}.{kind}"
                    if key in tensors:
                        raise WeightsError(f"{path}: layer {layer!r} has more than one {kind}")
                    tensors[key] = torch.from_numpy(np.ascontiguousarray(dataset[()]))
    except WeightsError:
        raise
    except Exception as error:
        # h5py passes on whatever the HDF5 library meets in a damaged file.
        raise WeightsError(
            f"{path}: damaged or cut HDF5 file ({files.one_line(error, 100)})"
        ) from None
    return Raw("h5", tensors)


def _names(group: Any, attribute: str) -> list[str]:
    if attribute not in group.attrs:
        return []
    names = np.atleast_1d(group.attrs[attribute]).tolist()
    return [n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n) for n in names]


def _child(path: Path, group: Any, name: str, h5py: Any) -> Any:
    """A member of a group, None where there is none. Links out of the file are refused."""
    node = group
    for part in name.strip("/").split("/"):
        if not isinstance(node, h5py.Group) or part not in node:
            return None
        link = node.get(part, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise WeightsError(f"{path}: refused, {name!r} is a link to another place or file")
        node = node[part]
    return node


def _datasets(path: Path, group: Any, h5py: Any, depth: int = 0) -> list[Any]:
    if depth >= _MAX_DEPTH:
        raise WeightsError(f"{path}: refused, its groups are nested too deeply")
    named = _names(group, "weight_names")
    found: list[Any] = []
    for name in named or list(group):
        node = _child(path, group, name, h5py)
        if node is None and named:
            raise WeightsError(f"{path}: {group.name} names {name!r}, which is not there")
        if isinstance(node, h5py.Dataset):
            found.append(node)
        elif isinstance(node, h5py.Group):
            found.extend(_datasets(path, node, h5py, depth + 1))
    return found


def _declared(path: Path, dataset: Any, before: int, max_bytes: int) -> int:
    """Bytes a dataset declares, after the checks that make it safe to read."""
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize not in (2, 4, 8):
        raise WeightsError(
            f"{path}: {dataset.name} has type {dataset.dtype}; weights are floating point numbers"
        )
    if dataset.external or dataset.is_virtual:
        raise WeightsError(f"{path}: refused, {dataset.name} keeps its data in another file")
    declared = int(dataset.dtype.itemsize)
    for length in dataset.shape:
        declared *= int(length)
    stored = int(dataset.id.get_storage_size())
    files.check_expansion(path, str(dataset.name), before + declared, before + stored, max_bytes)
    return declared
