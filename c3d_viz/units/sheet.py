"""Kernels drawn: every frame of every kernel around mid-grey, on one signed scale."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..render import Canvas, Header, Legend, Picture, enlarge, raw_frames, scale_of, short
from .spectrum import KernelReading

Floats = npt.NDArray[np.float32]

MOST = 96  # kernels on a page: the strongest, in the order of their numbers
_TILE = 88  # pixels of one frame of a kernel of three
_GAP, _SPACE, _MARGIN, _TEXT = 4, 28, 28, 16
_WIDTH, _LEAST = 1624, 268  # between the margins; of a kernel's block, for its text
_ARROWS = "→↗↑↖←↙↓↘"


def kernel_sheet(
    values: Floats, readings: Sequence[KernelReading], title: str, subtitle: str
) -> Picture:
    """A page: the frames of each kernel side by side, and what it answers to in two lines.

    Args:
        values: (N, C, T, H, W) in the order R, G, B. readings: one for each.
        subtitle: the line that names the weights.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    chosen = _chosen(readings)
    pictures, upper = _pictures(values)
    frames, (high, wide) = values.shape[2], _size(values)
    block = max(frames * (wide + _GAP) - _GAP, _LEAST)
    return _page(
        chosen, pictures, block, high, wide, range(frames), title, subtitle, upper, readings, True
    )


def kernel_frames(
    values: Floats, readings: Sequence[KernelReading], title: str, subtitle: str
) -> Picture:
    """The same kernels moving: (T, height, width, 3) uint8 RGB, one page a frame."""
    chosen = _chosen(readings)
    pictures, upper = _pictures(values)
    high, wide = _size(values, 2)
    pages = [
        _page(
            chosen,
            pictures,
            max(wide, 140),
            high,
            wide,
            [t],
            title,
            subtitle,
            upper,
            readings,
            False,
        )
        for t in range(values.shape[2])
    ]
    return np.stack(pages)


def says(reading: KernelReading) -> tuple[str, str]:
    """What a kernel answers to, in two short lines."""
    if reading.kind == "empty":
        return "empty: all weights are zero", ""
    if reading.kind == "moving":
        arrow = _ARROWS[round(reading.direction / 45) % 8]
        what = f"moves {arrow} {round(reading.direction) % 360}°, {reading.speed:.2g} px/frame"
    elif math.isnan(reading.orientation):
        what = f"{reading.kind}, even surface"
    else:
        what = f"{reading.kind}, bars at {round(reading.orientation) % 180}°"
    numbers = f"f {reading.spatial_frequency:.2f}  ft {reading.temporal_frequency:.2f}  "
    return what, numbers + f"DI {reading.direction_index:.2f}  opp {reading.opponency:.2f}"


def _chosen(readings: Sequence[KernelReading]) -> list[int]:
    order = sorted(range(len(readings)), key=lambda i: -readings[i].norm)
    return sorted(order[:MOST])


def _size(values: Floats, times: int = 1) -> tuple[int, int]:
    """Height and width of one frame on the page: whole-number enlargement."""
    zoom = max(1, times * _TILE // max(values.shape[3:]))
    return values.shape[3] * zoom, values.shape[4] * zoom


def _pictures(values: Floats) -> tuple[list[Picture], float]:
    upper = float(scale_of(values.reshape(1, -1, *values.shape[3:]))[0])
    return [raw_frames(kernel, upper=upper) for kernel in values], upper


def _page(
    chosen: Sequence[int],
    pictures: Sequence[Picture],
    block: int,
    high: int,
    wide: int,
    times: Sequence[int],
    title: str,
    subtitle: str,
    upper: float,
    readings: Sequence[KernelReading],
    explained: bool,
) -> Picture:
    """One page; where nothing is ``explained`` a kernel has its number alone."""
    abreast = max(1, min(len(chosen), (_WIDTH + _SPACE) // (block + _SPACE)))
    width = 2 * _MARGIN + max(abreast * (block + _SPACE) - _SPACE, 700)
    header = Header(title, subtitle, width)
    text = 66 if explained else 24
    rows = -(-len(chosen) // abreast)
    line = text + high + 14
    notes = _notes(len(chosen), len(pictures), explained)
    meaning = f"mid-grey is 0, full colour ±{short(upper)} output per grey level; one scale for all"
    legend = Legend(width, None, (), meaning, notes)
    below = header.height + rows * line
    page = Canvas(width, below + legend.height)
    header.draw(page)
    for place, index in enumerate(chosen):
        x = _MARGIN + place % abreast * (block + _SPACE)
        y = header.height + place // abreast * line
        page.text(x, y, f"channel {readings[index].channel}", _TEXT, bold=True)
        for n, t in enumerate(times):
            tile = enlarge(pictures[index][t], high, wide, smooth=False)
            page.paste(x + n * (wide + _GAP), y + 22, tile)
        for n, words in enumerate(says(readings[index]) if explained else ()):
            page.text(x, y + 26 + high + 19 * n, words, _TEXT)
    legend.draw(page, below)
    return page.array()


def _notes(shown: int, count: int, explained: bool) -> list[str]:
    notes = []
    if explained:
        notes.append(
            "f, ft: cycles a pixel and a frame of the grating it answers to most. DI: direction "
            "index, 0 answers to both ways alike, 1 to one alone; the arrow stands from 1/3 on. "
            "opp: colour opponency, 0 is grey alone. Angles counter-clockwise, 0° to the right."
        )
    if shown < count:
        notes.append(f"The {shown} strongest of {count}; the table has all.")
    return notes
