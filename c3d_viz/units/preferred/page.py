"""The page of a preferred stimulus: films as strips, and what the channel answers to each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...render import Canvas, Header, Legend, Picture, enlarge
from .rivals import Answer

_MARGIN, _GAP, _TEXT, _TILE = 28, 6, 18, 196
_FRAMES = 8  # of a film on the page
_BAR = (0, 114, 178)


def stimulus_page(
    answers: Sequence[Answer], title: str, subtitle: str, notes: Sequence[str]
) -> Picture:
    """A row for each film: its frames, its answer, and a bar as long as its mean answer.

    Args:
        answers: in the order in which they are shown; an untrained network's own is not put on the
            bar's scale, because two networks have two scales.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    count, height, width = answers[0].frames.shape[:3]
    times = np.unique(np.linspace(0, count - 1, min(_FRAMES, count)).round().astype(int))
    high = round(_TILE * height / width)
    room = 2 * _MARGIN + max(len(times), 4) * (_TILE + _GAP) - _GAP
    header = Header(title, subtitle, room)
    legend = Legend(
        room, None, (), "Bar: mean answer over the layer's grid, after the ReLU.", notes
    )
    line = 34 + high + 26
    page = Canvas(room, header.height + len(answers) * line + legend.height)
    header.draw(page)
    scale = max([a.mean for a in answers if a.kind != "untrained"] + [1e-30])
    for row, answer in enumerate(answers):
        y = header.height + row * line
        said = f"{answer.name}: mean {answer.mean:z.3g}, peak {answer.peak:z.3g}"
        page.text(_MARGIN, y, said, _TEXT, bold=answer.kind == "stimulus")
        if answer.kind != "untrained":
            length = round((room - 2 * _MARGIN) * answer.mean / scale)
            bar = np.full((6, max(length, 1), 3), _BAR, np.uint8)
            page.paste(_MARGIN, y + 26, bar, border=False)
        for n, t in enumerate(times):
            tile = enlarge(answer.frames[t], high, _TILE)
            page.paste(_MARGIN + n * (_TILE + _GAP), y + 36, tile)
    legend.draw(page, header.height + len(answers) * line)
    return page.array()


def strip(frames: Picture, count: int = 4, high: int = 112) -> Picture:
    """A few frames of a film (T, H, W, 3) side by side: (high, width, 3) uint8 RGB."""
    times = np.unique(np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int))
    width = round(high * frames.shape[2] / frames.shape[1])
    return np.concatenate([enlarge(frames[t], high, width) for t in times], axis=1)
