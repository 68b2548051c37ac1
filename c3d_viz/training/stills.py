"""Composed pictures for the first phase: one labelled cut-out on a piece of a photograph.

Stills vary more than the frames of a clip (size, place, tilt, light), are drawn from pieces cut
out beforehand, and cost a sixth of a rendered scene. Learning *what* needs many of them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ..synthetic import BACKGROUND, CANVAS, EXTENT, WHATS, Dice, Library
from .data import SIZE, drawn, to_input
from .loop import Batch, Batches

MIDDLE = SIZE / 2


class _Dice(Dice):
    def light(self) -> Tensor:
        """Factor per colour channel, (n, 3, 1, 1)."""
        return (1 + 0.22 * self.uniform(-1, 1, 3, 1, 1)) * torch.exp(
            0.3 * self.uniform(-1, 1, 1, 1, 1)
        )

    def order(self) -> Tensor:
        return torch.randperm(self.n, generator=self.g)


def pieces(library: Library, n: int, generator: torch.Generator) -> Tensor:
    """n random squares of the backgrounds, 112 to 258 pixels wide, as uint8 (n, 3, 112, 112)."""
    height, width = BACKGROUND

    def draw() -> float:
        return float(torch.rand(1, generator=generator))

    found = []
    for _ in range(n):
        which = int(torch.randint(len(library.backgrounds), (1,), generator=generator))
        side = min(int(SIZE * math.exp(draw() * math.log(2.3))), height)
        top, left = int(draw() * (height - side)), int(draw() * (width - side))
        piece = library.backgrounds[which, None, :, top : top + side, left : left + side].float()
        small = F.interpolate(piece, (SIZE, SIZE), mode="bilinear", antialias=True)
        found.append(small.round().to(torch.uint8))
    return torch.cat(found)


def compose(
    library: Library,
    backgrounds: Tensor,
    n: int,
    generator: torch.Generator,
    clutter: float = 1.0,
    what: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """n pictures and what they show.

    Args:
        library: cut-outs with kinds.
        backgrounds: from :func:`pieces`.
        clutter: 0: large, central, nothing else. 1: smaller, anywhere, tilted more, 40 % with a
            second cut-out behind and 30 % with a bar in front.
        what: int64 (n,) kinds; None draws them uniformly.

    Returns:
        float32 (n, 3, 112, 112) RGB in 0-255, and int64 (n,) kinds in the same order.
    """
    dice = _Dice(generator, n)
    if what is None:
        what = dice.integer(0, len(WHATS))
    sprite = dice.cut_outs(library, what)

    image = drawn(backgrounds, dice)
    image = torch.where(dice.flip(0.5)[:, None, None, None], image.flip(3), image)
    image = image * dice.light()
    size = dice.uniform(46 - 18 * clutter, 80 - 4 * clutter)
    centre = MIDDLE + dice.uniform(-26, 26, 2) * (0.4 + 0.6 * clutter)

    behind = _Dice(generator, int(n * 0.4 * clutter))
    if behind.n:
        other = _cut(
            library,
            behind.integer(0, len(library.what)),
            size[: behind.n] * behind.uniform(0.35, 0.6),
            MIDDLE + behind.uniform(-46, 46, 2),
            behind.uniform(-0.45, 0.45),
            torch.exp(behind.uniform(-0.18, 0.18)),
            behind.sign(),
        )
        image[: behind.n] = _over(image[: behind.n], other, behind.light())

    tilt = dice.uniform(-1, 1) * (0.2 + 0.35 * clutter)
    tilt = tilt * torch.where(dice.flip(0.7), 1.0, 2.2)  # some lie on their side
    stretch = torch.exp(dice.uniform(-0.2, 0.2))
    target = _cut(library, sprite, size, centre, tilt, stretch, dice.sign())
    image = _over(image, target, dice.light())

    order = dice.order()  # or the same rows would get a distractor, a bar and no colour
    image, what = image[order], what[order]
    front = _Dice(generator, int(n * 0.3 * clutter))
    if front.n:
        bar = _bars(front)
        image[: front.n] = image[: front.n] * (1 - bar) + drawn(backgrounds, front) * 0.8 * bar
    order = dice.order()
    image, what = image[order], what[order]
    grey = n // 10
    image[:grey] = image[:grey].mean(1, keepdim=True)
    # one noise field for the batch, in another strength for every picture
    noise = torch.randn(image.shape[1:], generator=generator)
    image = image + noise * dice.uniform(0, 5)[:, None, None, None]
    return image.clamp(0, 255), what


def batches(library: Library, n: int, backgrounds: Tensor, clutter: float | None = None) -> Batches:
    """(seed, share of the run done) -> pictures as input, what. Clutter None grows from 0 to 1."""

    def batch(seed: int, share: float) -> Batch:
        grown = min(1.0, max(0.0, (share - 0.15) / 0.5)) if clutter is None else clutter
        g = torch.Generator().manual_seed(seed)
        image, what = compose(library, backgrounds, n, g, grown)
        return to_input(image).contiguous(memory_format=torch.channels_last), what

    return batch


def _over(image: Tensor, layer: Tensor, light: Tensor) -> Tensor:
    """A cut-out (RGB premultiplied, alpha, 0-255) under a coloured light, over a picture."""
    alpha = layer[:, 3:]
    return image * (1 - alpha / 255) + (layer[:, :3] * light).minimum(alpha)


def _cut(
    library: Library,
    sprite: Tensor,
    size: Tensor,
    centre: Tensor,
    angle: Tensor,
    stretch: Tensor,
    mirror: Tensor,
) -> Tensor:
    """Cut-outs at their places, (n, 4, 112, 112). ``size`` is the longer side in pixels."""
    half = size / 2 * CANVAS / EXTENT
    cos, sin = angle.cos() / half, angle.sin() / half
    inverse = torch.stack(
        [
            torch.stack([cos / stretch * mirror, sin / stretch * mirror], -1),
            torch.stack([-sin * stretch, cos * stretch], -1),
        ],
        -2,
    )
    shift = inverse.sum(-1) * MIDDLE - torch.einsum("nij,nj->ni", inverse, centre)
    theta = torch.cat([inverse * MIDDLE, shift[..., None]], -1)
    grid = F.affine_grid(theta, [len(sprite), 4, SIZE, SIZE], align_corners=False)
    return F.grid_sample(library.sprites[sprite].float(), grid, align_corners=False)


def _bars(dice: _Dice) -> Tensor:
    """Alpha (n, 1, 112, 112) of a straight bar across each picture."""
    axis = torch.arange(SIZE) + 0.5
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    angle = dice.uniform(0, math.pi)
    normal = torch.stack([angle.cos(), angle.sin()], -1)[:, None, None]
    offset = torch.stack([x, y], -1) - MIDDLE - dice.uniform(-20, 20, 2)[:, None, None]
    distance = (offset * normal).sum(-1).abs()
    return (dice.uniform(2.5, 6)[:, None, None] - distance + 0.5).clamp(0, 1)[:, None]
