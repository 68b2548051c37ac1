"""What a result depends on: the network, its input, the settings, the libraries."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from torch import nn

from ..nets import ModelSpec, fingerprint

_VERSIONS = ("c3d-viz", "torch", "numpy", "opencv-python", "opencv-python-headless", "av", "pillow")


def key_of(model: nn.Module, facts: dict[str, Any]) -> str:
    """Twelve hex digits that differ wherever the vectors may."""
    exact = {"tensors": fingerprint(model), "versions": versions(), **facts}
    return hashlib.sha256(json.dumps(exact, sort_keys=True).encode()).hexdigest()[:12]


def about(settings: Any, spec: ModelSpec) -> dict[str, Any]:
    """What the file says of itself: nothing that differs between two runs alike."""
    chosen = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
    del chosen["network"]
    return {**chosen, **about_network(spec)}


def about_network(spec: ModelSpec) -> dict[str, Any]:
    """The part of it that a network must share to be compared."""
    takes = {k: v for k, v in vars(spec.input).items() if k != "mean_volume"}
    volume = spec.input.mean_volume
    if volume is not None:
        takes["mean_volume"] = hashlib.sha256(volume.tobytes()).hexdigest()
    return {
        "model": spec.name,
        "weights": spec.weights,
        "weights_sha256": spec.sha256,
        "code_sha256": spec.code_sha256,
        "pool5": spec.pool5,
        "input": takes,
    }


def versions() -> dict[str, str]:
    found = {}
    for name in _VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
