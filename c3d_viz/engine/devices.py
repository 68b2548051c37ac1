"""Where a network runs, by name."""

from __future__ import annotations

import torch

from ..errors import VizError


def device_named(name: str) -> torch.device:
    """The device ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        VizError: another name, or a GPU that is not here.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise VizError(f"no device {name!r}; use cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index):
        raise VizError(f"no device {name!r}; use cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise VizError(f"no device {name!r} here: PyTorch sees no such GPU; use cpu")
    return device
