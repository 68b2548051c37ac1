"""One reader per kind of file: a path -> named tensors, exactly as stored. No names are judged.

A reader is ``(path, max_bytes) -> Raw``; ``READERS`` maps the kind of file to it. Nothing a file
says is executed, and nothing larger than the cap is allocated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from ..errors import WeightsError
from . import files
from .files import Container


@dataclass(frozen=True)
class Raw:
    """Tensors of a checkpoint under their own names.

    Attributes:
        container: kind of file.
        tensors: name -> tensor in the file's layout and precision.
        metadata: text stored beside the tensors.
        wrapped: key the tensors were under in a training checkpoint, None for a plain file.
        ignored: other entries of a training checkpoint (epoch, optimiser), not looked at.
    """

    container: Container
    tensors: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)
    wrapped: str | None = None
    ignored: tuple[str, ...] = ()


def read(path: Path, max_bytes: int = files.MAX_BYTES) -> Raw:
    """Read any known kind of checkpoint file.

    Raises:
        WeightsError: missing, too large, damaged, hostile or unknown file.
    """
    kind = files.container(path, max_bytes)
    raw = READERS[kind](path, max_bytes)
    if not raw.tensors:
        raise WeightsError(f"{path}: holds no weights")
    return raw


def _safetensors(path: Path, max_bytes: int) -> Raw:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return Raw("safetensors", tensors, dict(file.metadata() or {}))
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: damaged or cut safetensors file ({files.one_line(error)})"
        ) from None


READERS: dict[Container, Callable[[Path, int], Raw]] = {"safetensors": _safetensors}
