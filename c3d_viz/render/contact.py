"""The page of a layer: its strongest feature maps one below the other, small ones close up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import checked
from ..errors import ShapeError
from .canvas import (
    GAP,
    GRAY,
    INK,
    MARGIN,
    SMALL,
    Canvas,
    Header,
    Legend,
    Picture,
    check_page,
    enlarge,
    fitted,
    short,
    wrapped,
)
from .filmstrip import Row, frame_rows
from .maps import (
    DIVERGING,
    SEQUENTIAL,
    ChannelOrder,
    Floats,
    Mode,
    check_frames,
    notes_of,
    plane,
    raw_frames,
    scale_of,
    values_of,
)

_SIDE = 250  # width of the text beside a map
_SMALL_BOX = 40  # a map no larger than this (in pixels, both ways) is shown close up
_MIN_BOX = 16


@dataclass(frozen=True)
class CloseUp:
    """The frame where a map is strongest, and the square around all of it."""

    frame: int
    top: int
    left: int
    size: int

    def cut(self, picture: Picture) -> Picture:
        """The square, from that frame's picture (H, W, 3)."""
        return picture[self.top : self.top + self.size, self.left : self.left + self.size]


def close_up(values: Floats) -> CloseUp | None:
    """Where to look at a map (T, H, W) that fills only a corner; None if it is large or zero."""
    strength = np.abs(values)
    spots = np.argwhere(strength.max(axis=0) > 0)
    if not len(spots):
        return None
    (top, left), (bottom, right) = spots.min(axis=0), spots.max(axis=0) + 1
    extent = int(max(bottom - top, right - left))
    height, width = values.shape[1:]
    if extent > _SMALL_BOX or min(height, width) < 2 * _SMALL_BOX:
        return None
    size = max(_MIN_BOX, extent + 4)

    def first(low: int, high: int, limit: int) -> int:
        return int(np.clip((low + high - size) // 2, 0, limit - size))

    frame = int(strength.sum(axis=(1, 2)).argmax())
    return CloseUp(frame, first(top, bottom, height), first(left, right, width), size)


@checked(ShapeError)
def contact_sheet(
    frames: Picture,
    atts: Sequence[Any],
    *,
    title: str = "",
    subtitle: str = "",
    labels: Sequence[str] | None = None,
    mode: Mode = "magnitude",
    kind: Row = "overlay",
    at: Sequence[int] | None = None,
    numbers: Sequence[int] | None = None,
    tile: int = 192,
    channel_order: ChannelOrder = "RGB",
) -> Picture:
    """Several feature maps of one layer, one below the other, at a few frames each.

    Every map has its own scale over its whole clip (layers and maps differ by orders of
    magnitude); the bound stands beside it. The first row is the clip. Where the maps are small
    (a unit of conv2a sees 8 x 8 pixels), two more columns show the clip and the raw map close up
    in the frame where the map is strongest, and a box marks the place.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        atts: attributions (3, T, H, W), strongest first; their notes stand at the foot.
        labels: text beside each; by default channel, activation and position.
        kind: "overlay" or "raw".
        at: indices of the frames shown; by default six (four beside close-ups), evenly spread.
        numbers, channel_order: as in ``filmstrip``.

    Raises:
        ShapeError: shapes that do not fit, NaN, or no attribution at all.
    """
    check_frames(frames)
    check_page(tile)
    if not len(atts):
        raise ShapeError("a contact sheet needs at least one attribution")
    planes = [plane(att, mode) for att in atts]
    places = [close_up(values) for values in planes]
    near = any(places)
    if at is None:
        last = 3 if near else 5
        at = sorted({round(i * (len(frames) - 1) / last) for i in range(last + 1)})
    numbers = list(range(len(frames)) if numbers is None else numbers)
    labels = [_unit_label(att, i) for i, att in enumerate(atts)] if labels is None else labels
    if len(numbers) != len(frames) or len(labels) != len(atts):
        raise ShapeError(
            f"{len(numbers)} frame numbers and {len(labels)} labels given for {len(frames)} frames "
            f"and {len(atts)} attributions"
        )
    if not len(at) or not all(0 <= index < len(frames) for index in at):
        raise ShapeError(f"at must be frames 0 to {len(frames) - 1}, got {list(at)}")
    height = round(tile * frames.shape[1] / frames.shape[2])
    columns = [MARGIN + _SIDE + i * (tile + GAP) for i in range(len(at) + 2 * near)]
    width = columns[-1] + tile + MARGIN
    header = Header(title, subtitle, width)
    legend = _legend(width, kind, mode, near, notes_of(*atts))
    first = header.height + 26
    below = first + (len(atts) + 1) * (height + GAP) + 8
    page = Canvas(width, below + legend.height)
    header.draw(page)
    page.text(MARGIN, first + 4, "clip", SMALL)
    heads = [f"frame {numbers[index]}" for index in at]
    for x, head in zip(columns, [*heads, "clip, close up", "raw map, close up"], strict=False):
        page.text(x, header.height, fitted(head, tile, SMALL), SMALL, colour=GRAY)
    for x, index in zip(columns, at, strict=False):
        page.paste(x, first, enlarge(frames[index], height, tile))
    shown = list(at)
    for r, (att, label, place) in enumerate(zip(atts, labels, places, strict=True), start=1):
        values = planes[r - 1]
        check_frames(frames, values.shape)
        own = values_of(att)
        bounds = scale_of(values)[shown]
        full = scale_of(own)[shown] if kind == "raw" or place is not None else bounds
        pictures = frame_rows(
            frames[shown], own[:, shown], (kind,), mode, bounds, full, channel_order
        )[kind]
        bound = float(full[0] if kind == "raw" else bounds[0])
        y = first + r * (height + GAP)
        facts = [f"colours up to {short(bound)}" if bound else "all zero"]
        if place is not None:
            facts.append(f"close up: frame {numbers[place.frame]}")
        _beside(page, y, height, label, facts)
        for x, picture in zip(columns, pictures, strict=False):
            page.paste(x, y, enlarge(picture, height, tile))
            if place is not None:
                _mark(page, x, y, tile / frames.shape[2], place)
        if place is not None:
            one = own[:, place.frame : place.frame + 1]
            raw = raw_frames(one, upper=full[:1], channel_order=channel_order)[0]
            for x, source in zip(columns[len(at) :], (frames[place.frame], raw), strict=True):
                page.paste(x, y, enlarge(place.cut(source), height, tile, smooth=False))
    legend.draw(page, below)
    return page.array()


def _legend(width: int, kind: Row, mode: Mode, near: bool, notes: Sequence[str]) -> Legend:
    own = "each map has its own scale, one for its whole clip; its upper end stands beside it"
    if near and kind != "raw":
        own += "; in the raw map mid-grey is 0"
    if kind == "raw":
        return Legend(width, None, (), f"mid-grey is 0; {own}", notes)
    if mode == "signed":
        return Legend(width, DIVERGING, ("- end", "0", "+ end"), own, notes)
    return Legend(width, SEQUENTIAL, ("0", "half", "upper end"), own, notes)


def _beside(page: Canvas, y: int, height: int, label: str, facts: list[str]) -> None:
    """The text on the left of a row: its label, cut to the row's height, then facts in gray."""
    lines = [line for text in label.split("\n") for line in wrapped(text, _SIDE - 14, SMALL)]
    lines = lines[: max(1, height // 23 - len(facts))]
    for n, line in enumerate(lines + facts):
        colour = INK if n < len(lines) else GRAY
        page.text(MARGIN, y + 4 + 23 * n, line, SMALL, bold=n == 0, colour=colour)


def _mark(page: Canvas, x: int, y: int, zoom: float, place: CloseUp) -> None:
    corners = [round(zoom * v) for v in (place.left, place.top)]
    extent = round(zoom * place.size)
    box = (x + corners[0], y + corners[1], x + corners[0] + extent, y + corners[1] + extent)
    page.box(*box, (255, 255, 255))


def _unit_label(att: Any, number: int) -> str:
    unit = getattr(att, "unit", None)
    if unit is None:
        return f"map {number + 1}"
    if getattr(att, "target", None) is not None:
        return f"{att.about}\nactivation {short(att.activation)}"
    place = "" if not unit.at else "\nat (t, h, w) = " + ", ".join(str(i) for i in unit.at)
    return f"channel {unit.channel}\nactivation {short(att.activation)}{place}"
