"""Dynamic, static and joint units: what the channels of each layer share (docs/finding.md, 4).

After Kowal et al. 2022, "A Deeper Dive Into What Deep Spatiotemporal Networks Encode": pairs of
clips that share one factor only, and the correlation of a unit's answers over the pairs. They
restyle real videos; the synthetic generator shares a factor exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from ...clips import preprocess_frames
from ...engine import trace
from ...nets import CONV_LAYERS, InputSpec
from ...stats import Floats, pearson
from ...synthetic import Scenes, procedural_library, render, sample_scenes
from ..types import Arrays, Frames

KINDS = ("dynamic", "static", "joint", "none")
THRESHOLD = 0.5
ROLES = ("base", "dynamics", "appearance")


def paired_clips(pairs: int, seed: int, size: int = 112) -> dict[str, Frames]:
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
        sample_scenes(library, pairs, generator, size=size, clutter=0.5) for _ in range(2)
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


def answers(model: nn.Module, spec: InputSpec, clips: Mapping[str, Frames]) -> Arrays:
    """Mean activation of every channel: ``<role>.<layer>`` -> (clips, channels)."""
    out: Arrays = {}
    for role, stack in clips.items():
        rows: dict[str, list[np.ndarray]] = {layer: [] for layer in CONV_LAYERS}
        for frames in stack:
            seen = trace(model, preprocess_frames(frames, spec), CONV_LAYERS).activations
            for layer, means in rows.items():
                means.append(seen[layer].mean((1, 2, 3)).numpy())
        for layer, means in rows.items():
            out[f"{role}.{layer}"] = np.stack(means).astype(np.float32)
    return out


def classify(base: Floats, dynamics: Floats, appearance: Floats) -> dict[str, float]:
    """Shares of dynamic, static, joint and none units, and of units that unrelated pairs move.

    Args:
        base, dynamics, appearance: (pairs, channels). Unrelated pairs are clip i and clip i + 1.

    Returns:
        Shares that sum to 1, and "unrelated": the share of units above the threshold for
        unrelated pairs, which should be near 0. Silent units are "none".
    """
    r_dynamic = pearson(base, dynamics) > THRESHOLD
    r_static = pearson(base, appearance) > THRESHOLD
    shares = {
        "dynamic": r_dynamic & ~r_static,
        "static": r_static & ~r_dynamic,
        "joint": r_dynamic & r_static,
        "none": ~r_dynamic & ~r_static,
        "unrelated": pearson(base, np.roll(base, -1, axis=0)) > THRESHOLD,
    }
    return {kind: float(which.mean()) for kind, which in shares.items()}


def shares(measured: Arrays) -> dict[str, dict[str, float]]:
    """By layer, the shares of :func:`classify`."""
    return {
        layer: classify(*(np.asarray(measured[f"{role}.{layer}"], np.float64) for role in ROLES))
        for layer in CONV_LAYERS
    }
