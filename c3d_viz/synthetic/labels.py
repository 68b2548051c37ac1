"""What every pixel of a synthetic clip belongs to: object, its edges, distractor, background."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .library import Library
from .pixels import coverage, render
from .scene import HOWS, sample_scenes

Masks = npt.NDArray[np.bool_]

PARTS = ("object", "distractor", "occluder", "background", "leading edge", "trailing edge")
DEPTH = 4.0  # pixels of an edge, in a frame of 112
MOVES = 0.3  # pixels a frame of the object's middle from which it has a leading edge, likewise


@dataclass(frozen=True)
class LabelledClip:
    """A clip with full clutter and what each of its pixels is.

    Attributes:
        frames: uint8 (T, H, W, 3) RGB.
        masks: bool (6, T, H, W) in the order of ``PARTS``; the first four share every pixel out,
            the edges lie on the object.
        what: index into ``WHATS``, -1 for a procedural shape. how: index into ``HOWS``.
    """

    frames: npt.NDArray[np.uint8]
    masks: Masks
    what: int
    how: int


def labelled_clips(
    library: Library, count: int, seed: int, *, frames: int = 16, size: int = 112, batch: int = 8
) -> Iterator[LabelledClip]:
    """Clips one by one, motions in turn; the same arguments give the same pixels.

    Args:
        seed: of objects, places, backgrounds, light and noise.
        size: side of the picture, pixels. batch: clips drawn at a time; part of the seed.
    """
    for first in range(0, count, batch):
        n = min(batch, count - first)
        generator = torch.Generator().manual_seed(seed * 100_003 + first)
        how = (torch.arange(first, first + n)) % len(HOWS)
        scenes = sample_scenes(library, n, generator, how=how, frames=frames, size=size)
        pixels = render(library, scenes, size, seed * 100_003 + first).frames
        shown = coverage(library, scenes, size)
        target, distractor, bar = (part > 0.5 for part in shown)
        centre = scenes.target.centre
        step = torch.cat([centre[:, 1:] - centre[:, :-1], centre[:, -1:] - centre[:, -2:-1]], 1)
        for i in range(n):
            lead, trail = _edges(target[i], step[i] * (112 / size), DEPTH * size / 112)
            rest = ~(target[i] | distractor[i] | bar[i])
            masks = torch.stack([target[i], distractor[i], bar[i], rest, lead, trail])
            picture = pixels[i].permute(1, 2, 3, 0).round().clamp(0, 255).to(torch.uint8)
            yield LabelledClip(
                picture.numpy(), masks.numpy(), int(scenes.what[i]), int(scenes.how[i])
            )


def _edges(target: Tensor, step: Tensor, depth: float) -> tuple[Tensor, Tensor]:
    """Pixels of the object (T, H, W) from which ``depth`` pixels ahead, or behind, it ends."""
    lead, trail = torch.zeros_like(target), torch.zeros_like(target)
    for t, (dx, dy) in enumerate(step.tolist()):
        speed = float(np.hypot(dx, dy))
        if speed < MOVES:
            continue
        ahead = round(dx / speed * depth), round(dy / speed * depth)
        lead[t] = target[t] & ~_seen_at(target[t], *ahead)
        trail[t] = target[t] & ~_seen_at(target[t], -ahead[0], -ahead[1])
    return lead, trail


def _seen_at(mask: Tensor, dx: int, dy: int) -> Tensor:
    """mask(y + dy, x + dx); outside the picture as at its border."""
    height, width = mask.shape
    y = (torch.arange(height) + dy).clamp(0, height - 1)
    x = (torch.arange(width) + dx).clamp(0, width - 1)
    return mask[y][:, x]
