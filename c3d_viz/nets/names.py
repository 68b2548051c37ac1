"""Modules of a network by name, through the wrappers that PyTorch puts around them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from torch import nn

_WRAPPERS = ("module", "_orig_mod")  # of DataParallel and its kind, and of torch.compile
_SHORT = 12  # so many names are listed whole


def unwrapped(model: nn.Module) -> nn.Module:
    """The module that a wrapper only calls: inside DataParallel, DDP, or ``torch.compile``."""
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif "_orig_mod" in model._modules:
            model = model.get_submodule("_orig_mod")
        else:
            return model


def module_named(model: nn.Module, layer: str) -> nn.Module | None:
    """The module of that name; else the only one whose name differs by wrappers alone."""
    modules: dict[str, nn.Module] = dict(model.named_modules(remove_duplicate=False))
    if layer and layer in modules:
        return modules[layer]
    alike = {id(m): m for name, m in modules.items() if _bare(name) == _bare(layer)}
    return next(iter(alike.values())) if len(alike) == 1 and _bare(layer) else None


def _bare(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def nearest(layer: str, known: Sequence[str]) -> str:
    """The names there are, or how many there are, and the three most like ``layer``."""
    if len(known) <= 3:
        return ", ".join(known) or "none"
    close = ", ".join(difflib.get_close_matches(layer[:200], known, n=3, cutoff=0))
    if len(known) <= _SHORT:
        return f"{', '.join(known)} (nearest: {close})"
    return f"{len(known)} layers, the nearest are {close}"
