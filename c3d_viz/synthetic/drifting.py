"""Patterns that drift at a known direction and speed: gratings, a texture, one cut-out on grey.

Angles are degrees, counter-clockwise as seen: 0 drifts to the right, 90 up. Position and time are
counted from the middle of the clip, so a pattern and the one drifting the other way are the same
frames in opposite order.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ClipError
from .library import procedural_library

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

MIDDLE = 127.5  # grey level around which patterns vary
CONTRAST = 0.75  # of a grating: half its range, as a share of MIDDLE
_BAND = (4.0, 32.0)  # wavelengths of the texture, pixels
CHEQUERED = 7  # seed of a cut-out without an orientation of its own
_TILE = 256  # side of the texture, which comes back without an edge


def drifting_grating(
    direction: float,
    speed: float,
    wavelength: float,
    *,
    frames: int = 16,
    height: int = 112,
    width: int = 112,
) -> Frames:
    """A grey sine grating, (T, H, W, 3) uint8 RGB.

    Args:
        direction: where it drifts to, degrees. speed: pixels a frame, at least 0.
        wavelength: pixels, at least 2.

    Raises:
        ClipError: numbers that describe no grating, or half a cycle a frame or more: there the
            direction is not the one that was asked for.
    """
    if not (speed >= 0 and wavelength >= 2 and speed / wavelength < 0.5):
        raise ClipError(
            f"a grating has a speed of at least 0, a wavelength of at least 2 pixels and less than "
            f"half a cycle a frame, got {speed} pixels a frame at {wavelength} pixels"
        )
    east, north = _heading(direction)
    t, y, x = (np.arange(n) - (n - 1) / 2 for n in (frames, height, width))
    along = (x * east - (y * north)[:, None])[None] - speed * t[:, None, None]
    return _grey(CONTRAST * np.cos(2 * np.pi / wavelength * along))


def drifting_texture(
    direction: float,
    speed: float,
    *,
    seed: int = 0,
    frames: int = 16,
    height: int = 112,
    width: int = 112,
) -> Frames:
    """Grey noise of no orientation (wavelengths of 4 to 32 pixels) that drifts, (T, H, W, 3) uint8.

    Shifts are exact at any fraction of a pixel (by the phase of its spectrum). Its contrast is a
    third of MIDDLE (standard deviation), cut at the ends of 0-255.
    """
    east, north = _heading(direction)
    spectrum, fy, fx = _texture(seed)
    planes = []
    for t in np.arange(frames) - (frames - 1) / 2:
        shift = np.exp(-2j * np.pi * speed * t * (fx * east - fy * north))
        picture = np.fft.ifft2(spectrum * shift).real
        rows, columns = (-(-n // _TILE) for n in (height, width))
        planes.append(np.tile(picture, (rows, columns))[:height, :width])
    return _grey(np.stack(planes))


def drifting_sprite(
    direction: float,
    speed: float,
    *,
    seed: int = CHEQUERED,
    frames: int = 16,
    height: int = 112,
    width: int = 112,
) -> Frames:
    """A grey procedural cut-out that moves over even grey, (T, H, W, 3) uint8.

    It is about three tenths of the shorter side long, in the middle of the picture in the middle of
    the clip, and keeps its posture. That of the default seed is round and chequered, so that no
    orientation stands out.
    """
    east, north = _heading(direction)
    picture = _sprite(seed)[None, None].expand(frames, -1, -1, -1)
    half = 0.24 * min(height, width)  # of the canvas, in pixels; a shape is 0.6 of it
    y = torch.arange(height, dtype=torch.float64) - (height - 1) / 2
    x = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    time = torch.arange(frames, dtype=torch.float64)[:, None, None] - (frames - 1) / 2
    across = (x[None, None, :] - speed * east * time) / half
    down = (y[None, :, None] + speed * north * time) / half
    full = (frames, height, width)
    grid = torch.stack([across.expand(full), down.expand(full)], -1)
    drawn: Floats = F.grid_sample(picture, grid, align_corners=False)[:, 0].numpy()
    return _grey(CONTRAST * drawn)


def _heading(direction: float) -> tuple[float, float]:
    """Unit vector (right, up); opposite directions get opposite numbers to the last bit."""
    turns, rest = divmod(direction, 180)
    sign = -1.0 if turns % 2 else 1.0
    return sign * math.cos(math.radians(rest)), sign * math.sin(math.radians(rest))


def _grey(contrast: Floats) -> Frames:
    levels = np.clip(np.rint(MIDDLE * (1 + contrast)), 0, 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=-1)


@lru_cache(4)
def _texture(seed: int) -> tuple[npt.NDArray[np.complex128], Floats, Floats]:
    """The texture's spectrum, standard deviation 1/3, and its frequencies down and to the right."""
    f = np.fft.fftfreq(_TILE)
    fy, fx = np.meshgrid(f, f, indexing="ij")
    radius = np.hypot(fy, fx)
    band = (radius >= 1 / _BAND[1]) & (radius <= 1 / _BAND[0])
    noise = np.random.default_rng(seed).standard_normal((_TILE, _TILE))
    # amplitudes fall with frequency, as in pictures of the world
    spectrum = np.fft.fft2(noise) * band / np.where(band, radius, 1)
    spectrum *= 1 / 3 / np.fft.ifft2(spectrum).real.std()
    return spectrum, fy, fx


@lru_cache(4)
def _sprite(seed: int) -> Tensor:
    """A cut-out's contrast, -1 to 1 and 0 outside of it: (72, 72) float64."""
    sprite = procedural_library(seed, 1, 1).sprites[0].double() / 255
    grey = sprite[:3].mean(0) - sprite[3] / 2  # premultiplied: 0 where nothing is
    return grey / grey.abs().max()
