"""What a reader returns: tensors under the names and in the layout of their source."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

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

    @property
    def mapped(self) -> bool:
        """The tensors look into the file, which may change or go: copy what is kept."""
        return self.container in ("torch zip", "safetensors")


_WRAPPERS = {"module", "_orig_mod"}  # of DataParallel and torch.compile, at any depth
_PREFIXES = ("model.", "net.", "network.")  # where training frameworks keep the network


def without_wrappers(name: str) -> str:
    """``module.encoder._orig_mod.conv.weight`` -> ``encoder.conv.weight``."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def without_prefixes(name: str) -> str:
    """Without wrappers, and without ``model.``, ``net.`` and the like at the front."""
    name = without_wrappers(name)
    while name.startswith(_PREFIXES):
        name = name.split(".", 1)[1]
    return name
