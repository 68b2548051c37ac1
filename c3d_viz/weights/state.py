"""A state_dict of any network: the names in the file are matched with the network's, strictly."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..errors import WeightsError
from . import files
from .assemble import FLOATS, finite, listed
from .raw import Raw, without_prefixes, without_wrappers
from .readers import read

_COUNTERS = ".num_batches_tracked"  # BatchNorm's; PyTorch before 0.4.1 had none, and no map uses it
_CONTAINERS = ("torch zip", "torch pickle", "safetensors", "npz")


@dataclass(frozen=True)
class LoadedState:
    """Where the numbers of a network came from.

    Attributes:
        path: the file.
        sha256: hex digest.
        names: the network's name of each tensor -> its name in the file.
        wrapped: key the tensors were under in a training checkpoint, None for a plain file.
        ignored: other entries of a training checkpoint (epoch, optimiser), not looked at.
        metadata: text stored beside the tensors of a safetensors file.
    """

    path: Path
    sha256: str
    names: dict[str, str]
    wrapped: str | None = None
    ignored: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)


def read_state(path: str | Path, *, max_bytes: int = files.MAX_BYTES) -> Raw:
    """The named tensors of a state_dict file (torch, safetensors, npz), as stored.

    Nothing the file says is run; training checkpoints are looked through, see ``Raw``.

    Raises:
        WeightsError: missing, too large, damaged or hostile file, or one of another kind.
    """
    raw = read(files.named(path), max_bytes)
    if raw.container not in _CONTAINERS:
        raise WeightsError(
            f"{path}: is a {raw.container} file, whose tensors lie otherwise than a PyTorch "
            f"network's; give a state_dict (torch.save or safetensors)"
        )
    return raw


def load_state(
    module: nn.Module, path: str | Path, *, max_bytes: int = files.MAX_BYTES
) -> LoadedState:
    """Copy a state_dict file into a network of any kind, strictly.

    Names are matched as they are; else with ``module.`` and ``_orig_mod.`` (DataParallel,
    torch.compile) taken out anywhere, in the file's names and the network's; else with
    ``model.``, ``net.`` and ``network.`` taken off the front too. The network's types, devices,
    mode and ``requires_grad`` stay. If anything is wrong the network is as it was.

    Raises:
        WeightsError: the file cannot be read (see ``read_state``), or it does not fit: one line
            with the first missing, left-over, misshapen or not finite tensors and how many.
    """
    path = files.named(path)
    own = {name: t for name, t in module.state_dict().items() if isinstance(t, Tensor)}
    if any(is_lazy(t) or t.is_meta for t in own.values()):
        raise WeightsError(
            f"{path}: the network has parameters without memory (lazy, or on the meta device); "
            f"run it once, or call to_empty(device='cpu'), before weights are loaded"
        )
    raw = read_state(path, max_bytes=max_bytes)
    names, left = _match(own, raw.tensors)
    pairs = {name: (own[name], raw.tensors[source]) for name, source in names.items()}
    found = {
        "missing": [n for n in own if n not in names and not n.endswith(_COUNTERS)],
        "left over": left,
        "wrong shape": [
            f"{names[name]} is {tuple(given.shape)}, expected {tuple(mine.shape)}"
            for name, (mine, given) in pairs.items()
            if mine.shape != given.shape
        ],
        "wrong type": [
            f"{names[name]} is {given.dtype}, expected {mine.dtype}"
            for name, (mine, given) in pairs.items()
            if mine.is_floating_point() != (given.dtype in FLOATS)
        ],
    }
    problems = [f"{what}: {listed(which)}" for what, which in found.items() if which]
    if not problems and (
        bad := [
            names[name] for name, (_, t) in pairs.items() if t.dtype in FLOATS and not finite(t)
        ]
    ):
        problems.append(f"NaN or infinite numbers in: {listed(bad)}")
    if problems:
        raise WeightsError(
            f"{path}: {len(raw.tensors)} tensors do not fit {type(module).__name__}, which has "
            f"{len(own)}; {'; '.join(problems)}"
        )
    digest = files.sha256(path)
    # not strict: what is missing was checked, and extra state that is no tensor stays as it is
    module.load_state_dict({name: given for name, (_, given) in pairs.items()}, strict=False)
    return LoadedState(path, digest, names, raw.wrapped, raw.ignored, raw.metadata)


def _match(own: Collection[str], given: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """(own name -> given name, given names without a partner), by the plainest rule that fits."""
    best: dict[str, str] = {}
    for rule in (str, without_wrappers, without_prefixes):
        ours = {rule(name): name for name in own}
        theirs = {rule(name): name for name in given}
        names = {ours[n]: theirs[n] for n in ours if n in theirs}
        unique = len(ours) == len(own) and len(theirs) == len(given)
        if unique and len(names) > len(best):
            best = names
    partners = set(best.values())
    return best, [name for name in given if name not in partners]
