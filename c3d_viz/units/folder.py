"""The folder that a command of this package writes: new, whole or not there, with a manifest."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import __version__
from ..errors import ExportError
from ..files import sha256, try_folder, whole_folder, write_json
from ..nets import ModelSpec
from ..weights import NetworkChoice

MANIFEST = "manifest.json"
SCHEMA = 1


def check_new(out: str | os.PathLike[str]) -> Path:
    """Refuse, before any work, a folder that is in the way or cannot be written.

    Raises:
        ExportError: which, and why.
    """
    folder = Path(out)
    if os.path.lexists(folder):
        raise ExportError(f"{folder} is there already; name a new folder")
    try_folder(folder)
    return folder


@contextmanager
def result_folder(
    out: Path,
    words: Sequence[str],
    network: NetworkChoice,
    spec: ModelSpec,
    parameters: Mapping[str, Any],
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder to fill and the manifest to add to; both appear as ``out`` when the block succeeds.

    Args:
        words: of the command after ``c3d-viz``, without network and folder.
        parameters: everything the outcome depends on beside the network.
    """
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "command": command_line(words, network, out),
        "model": about(spec),
        "parameters": dict(parameters),
        "versions": {
            "c3d-viz": __version__,
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
    }
    with whole_folder(out) as folder:
        yield folder, manifest
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        manifest["files"] = {p.relative_to(folder).as_posix(): sha256(p) for p in files}
        write_json(folder / MANIFEST, manifest)


def command_line(words: Sequence[str], network: NetworkChoice, out: str | Path) -> str:
    """The command, as every manifest of this package says it."""
    return shlex.join(["c3d-viz", *words, *network.options(), "-o", str(out)])


def about(spec: ModelSpec) -> dict[str, Any]:
    """Which network, as every manifest of this package says it."""
    return {
        "name": spec.name,
        "weights": spec.weights,
        "trained": spec.trained,
        "weights_sha256": spec.sha256,
        "code_sha256": spec.code_sha256,
        "source": spec.source,
    }


def folder_names(layers: Sequence[str]) -> list[str]:
    """Folder names, each once and one word, whatever a layer is called."""
    names: list[str] = []
    for layer in layers:
        name = re.sub(r"[^A-Za-z0-9_#-]", "_", layer)[:100]
        while name in names:
            name += "_"
        names.append(name)
    return names
