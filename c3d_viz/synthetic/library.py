"""Cut-outs and backgrounds the synthetic clips are made of: from a folder, or drawn here.

A folder has ``sprites/<what>/*.png`` (RGBA) and ``backgrounds/*.jpg``; docs/training.md says how
to make one from Debian packages. The procedural library needs no file at all.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ClipError

WHATS = ("animal", "food", "plant", "vehicle", "object", "person")
Split = Literal["train", "val", "test", "all"]

CANVAS = 72  # side of a stored cut-out
EXTENT = 64  # its longer side on that canvas; the rest is a transparent margin
BACKGROUND = (288, 384)  # height, width of a stored background


@dataclass(frozen=True)
class Library:
    """Cut-outs and backgrounds, decoded once.

    Attributes:
        sprites: uint8 (n, 4, 72, 72), RGB premultiplied by alpha, then alpha; 0-255.
        what: int64 (n,), index into ``WHATS``; -1 for a procedural shape.
        names: n names (file stems, or ``shape-<number>``).
        backgrounds: uint8 (m, 3, 288, 384) RGB.
    """

    sprites: Tensor
    what: Tensor
    names: tuple[str, ...]
    backgrounds: Tensor


def split_of(name: str) -> Split:
    """The split a sprite or background belongs to, from its file name alone.

    80 % train, 8 % val, 12 % test by SHA-256 of the name without its trailing numbers, so that
    numbered variants of one drawing (and a picture's day and night version) stay together.
    Names that begin with "extra-" always train: pictures added after the test was fixed.
    """
    if name.startswith("extra-"):
        return "train"
    key = re.sub(r"(-[dl]$|[-\d]+$)", "", Path(name).stem)
    bucket = int(hashlib.sha256(key.encode()).hexdigest(), 16) % 100
    return "train" if bucket < 80 else "val" if bucket < 88 else "test"


def load_library(
    root: str | Path, sprites: Split = "train", backgrounds: Split = "train"
) -> Library:
    """Read ``root/sprites/<what>/*.png`` and ``root/backgrounds/*`` of the given splits.

    Raises:
        ClipError: a class has no readable cut-out, or there is no background.
    """
    root = Path(root)
    cut, what, names = [], [], []
    for index, kind in enumerate(WHATS):
        folder = root / "sprites" / kind
        found = sorted(folder.glob("*.png"))
        paths = [p for p in found if _in(p, sprites)]
        read = [(p, image) for p in paths if (image := _read_sprite(p)) is not None]
        if not read:
            raise ClipError(
                f"no {kind} cut-outs for split {sprites!r} in {folder}: "
                + _why(found, paths, "expected RGBA .png files")
            )
        cut += [image for _, image in read]
        what += [index] * len(read)
        names += [f"{kind}/{p.stem}" for p, _ in read]
    found = sorted((root / "backgrounds").glob("*"))
    paths = [p for p in found if _in(p, backgrounds)]
    pictures = [picture for p in paths if (picture := _read_background(p)) is not None]
    if not pictures:
        raise ClipError(
            f"no readable pictures for split {backgrounds!r} in {root / 'backgrounds'}: "
            + _why(found, paths, "expected photographs")
        )
    return Library(
        torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).contiguous(),
        torch.tensor(what),
        tuple(names),
        torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous(),
    )


def chosen_library(folder: str | Path | None, seed: int) -> Library:
    """All of a folder's cut-outs and backgrounds; None: the procedural ones of this seed.

    Raises:
        ClipError: as ``load_library``.
    """
    return procedural_library(seed) if folder is None else load_library(folder, "all", "all")


def _why(found: list[Path], of_split: list[Path], expected: str) -> str:
    """Why a split has no pictures, and what to do."""
    if not found or of_split:
        return f"{expected}, see docs/training.md for how to make them"
    counts = Counter(split_of(p.name) for p in found)
    named = " and ".join(f"{count} in {split!r}" for split, count in counts.most_common())
    return (
        f"a file's name decides its split, and by theirs the {len(found)} there are "
        f"{named}; add more, or give some other names ('extra-' at the beginning puts one into "
        f"'train')"
    )


def _in(path: Path, split: Split) -> bool:
    return split == "all" or split_of(path.name) == split


def _read_sprite(path: Path) -> np.ndarray | None:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4:
        return None
    alpha = image[..., 3:].astype(np.float32) / 255
    image = np.concatenate([image[..., 2::-1] * alpha, image[..., 3:]], axis=2)
    scale = EXTENT / max(image.shape[:2])
    h, w = (max(1, round(side * scale)) for side in image.shape[:2])
    image = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else 1)
    canvas = np.zeros((CANVAS, CANVAS, 4), np.uint8)
    top, left = (CANVAS - h) // 2, (CANVAS - w) // 2
    canvas[top : top + h, left : left + w] = np.clip(np.rint(image), 0, 255)
    return canvas


def _read_background(path: Path) -> np.ndarray | None:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        return None
    size = (BACKGROUND[1], BACKGROUND[0])
    return np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)[..., ::-1])


def procedural_library(seed: int = 0, sprites: int = 24, backgrounds: int = 8) -> Library:
    """Textured random shapes and noise landscapes; needs no file. ``what`` is -1 throughout.

    A shape is the inside of r(theta) = r0 (1 + sum_k a_k cos(k theta + phi_k)), k = 2..5, filled
    with stripes or checks of two contrasting colours and a dark outline.
    """
    g = torch.Generator().manual_seed(seed)
    return Library(
        torch.stack([_shape(g) for _ in range(sprites)]),
        torch.full((sprites,), -1),
        tuple(f"shape-{i}" for i in range(sprites)),
        torch.stack([_landscape(g) for _ in range(backgrounds)]),
    )


def _shape(g: torch.Generator) -> Tensor:
    axis = (torch.arange(CANVAS) + 0.5) / CANVAS * 2 - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    theta, radius = torch.atan2(y, x), torch.hypot(x, y)
    edge = torch.full_like(theta, 0.62)
    for k in range(2, 6):
        amplitude, phase = torch.rand(2, generator=g).tolist()
        edge = edge * (1 + 0.12 * amplitude * torch.cos(k * theta + 6.283 * phase))
    alpha = ((edge - radius) * CANVAS / 2).clamp(0, 1)  # one pixel of anti-aliasing
    angle, phase, pick = torch.rand(3, generator=g).tolist()
    u = x * np.cos(angle * np.pi) + y * np.sin(angle * np.pi)
    v = -x * np.sin(angle * np.pi) + y * np.cos(angle * np.pi)
    wave = torch.sin(14 * u + 6.283 * phase)
    if pick > 0.5:
        wave = wave * torch.sin(14 * v)
    mix = (wave * 4).clamp(-1, 1) / 2 + 0.5
    first = torch.rand(3, 1, 1, generator=g) * 255
    second = 255 - first  # complementary: always a visible texture
    colour = first * mix + second * (1 - mix)
    colour = torch.where(edge - radius < 0.08, torch.full_like(colour, 20.0), colour)
    return torch.cat([colour * alpha, alpha[None] * 255]).round().to(torch.uint8)


def _landscape(g: torch.Generator) -> Tensor:
    total = torch.zeros(1, 3, *BACKGROUND)
    for cells, weight in ((3, 1.0), (8, 0.6), (24, 0.5), (72, 0.4)):
        noise = torch.rand(1, 3, cells * 3 // 4 + 1, cells, generator=g) - 0.5
        total += weight * F.interpolate(noise, BACKGROUND, mode="bilinear", align_corners=False)
    grey = total.mean(1, keepdim=True)  # half-desaturated, like a photograph
    return ((total + grey) * 75 + 120).clamp(0, 255).round().to(torch.uint8)[0]
