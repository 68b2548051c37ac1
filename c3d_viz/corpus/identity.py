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


# what makes another network of it, and what people call that
_DIFFERS = {"fingerprint": "weights", "pool5": "pool5", "code_sha256": "code", "input": "input"}


def key_of(facts: dict[str, Any]) -> str:
    """Twelve hex digits that differ wherever the vectors may."""
    exact = {"versions": versions(), **facts}
    return hashlib.sha256(json.dumps(exact, sort_keys=True).encode()).hexdigest()[:12]


def about(settings: Any, model: nn.Module, spec: ModelSpec) -> dict[str, Any]:
    """What the file says of itself: nothing that differs between two runs alike."""
    chosen = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
    del chosen["network"]
    return {**chosen, **about_network(model, spec)}


def about_network(model: nn.Module, spec: ModelSpec) -> dict[str, Any]:
    """The part of it that says which network it is."""
    takes = {k: v for k, v in vars(spec.input).items() if k != "mean_volume"}
    volume = spec.input.mean_volume
    if volume is not None:
        takes["mean_volume"] = hashlib.sha256(volume.tobytes()).hexdigest()
    return {
        "model": spec.name,
        "weights": spec.weights,
        "weights_sha256": spec.sha256,
        "fingerprint": fingerprint(model),
        "code_sha256": spec.code_sha256,
        "pool5": spec.pool5,
        "input": takes,
    }


def difference(about: dict[str, Any], model: nn.Module, spec: ModelSpec) -> str:
    """In what a network is another one than that of a corpus; nothing where it is the same."""
    ours = json.loads(json.dumps(about_network(model, spec)))
    for name, called in _DIFFERS.items():
        if about.get(name) != ours[name]:
            return called
    return ""


def versions() -> dict[str, str]:
    found = {}
    for name in _VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
