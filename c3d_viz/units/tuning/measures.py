"""What is read off a tuning table. docs/units.md has the definitions, stated before any result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .sweep import DIRECTIONS, Responses

Floats = npt.NDArray[np.float64]

INDICES = (
    "direction_index", "texture_index", "sprite_index", "orientation_index", "motion_index",
    "separability",
)  # fmt: skip


@dataclass(frozen=True)
class Tuning:
    """What the N channels of a layer are tuned to; NaN for a silent one.

    Attributes:
        silent: bool (N,), no response to any drifting grating.
        direction, speed, wavelength: (N,) of the preferred grating, degrees and pixels (a frame).
        response: (N,) to it.
        curve: (N, 12) response by direction at the preferred speed and wavelength.
        texture_curve, sprite_curve: (N, 12) the same for the texture and the cut-out, at the
            preferred speed.
        sprite_direction, sprite_speed: (N,) of the cut-out's strongest response; NaN without one.
        direction_index, texture_index, sprite_index, orientation_index, motion_index, separability:
            (N,).
    """

    silent: npt.NDArray[np.bool_]
    direction: Floats
    speed: Floats
    wavelength: Floats
    response: Floats
    curve: Floats
    texture_curve: Floats
    sprite_curve: Floats
    sprite_direction: Floats
    sprite_speed: Floats
    direction_index: Floats
    texture_index: Floats
    sprite_index: Floats
    orientation_index: Floats
    motion_index: Floats
    separability: Floats


def tuning_of(responses: Responses) -> Tuning:
    """Read the indices off the responses of a layer's channels."""
    grating = responses.grating
    n = len(grating)
    every = np.arange(n)
    best = grating.reshape(n, -1).argmax(1)  # the first of equal ones
    d, s, w = np.unravel_index(best, grating.shape[1:])
    response = grating[every, d, s, w]
    silent = response <= 0
    other = (d + len(DIRECTIONS) // 2) % len(DIRECTIONS)
    curve = grating[every, :, s, w]
    texture, sprite = responses.texture[every, :, s], responses.sprite[every, :, s]
    moved = responses.sprite.reshape(n, -1)
    heading, pace = np.unravel_index(moved.argmax(1), responses.sprite.shape[1:])
    unmoved = moved.max(1) <= 0
    angles = np.radians(DIRECTIONS)
    still = responses.still.max(1)
    along = grating[every, d]  # (N, speeds, wavelengths)
    squares = np.asarray(np.linalg.svd(along, compute_uv=False), np.float64) ** 2

    def of(values: Floats) -> Floats:
        return np.where(silent, np.nan, values)

    return Tuning(
        silent,
        of(np.asarray(DIRECTIONS, np.float64)[d]),
        of(np.asarray(responses.grid.speeds)[s]),
        of(np.asarray(responses.grid.wavelengths)[w]),
        of(response),
        curve,
        texture,
        sprite,
        np.where(unmoved, np.nan, np.asarray(DIRECTIONS, np.float64)[heading]),
        np.where(unmoved, np.nan, np.asarray(responses.grid.speeds)[pace]),
        of(_contrast(response, curve[every, other])),
        of(_contrast(texture[every, d], texture[every, other])),
        of(_contrast(sprite[every, d], sprite[every, other])),
        of(_over(np.hypot(curve @ np.cos(2 * angles), curve @ np.sin(2 * angles)), curve.sum(1))),
        of(_contrast(response, still)),
        of(_over(squares[:, 0], squares.sum(1))),
    )


def _contrast(first: Floats, second: Floats) -> Floats:
    """(a - b) / (a + b); 0 where neither answers."""
    return _over(first - second, first + second)


def _over(part: Floats, whole: Floats) -> Floats:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), 0.0)
