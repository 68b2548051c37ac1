"""Dynamic, static and joint channels: what they share over pairs of clips (docs/units.md).

After Kowal et al. 2022, "A Deeper Dive Into What Deep Spatiotemporal Networks Encode": pairs of
clips that share one factor only, and the correlation of a unit's answers over the pairs. They
restyle real videos; the synthetic generator shares a factor exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ...clips import preprocess_frames
from ...engine import trace
from ...errors import LayerError
from ...nets import CONV_LAYERS, InputSpec
from ...progress import Progress
from ...stats import Floats, pearson
from ...synthetic import Scenes, procedural_library, render, sample_scenes
from ...work import Arrays
from ..reach import check_finite

Frames = npt.NDArray[np.uint8]  # (pairs, T, H, W, 3) RGB
KINDS = ("dynamic", "static", "joint", "none")
THRESHOLD = 0.5
ROLES = ("base", "dynamics", "appearance")


def paired_clips(pairs: int, seed: int, size: int = 112, frames: int = 16) -> dict[str, Frames]:
    """Base clips, clips with the same dynamics, and clips with the same appearance.

    ``dynamics[i]`` moves as ``base[i]`` does (path, size, turning, camera) with another object,
    background and light; ``appearance[i]`` has its object, background and light and moves
    otherwise.

    Returns:
        Per role uint8 (pairs, T, H, W, 3).
    """
    library = procedural_library(seed)
    generator = torch.Generator().manual_seed(seed)
    first, other = (
        sample_scenes(library, pairs, generator, frames=frames, size=size, clutter=0.5)
        for _ in range(2)
    )

    def combine(look: Scenes, move: Scenes) -> Frames:
        mixed = replace(
            move,
            target=replace(move.target, sprite=look.target.sprite),
            distractor=replace(move.distractor, sprite=look.distractor.sprite),
            background=look.background,
            view=look.view,
            light=look.light,
            grey=look.grey,
        )
        pixels = render(library, mixed, size).frames  # (N, 3, T, H, W), 0-255
        frames: Frames = pixels.round().to(torch.uint8).permute(0, 2, 3, 4, 1).contiguous().numpy()
        return frames

    return {
        "base": combine(first, first),
        "dynamics": combine(other, first),
        "appearance": combine(first, other),
    }


def answers(
    model: nn.Module,
    spec: InputSpec,
    clips: Mapping[str, Frames],
    layers: Sequence[str] = CONV_LAYERS,
    progress: Progress | None = None,
    what: str = "",
) -> Arrays:
    """Mean activation of every channel: ``<role>.<layer>`` -> (clips, channels).

    Clips larger than the network's input are looked at in the middle.

    Raises:
        LayerError: a layer that does not exist, is not called, or has no channels.
        VizError: a layer answers NaN.
    """
    out: Arrays = {}
    done, total = 0, sum(map(len, clips.values()))
    height, width = spec.crop
    example = next(model.parameters(), torch.zeros(0))
    for role, stack in clips.items():
        rows: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
        for frames in stack:
            top, left = (frames.shape[1] - height) // 2, (frames.shape[2] - width) // 2
            middle = frames[:, top : top + height, left : left + width]
            x = preprocess_frames(middle, spec).to(example.device, example.dtype)
            seen = trace(model, x, layers).activations
            for layer, means in rows.items():
                values = seen[layer]
                if values.ndim == 0:
                    raise LayerError(f"{layer} gives one number, no channels")
                check_finite(layer, values)
                if values.dtype != torch.float64:
                    values = values.float()  # half a precision is too little for a mean
                grid = tuple(range(1, values.ndim))
                means.append((values.mean(grid) if grid else values).cpu().numpy())
            done += 1
            if progress is not None:
                progress(done, total, what)
        for layer, means in rows.items():
            out[f"{role}.{layer}"] = np.stack(means).astype(np.float32)
    return out


def of_layer(measured: Arrays, layer: str) -> tuple[Floats, Floats, Floats]:
    """The answers of a layer to base, dynamics and appearance, each (pairs, channels)."""
    base, dynamics, appearance = (
        np.asarray(measured[f"{role}.{layer}"], np.float64) for role in ROLES
    )
    return base, dynamics, appearance


def correlations(base: Floats, dynamics: Floats, appearance: Floats) -> tuple[Floats, Floats]:
    """r_dynamic and r_static of every channel, (channels,) each; 0 for one that never changes."""
    return pearson(base, dynamics), pearson(base, appearance)


def kinds(r_dynamic: Floats, r_static: Floats) -> npt.NDArray[np.str_]:
    """Each channel's kind, one of ``KINDS``."""
    moves, looks = r_dynamic > THRESHOLD, r_static > THRESHOLD
    return np.select([moves & looks, moves, looks], ["joint", "dynamic", "static"], default="none")


def told(base: Floats, dynamics: Floats, appearance: Floats) -> dict[str, float]:
    """Share of each of ``KINDS`` among the channels; arguments as ``classify``."""
    found = kinds(*correlations(base, dynamics, appearance))
    return {kind: float((found == kind).mean()) for kind in KINDS}


def classify(base: Floats, dynamics: Floats, appearance: Floats) -> dict[str, float]:
    """Shares of dynamic, static, joint and none units, and of units that unrelated pairs move.

    Args:
        base, dynamics, appearance: (pairs, channels). Unrelated pairs are clip i and clip i + 1.

    Returns:
        Shares that sum to 1, and "unrelated": the share of units above the threshold for
        unrelated pairs, which should be near 0. Silent units are "none".
    """
    unrelated = pearson(base, np.roll(base, -1, axis=0)) > THRESHOLD
    return told(base, dynamics, appearance) | {"unrelated": float(unrelated.mean())}


def shares(measured: Arrays, layers: Sequence[str] = CONV_LAYERS) -> dict[str, dict[str, float]]:
    """By layer, the shares of :func:`classify`."""
    return {layer: classify(*of_layer(measured, layer)) for layer in layers}
