"""What happens in a synthetic clip: poses of the cut-outs, camera pan, light. Numbers only.

A scene batch is drawn from one seeded generator; ``pixels`` turns it into pixels.
Positions are in pixels of a 112 x 112 frame and scale with the frame size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .library import CANVAS, EXTENT, WHATS, Library

HOWS = (
    "still", "left", "right", "up", "down",
    "expand", "contract", "clockwise", "counter-clockwise", "shake",
)  # fmt: skip
CLASSES = tuple(f"{what} {how}" for what in WHATS for how in HOWS)

_DIRECTIONS = {"left": math.pi, "right": 0.0, "up": -math.pi / 2, "down": math.pi / 2}


@dataclass(frozen=True)
class Pose:
    """Where one cut-out per clip is: p = matrix @ u + centre, u in [-1, 1]^2 over its canvas.

    Attributes:
        sprite: int64 (N,), index into the library.
        matrix: float32 (N, T, 2, 2), canvas units to pixels (x right, y down).
        centre: float32 (N, T, 2), pixels (x, y); the left edge of the picture is x = 0.
        shown: bool (N,), False where the clip does without this cut-out.
    """

    sprite: Tensor
    matrix: Tensor
    centre: Tensor
    shown: Tensor


@dataclass(frozen=True)
class Scenes:
    """Everything that is random about N clips of T frames.

    Attributes:
        what, how: int64 (N,), indices into ``WHATS`` (-1: procedural shape) and ``HOWS``.
        target, distractor: the labelled cut-out, and a smaller one behind it.
        pan: float32 (N, T, 2), shift in pixels of the whole picture (already in the centres).
        background: int64 (N,); view: float32 (N, 4), its x, y centre in [-1, 1] and x, y zoom.
        bar: float32 (N, 4), occluder across the picture in front: x, y of a point on its axis,
            angle, half width in pixels (0: none).
        light: float32 (N, 3, 3), factor per colour channel of target, distractor, background.
        grey: bool (N,), the whole clip without colour. noise: float32 (N,), sigma in 0-255.
    """

    what: Tensor
    how: Tensor
    target: Pose
    distractor: Pose
    pan: Tensor
    background: Tensor
    view: Tensor
    bar: Tensor
    light: Tensor
    grey: Tensor
    noise: Tensor


class Dice:
    """n random numbers at a time from one generator: (n,), or (n, *shape)."""

    def __init__(self, generator: torch.Generator, n: int) -> None:
        self.g, self.n = generator, n

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(self.n, *shape, generator=self.g)

    def flip(self, probability: float) -> Tensor:
        return torch.rand(self.n, generator=self.g) < probability

    def integer(self, low: int, high: int) -> Tensor:
        return torch.randint(low, high, (self.n,), generator=self.g)

    def sign(self) -> Tensor:
        return torch.where(self.flip(0.5), 1.0, -1.0)

    def cut_outs(self, library: Library, what: Tensor) -> Tensor:
        """A random cut-out of each wanted kind, int64 (n,)."""
        weights = (library.what[None, :] == what[:, None]).float()
        return torch.multinomial(weights, 1, generator=self.g)[:, 0]


def sample_scenes(
    library: Library,
    n: int,
    generator: torch.Generator,
    *,
    what: Tensor | None = None,
    how: Tensor | None = None,
    frames: int = 16,
    size: int = 112,
    clutter: float = 1.0,
    onset: int | None = None,
    offset: int | None = None,
    augment: bool = True,
) -> Scenes:
    """Draw n scenes.

    Args:
        library: cut-outs and backgrounds to choose from.
        n: number of clips.
        generator: the only source of randomness.
        what: int64 (n,) indices into WHATS; None draws uniformly (procedural: always -1).
        how: int64 (n,) indices into HOWS; None draws uniformly.
        frames: T. size: side of the picture in pixels.
        clutter: 0-1. Chance of a distractor is 0.6, of a pan 0.5, of an occluder 0.35 times this.
        onset: first frame that differs from the one before; None: random among the first third
            for half of the clips.
        offset: first frame that no longer differs from the one before; None: never.
        augment: random light, stretch, noise and grey; False keeps the library's own look.
    """
    dice, unit = Dice(generator, n), size / 112
    procedural = bool((library.what < 0).all())
    if what is None:
        what = torch.full((n,), -1) if procedural else dice.integer(0, len(WHATS))
    if how is None:
        how = dice.integer(0, len(HOWS))
    if onset is None and offset is None:
        late = torch.where(dice.flip(0.5), dice.integer(1, max(2, frames // 3)), 1)
    else:
        late = torch.full((n,), max(1, onset or 1))
    time = torch.arange(frames)[None, :]
    stop = frames if offset is None else offset
    # steps made so far: frame t differs from t - 1 for late <= t < stop
    done = (time.clamp(max=stop - 1) - late[:, None] + 1).clamp(min=0).float()
    steps = done.amax(1).clamp(min=1)

    pan_speed = dice.uniform(0.4, 2.0) * (dice.flip(0.5 * clutter)).float()
    pan_angle = dice.uniform(0, 2 * math.pi)
    pan = torch.stack([pan_angle.cos(), pan_angle.sin()], 1) * (pan_speed * unit)[:, None]
    pan = pan[:, None, :] * (time - (frames - 1) / 2)[..., None]

    size_px = dice.uniform(30, 70)
    middle = 56 + dice.uniform(-16, 16, 2)
    target = _pose(
        dice, dice.cut_outs(library, what), how, done, steps, size_px, middle, augment, unit, pan
    )
    share = dice.uniform(0.35, 0.6)
    place = 56 + dice.uniform(-46, 46, 2)
    other = dice.integer(0, len(library.names))
    otherwise = dice.integer(0, len(HOWS))
    distractor = _pose(
        dice, other, otherwise, done, steps, size_px * share, place, augment, unit, pan,
        shown=dice.flip(0.6 * clutter),
    )  # fmt: skip
    zoom = torch.exp(dice.uniform(math.log(0.9), math.log(2.0)))
    view = torch.cat([dice.uniform(-0.45, 0.45, 2), torch.stack([zoom, zoom], 1)], 1)
    view[:, 2] *= dice.sign()  # mirrored background
    # The bar crosses 0.2-0.5 target sizes from the target's middle place and hides a part of it.
    bar_angle = dice.uniform(0, math.pi)
    away = size_px * dice.uniform(0.2, 0.5) * dice.sign()
    normal = torch.stack([bar_angle.cos(), bar_angle.sin()], 1)
    width = dice.uniform(2.5, 6.0) * dice.flip(0.35 * clutter).float()
    bar = torch.cat(
        [(middle + away[:, None] * normal) * unit, bar_angle[:, None], width[:, None] * unit], 1
    )
    tint = 1 + 0.22 * dice.uniform(-1, 1, 3, 3)
    light = tint * torch.exp(0.3 * dice.uniform(-1, 1, 3, 1))
    grey, noise = dice.flip(0.1), dice.uniform(0, 5)
    if not augment:
        light, grey, noise = torch.ones(n, 3, 3), torch.zeros(n, dtype=torch.bool), noise * 0
    return Scenes(
        what, how, target, distractor, pan, dice.integer(0, len(library.backgrounds)),
        view, bar, light, grey, noise,
    )  # fmt: skip


def _pose(
    dice: Dice,
    sprite: Tensor,
    how: Tensor,
    done: Tensor,
    steps: Tensor,
    size_px: Tensor,
    middle: Tensor,
    augment: bool,
    unit: float,
    pan: Tensor,
    shown: Tensor | None = None,
) -> Pose:
    """Motion of class ``how`` about ``middle``; every dice is thrown for every class."""
    n = len(done)
    # from start to end: 18-62 pixels but at most 4.5 a frame; symmetric about the middle
    travel = torch.minimum(dice.uniform(18, 62), 4.5 * steps)
    ratio = torch.exp(dice.uniform(math.log(1.5), math.log(2.3)))
    turn = torch.minimum(
        dice.uniform(math.radians(50), math.radians(170)), math.radians(12) * steps
    )
    amplitude, period = dice.uniform(3, 7), dice.uniform(3, 6)
    shake_angle, tilt = dice.uniform(0, math.pi), dice.uniform(-1, 1)
    slant = dice.uniform(-1, 1) * math.radians(12)
    share = done / steps[:, None]  # (N, T), 0 -> 1
    about = share - 0.5

    kind = [HOWS[i] for i in how.tolist()]

    def when(*names: str) -> Tensor:
        return torch.tensor([k in names for k in kind], dtype=torch.float32)

    heading = torch.tensor([_DIRECTIONS.get(k, 0.0) for k in kind]) + slant
    along = about * (travel * when(*_DIRECTIONS))[:, None]
    centre = torch.stack([heading.cos(), heading.sin()], 1)[:, None, :] * along[..., None]
    reach = (amplitude * when("shake"))[:, None]
    swing = torch.sin(2 * math.pi * done / period[:, None]) * reach
    shaken = torch.stack([shake_angle.cos(), shake_angle.sin()], 1)[:, None] * swing[..., None]
    centre = centre + shaken
    centre = (centre + middle[:, None, :]) * unit + pan
    growth = when("expand") - when("contract")
    long = size_px[:, None] * torch.exp(growth[:, None] * about * ratio.log()[:, None])
    # y points down, so a positive angle turns clockwise as seen
    turning = (when("clockwise") - when("counter-clockwise")) * turn
    angle = tilt[:, None] * math.radians(25 if augment else 10) + turning[:, None] * about
    stretch = torch.exp(dice.uniform(-0.18, 0.18)) if augment else torch.ones(n)
    mirror = dice.sign()
    half = long * unit / 2 * CANVAS / EXTENT
    cos, sin = angle.cos(), angle.sin()
    rotation = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    own = torch.stack([stretch * mirror, 1 / stretch], 1)[:, None, None, :]
    matrix = rotation * own * half[..., None, None]
    if shown is None:
        shown = torch.ones(n, dtype=torch.bool)
    return Pose(sprite, matrix, centre, shown)
