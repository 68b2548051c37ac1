"""What a kernel that is a small film answers to, read off its spectrum.

A kernel ``k[c, t, y, x]`` is padded with zeros and transformed over t, y and x; its power
``P(ft, fy, fx)`` is the sum over colours of ``|FFT k_c|^2``, frequencies in cycles a frame and
cycles a pixel. The power at a frequency is how strongly the kernel answers to a drifting grating of
it, so the highest power belongs to its best grating. Each grating comes twice, at +f and -f; the
one with ``ft <= 0`` is taken, which drifts towards ``(fx, fy)``.

Whether it tells directions apart is read where the power of a grating exceeds most that of the same
grating drifting the other way, ``P(ft, fy, fx) - P(-ft, fy, fx)`` (motion opponency, Adelson and
Bergen 1985, "Spatiotemporal energy models for the perception of motion"). A kernel that is a
picture times a course in time has none anywhere.

A kernel of 3 x 3 x 3 has three samples along each axis. The padding interpolates its spectrum, it
does not sharpen it: the peaks of so short a film are broad and lean towards the highest frequency.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Kind = Literal["static", "changing", "moving", "empty"]

MOVING = 1 / 3  # direction index from which a kernel is called moving
STATIC = 1 / 3  # else: dynamic share below which it is called static
_FRAMES, _SIDE = 32, 64  # the padded film, at least
_NONE = 1e-9  # an index of rounding alone


@dataclass(frozen=True)
class KernelReading:
    """What one kernel answers to. Angles in degrees, counter-clockwise as seen, 0 to the right.

    Attributes:
        channel: of the convolution's output.
        norm: root of the sum of squares, output per grey level.
        kind: "moving" from a direction index of 1/3 on; else "static" where a still grating gets
            more than two thirds of the best answer (``dynamic`` below 1/3), else "changing";
            "empty" where all is zero.
        spatial_frequency: cycles a pixel of the best grating; 0 where that is an even surface.
        temporal_frequency: cycles a frame of it, at least 0.
        orientation: of its bars, 0 (level) to below 180 (90: upright); NaN without bars.
        direction_index: the largest P - P' of a grating and the same one drifting the other way,
            over the highest P: 0 answers to both alike, 1 to one alone.
        direction: where that grating drifts to, 0 to below 360 (90: up); NaN where the index is 0.
        speed: its pixels a frame, temporal over spatial frequency; NaN likewise.
        dynamic: 1 - the highest P of a still grating over the highest P: 0 for a kernel of one
            frame or equal ones, 1 for one that a still picture leaves silent.
        opponency: share of the energy that an achromatic pattern does not reach, 0 (grey alone) to
            1 (opposed colours alone): 1 - sum over pixels of (R + G + B)^2 / 3, over the energy.
        colour: (R, G, B) of length 1, the colour axis with most energy; its strongest part is
            positive.
    """

    channel: int
    norm: float
    kind: Kind
    spatial_frequency: float
    temporal_frequency: float
    orientation: float
    direction_index: float
    direction: float
    speed: float
    dynamic: float
    opponency: float
    colour: tuple[float, ...]


def read_kernel(kernel: npt.ArrayLike, channel: int = 0) -> KernelReading:
    """Read off what a kernel (C, T, H, W), colours in the order R, G, B, answers to."""
    film = np.asarray(kernel, np.float64)
    energy = float((film**2).sum())
    if energy == 0:
        nan = math.nan
        colour = (0.0,) * len(film)
        return KernelReading(channel, 0.0, "empty", nan, nan, nan, nan, nan, nan, nan, nan, colour)
    power, axes = _power(film)
    _, fy, fx, ft = _peak(power, axes)
    spatial = math.hypot(fy, fx)
    index, my, mx, mt = _peak(power - np.roll(power[::-1], 1, 0), axes)
    index /= float(power.max())
    if index < _NONE:
        index, direction, speed = 0.0, math.nan, math.nan
    else:
        direction, speed = math.degrees(math.atan2(-my, mx)) % 360, -mt / math.hypot(my, mx)
    dynamic = 1 - float(power[0].max() / power.max())
    return KernelReading(
        channel,
        math.sqrt(energy),
        "moving" if index >= MOVING else "static" if dynamic < STATIC else "changing",
        spatial,
        abs(ft),
        # y points down: a wave along (fx, fy) runs towards atan2(-fy, fx) as seen
        math.degrees(math.atan2(-fy, fx) + math.pi / 2) % 180 if spatial > 0 else math.nan,
        index,
        direction,
        speed,
        dynamic,
        max(0.0, 1 - float((film.sum(0) ** 2).sum()) / len(film) / energy),  # of rounding alone
        _colour(film),
    )


def _peak(values: Floats, axes: tuple[Floats, Floats, Floats]) -> tuple[float, float, float, float]:
    """The largest value where ft <= 0, and its fy, fx, ft."""
    past = np.where(axes[0][:, None, None] <= 0, values, -np.inf)
    spot = np.unravel_index(int(np.argmax(past)), values.shape)
    ft, fy, fx = (float(axis[i]) for axis, i in zip(axes, spot, strict=True))
    return float(values[spot]), fy, fx, ft


def _power(film: Floats) -> tuple[Floats, tuple[Floats, Floats, Floats]]:
    """Power (ft, fy, fx) of the padded film, summed over colours, and the axes' frequencies."""
    wanted = (_FRAMES, _SIDE, _SIDE)
    shape = [
        max(n, 1 << (4 * k - 1).bit_length()) for n, k in zip(wanted, film.shape[1:], strict=True)
    ]
    power: Floats = (np.abs(np.fft.fftn(film, shape, axes=(1, 2, 3))) ** 2).sum(0)
    t, y, x = (np.asarray(np.fft.fftfreq(n), np.float64) for n in shape)
    return power, (t, y, x)


def _colour(film: Floats) -> tuple[float, ...]:
    flat = film.reshape(len(film), -1)
    axis = np.linalg.eigh(flat @ flat.T)[1][:, -1]
    axis = axis * (1.0 if axis[np.argmax(np.abs(axis))] > 0 else -1.0)
    return tuple(float(v) for v in axis)
