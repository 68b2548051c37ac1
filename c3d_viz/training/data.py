"""Batches of synthetic clips as network input."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ..nets import COMPACT_INPUT
from ..synthetic import HOWS, WHATS, Dice, Library, render, sample_scenes
from .loop import Batch
from .nets import Headed

SIZE = 112


def drawn(pictures: Tensor, dice: Dice) -> Tensor:
    """As many of the pictures as there are dice, with repeats, float32."""
    return pictures[dice.integer(0, len(pictures))].float()


def to_input(frames: Tensor) -> Tensor:
    """Frames (N, 3, ...) in 0-255 as the shipped network expects them."""
    return (frames - COMPACT_INPUT.mean[0]) * COMPACT_INPUT.scale


def clips(
    library: Library, n: int, frames: int = 16, clutter: float = 0.15, blend: bool = False
) -> Callable[[int, float], Batch]:
    """(seed, share) -> (clips (n, 3, 16, 112, 112), what, how).

    ``clutter`` grows to 1; ``blend`` makes backgrounds out of backgrounds (``blended``).
    """
    first = clutter

    def batch(seed: int, share: float) -> Batch:
        g = torch.Generator().manual_seed(seed)
        clutter = min(1.0, first + 0.95 * share)
        own = replace(library, backgrounds=blended(library.backgrounds, n, g)) if blend else library
        scenes = sample_scenes(own, n, g, frames=frames, size=SIZE, clutter=clutter)
        return to_input(render(own, scenes, SIZE, seed).frames), scenes.what, scenes.how

    return batch


def blended(backgrounds: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """n new backgrounds, uint8 (n, 3, h, w), out of (m, 3, h, w): m photographs are soon known.

    Half of them upside-down, half with their colour channels exchanged, half mixed with up to half
    of another, which is mirrored. A third has a pattern over it (``patterns``), a quarter is
    blurred: over grids and soft ground a camera pan is hardest to see.
    """
    dice = Dice(generator, n)

    def chance(share: float) -> Tensor:
        return dice.flip(share)[:, None, None, None]

    first, second = drawn(backgrounds, dice), drawn(backgrounds, dice)
    first = torch.lerp(first, second.flip(3), dice.uniform(0, 0.5, 1, 1, 1) * chance(0.5))
    first = torch.where(chance(0.5), first.flip(2), first)
    order = torch.rand(n, 3, generator=generator).argsort(1)
    exchanged = first.gather(1, order[:, :, None, None].expand_as(first))
    first = torch.where(chance(0.5), exchanged, first)
    striped = dice.flip(1 / 3).nonzero()[:, 0]
    over = patterns(len(striped), (first.shape[2], first.shape[3]), generator)
    first[striped] = torch.lerp(first[striped], over, dice.uniform(0.2, 0.9, 1, 1, 1)[striped])
    soft = dice.flip(0.25).nonzero()[:, 0]
    if len(soft):  # interpolate takes no empty batch
        small = F.interpolate(first[soft], scale_factor=1 / 8, mode="area")
        first[soft] = F.interpolate(small, first.shape[2:], mode="bilinear", align_corners=False)
    return first.round().clamp(0, 255).to(torch.uint8)


def patterns(n: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """n striped or chequered pictures in two colours, 0-255, float32 (n, 3, h, w).

    Periods of 8 to 48 pixels at any angle, edges from soft to hard.
    """
    dice = Dice(generator, n)
    y = torch.arange(size[0])[:, None].float()
    x = torch.arange(size[1])[None, :].float()
    angle = dice.uniform(0, math.pi, 1, 1)
    along, across = angle.cos() * x + angle.sin() * y, angle.cos() * y - angle.sin() * x
    low, high = math.log(8), math.log(48)
    turns = [2 * math.pi / torch.exp(dice.uniform(low, high, 1, 1)) for _ in range(2)]
    wave = torch.sin(along * turns[0])
    crossed = dice.uniform(0, 1, 1, 1) < 0.5
    wave = torch.where(crossed, wave * torch.sin(across * turns[1]), wave)
    mix = ((wave * torch.exp(dice.uniform(0, 2, 1, 1))).clamp(-1, 1) / 2 + 0.5)[:, None]
    return torch.lerp(dice.uniform(0, 255, 3, 1, 1), dice.uniform(0, 255, 3, 1, 1), mix)


def fixed_clips(library: Library, n: int, seed: int, frames: int = 16) -> Batch:
    """A balanced batch at full clutter: clip i is of class i mod 60 (seeded)."""
    g = torch.Generator().manual_seed(seed)
    index = torch.arange(n) % (len(WHATS) * len(HOWS))
    what, how = index // len(HOWS), index % len(HOWS)
    scenes = sample_scenes(library, n, g, what=what, how=how, frames=frames, size=SIZE)
    x = to_input(render(library, scenes, SIZE, seed).frames)
    return x, what, how


@torch.no_grad()
def accuracy(net: Headed, batches: list[Batch], bf16: bool = False) -> list[float]:
    """Share of right answers of each head."""
    right: list[list[Tensor]] = [[] for _ in net.heads]
    for x, *targets in batches:
        logits = net(x.contiguous(memory_format=net.memory_format), bf16=bf16)
        for k, (head, target) in enumerate(zip(net.split(logits), targets, strict=False)):
            right[k].append(head.argmax(1) == target)
    return [float(torch.cat(r).float().mean()) for r in right]
