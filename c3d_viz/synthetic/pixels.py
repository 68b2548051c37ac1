"""Scenes to pixels: one ``grid_sample`` a layer for the whole batch, masks and flow exact."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .library import BACKGROUND, Library
from .scene import Pose, Scenes


@dataclass(frozen=True)
class Rendered:
    """Pixels of N scenes.

    Attributes:
        frames: float32 (N, 3, T, H, W) RGB, 0-255.
        alpha: float32 (N, T, H, W), how much of a pixel is the visible target, 0-1.
    """

    frames: Tensor
    alpha: Tensor


def render(library: Library, scenes: Scenes, size: int, noise_seed: int | None = None) -> Rendered:
    """Draw background, distractor, target, occluder, in this order.

    Time runs along the rows of the sampling grid, so that N clips of T frames cost one call.
    """
    n, frames = scenes.pan.shape[:2]
    axis = torch.arange(size) + 0.5
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    pixels = torch.stack([x, y], -1)  # (H, W, 2)

    pictures = library.backgrounds[scenes.background].float() * scenes.light[:, 2, :, None, None]
    canvas = torch.empty(n, 3, frames, size, size)
    panned = scenes.pan.abs().amax((1, 2)) > 0
    for rows, times in ((~panned, slice(0, 1)), (panned, slice(None))):  # one picture if no pan
        if bool(rows.any()):
            shift = scenes.pan[rows, times]
            canvas[rows] = _sample_background(pictures[rows], scenes.view[rows], shift, pixels)
    barred = (scenes.bar[:, 3] > 0).nonzero()[:, 0]
    scenery = canvas[barred].flip(3) * 0.8  # upside-down and darker: what occluders show
    if bool(scenes.distractor.shown.any()):
        shown = scenes.distractor.shown.nonzero()[:, 0]
        layer = _sample_sprite(library, scenes.distractor, scenes.light[:, 1], pixels, shown)
        canvas[shown] = canvas[shown] * (1 - layer[:, 3:]) + layer[:, :3]
    everyone = torch.arange(n)
    layer = _sample_sprite(library, scenes.target, scenes.light[:, 0], pixels, everyone)
    alpha = layer[:, 3]
    canvas = canvas.mul_(1 - layer[:, 3:]).add_(layer[:, :3])
    if len(barred):
        bar = _bar(scenes.bar[barred], scenes.pan[barred], pixels)  # (M, T, H, W)
        canvas[barred] = canvas[barred] * (1 - bar[:, None]) + scenery * bar[:, None]
        alpha[barred] *= 1 - bar
    if bool(scenes.grey.any()):
        grey = scenes.grey.nonzero()[:, 0]
        canvas[grey] = canvas[grey].mean(1, keepdim=True)
    if noise_seed is not None and bool(scenes.noise.any()):
        g = torch.Generator().manual_seed(noise_seed)
        # one noise field, shifted per frame: sensor noise at a sixteenth of the price
        field = torch.randn(3, size, size, generator=g)
        rolled = torch.stack([field.roll((5 * t, 7 * t), (1, 2)) for t in range(frames)], 1)
        canvas += rolled * scenes.noise[:, None, None, None, None]
    return Rendered(canvas.clamp_(0, 255), alpha)


def coverage(library: Library, scenes: Scenes, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """How much of each pixel is the visible target, distractor and occluder, (N, T, H, W), 0-1."""
    axis = torch.arange(size) + 0.5
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    pixels = torch.stack([x, y], -1)
    n, frames = scenes.pan.shape[:2]
    everyone = torch.arange(n)
    target = _sample_sprite(library, scenes.target, scenes.light[:, 0], pixels, everyone)[:, 3]
    distractor = torch.zeros_like(target)
    shown = scenes.distractor.shown.nonzero()[:, 0]
    if len(shown):
        layer = _sample_sprite(library, scenes.distractor, scenes.light[:, 1], pixels, shown)
        distractor[shown] = layer[:, 3]
    bar = torch.zeros(n, frames, size, size)
    barred = (scenes.bar[:, 3] > 0).nonzero()[:, 0]
    if len(barred):
        bar[barred] = _bar(scenes.bar[barred], scenes.pan[barred], pixels)
    return target * (1 - bar), distractor * (1 - target) * (1 - bar), bar


def flow(pose: Pose, pixels_size: int) -> Tensor:
    """Displacement in pixels of the target's material point under every pixel, (N, T, H, W, 2).

    Frame t holds the way to frame t + 1; the last frame the way from the frame before. With
    p = M u + c the material point is u = M^-1 (p - c). Values off the mask are those of the
    cut-out's plane.
    """
    axis = torch.arange(pixels_size) + 0.5
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    pixels = torch.stack([x, y], -1)
    following = torch.cat([pose.matrix[:, 1:], pose.matrix[:, -2:-1]], 1)
    centre = torch.cat([pose.centre[:, 1:], pose.centre[:, -2:-1]], 1)
    # M' u + c' - p = (M' - M) M^-1 (p - c) + c' - c: exactly 0 where nothing moves
    change = (following - pose.matrix) @ torch.linalg.inv(pose.matrix)
    arm = pixels - pose.centre[:, :, None, None]
    step = torch.einsum("ntij,nthwj->nthwi", change, arm)
    step += (centre - pose.centre)[:, :, None, None]
    step[:, -1] *= -1
    return step


def _material(matrix: Tensor, centre: Tensor, pixels: Tensor) -> Tensor:
    """u = M^-1 (p - c) for every pixel: (N, T, H, W, 2)."""
    inverse = torch.linalg.inv(matrix)
    offset = torch.einsum("ntij,ntj->nti", inverse, centre)
    x, y = pixels[..., 0], pixels[..., 1]
    columns = inverse[:, :, None, None]  # (N, T, 1, 1, 2, 2)
    along: Tensor = columns[..., 0] * x[..., None] + columns[..., 1] * y[..., None]
    return along - offset[:, :, None, None]


def _sample_sprite(
    library: Library, pose: Pose, light: Tensor, pixels: Tensor, rows: Tensor
) -> Tensor:
    """RGBA (n, 4, T, H, W) of the clips ``rows``: RGB 0-255 premultiplied, alpha 0-1."""
    cut = library.sprites[pose.sprite[rows]].float()
    cut[:, :3] *= light[rows][:, :, None, None]
    cut[:, :3] = cut[:, :3].minimum(cut[:, 3:])
    cut[:, 3] /= 255
    u = _material(pose.matrix[rows], pose.centre[rows], pixels)
    n, t, h, w, _ = u.shape
    out = F.grid_sample(cut, u.reshape(n, t * h, w, 2), padding_mode="zeros", align_corners=False)
    return out.reshape(n, 4, t, h, w)


def _sample_background(pictures: Tensor, view: Tensor, shift: Tensor, pixels: Tensor) -> Tensor:
    n, t = shift.shape[:2]
    h, w, _ = pixels.shape
    middle = torch.tensor([w / 2, h / 2])
    p = pixels - middle - shift[:, :, None, None]  # (N, T, H, W, 2)
    half = torch.tensor([BACKGROUND[1] / 2, BACKGROUND[0] / 2]) * (h / 112)
    u = view[:, None, None, None, :2] + p * (view[:, None, None, None, 2:] / half)
    out = F.grid_sample(
        pictures, u.reshape(n, t * h, w, 2), padding_mode="reflection", align_corners=False
    )
    return out.reshape(n, 3, t, h, w)


def _bar(bar: Tensor, pan: Tensor, pixels: Tensor) -> Tensor:
    normal = torch.stack([bar[:, 2].cos(), bar[:, 2].sin()], 1)[:, None, None, None]
    p = pixels - (bar[:, None, :2] + pan)[:, :, None, None]
    distance = (p * normal).sum(-1).abs()
    return (bar[:, 3, None, None, None] - distance + 0.5).clamp(0, 1)
