"""Pages: a filmstrip of one attribution, a contact sheet of several, a sheet of activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from .errors import ShapeError
from .render_canvas import GRAY, Canvas, Picture, colours, enlarge, wrapped
from .render_maps import (
    DIVERGING,
    PERCENTILE,
    SEQUENTIAL,
    ChannelOrder,
    Floats,
    Mode,
    Scale,
    blend,
    check_frames,
    normalised,
    plane,
    raw_frames,
    scale_of,
    values_of,
)

Row = Literal["input", "raw", "overlay"]
ROW_NAMES = {"input": "clip", "raw": "back- projection", "overlay": "over the clip"}

MARGIN, GAP = 28, 8
TITLE, SUBTITLE, SMALL = 30, 19, 17


def filmstrip(
    frames: Picture,
    att: Any,
    *,
    title: str = "",
    subtitle: str = "",
    mode: Mode = "magnitude",
    scale: Scale = "clip",
    rows: Sequence[Row] = ("overlay",),
    numbers: Sequence[int] | None = None,
    notes: Sequence[str] = (),
    columns: int = 8,
    tile: int = 192,
    upper: float | None = None,
    channel_order: ChannelOrder = "RGB",
) -> Picture:
    """All frames of one attribution on a page, with frame numbers and the colour bar.

    Args:
        frames: (T, H, W, 3) uint8 RGB, the pixels the net saw.
        att: Attribution, or array (3, T, H, W).
        title: by default layer, channel and method of the Attribution.
        subtitle: the line that names the weights.
        mode, scale, upper: as in ``overlay``; the choice is written on the page.
        rows: what is shown of each frame, from top to bottom: "input", "raw", "overlay".
        numbers: frame numbers in the source; by default 0, 1, ...
        notes: further lines at the foot, e.g. ``time_note``.
        columns: frames side by side.
        tile: width of a frame on the page, in pixels.
        channel_order: of ``att``, for the "raw" row.

    Returns:
        (height, width, 3) uint8 RGB, 1.7 thousand pixels wide for 8 columns.

    Raises:
        ShapeError: shapes that do not fit, NaN, or an unknown row, mode or scale.
    """
    values = plane(att, mode)
    check_frames(frames, values.shape)
    unknown = [row for row in rows if row not in ROW_NAMES]
    if unknown or not rows:
        raise ShapeError(f"rows must be some of {', '.join(ROW_NAMES)}; got {list(rows)}")
    bounds = scale_of(values, scale)
    if upper is not None:
        bounds = np.full_like(bounds, upper)
    pictures = _rows(frames, att, values, bounds, rows, mode, scale, channel_order)
    count, height = len(frames), round(tile * frames.shape[1] / frames.shape[2])
    numbers = range(count) if numbers is None else numbers
    columns = min(columns, count)
    label = 0 if len(rows) == 1 else 132
    foot = list(notes)
    if not bounds.any():
        foot.insert(0, "This map is zero everywhere: the unit did not fire, nothing came back.")
    width = 2 * MARGIN + label + columns * (tile + GAP) - GAP
    below = 24 if scale == "frame" else 0  # each frame's own bound stands under it
    block = 26 + len(rows) * (height + GAP) + below + 10
    header = _Header(title or _title_of(att), subtitle, width)
    foot_lines = [line for note in foot for line in wrapped(note, width - 2 * MARGIN, SMALL)]
    blocks = -(-count // columns)
    page = Canvas(width, header.height + blocks * block + _LEGEND + 24 * len(foot_lines) + MARGIN)
    header.draw(page)
    for i in range(count):
        x = MARGIN + label + (i % columns) * (tile + GAP)
        y = header.height + (i // columns) * block
        page.text(x, y, f"frame {numbers[i]}", SMALL, colour=GRAY)
        for r, row in enumerate(rows):
            top = y + 26 + r * (height + GAP)
            page.paste(x, top, enlarge(pictures[row][i], height, tile))
            if i % columns == 0 and label:
                for n, word in enumerate(wrapped(ROW_NAMES[row], label - 12, SMALL)):
                    page.text(MARGIN, top + 4 + 22 * n, word, SMALL)
        if below:
            top = y + 26 + len(rows) * (height + GAP) - 2
            text = f"up to {_short(bounds[i])}" if bounds[i] else "all zero"
            page.text(x, top, text, SMALL, colour=GRAY)
    top = header.height + blocks * block
    _legend(page, top, width, mode, scale, bounds, upper is not None, "raw" in rows)
    for n, line in enumerate(foot_lines):
        page.text(MARGIN, top + _LEGEND + 24 * n, line, SMALL, colour=GRAY)
    return page.array()


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
    magnitude); the bound stands beside it. The first row is the clip.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        atts: attributions (3, T, H, W), strongest first.
        labels: text beside each; by default channel, activation and position.
        kind: "overlay" or "raw".
        at: indices of the frames shown; by default six, evenly spread.
        numbers, channel_order: as in ``filmstrip``.

    Raises:
        ShapeError: shapes that do not fit, NaN, or no attribution at all.
    """
    check_frames(frames)
    if not atts:
        raise ShapeError("a contact sheet needs at least one attribution")
    if at is None:
        at = sorted({round(i * (len(frames) - 1) / 5) for i in range(6)})
    numbers = range(len(frames)) if numbers is None else numbers
    labels = [_unit_label(att, i) for i, att in enumerate(atts)] if labels is None else labels
    height = round(tile * frames.shape[1] / frames.shape[2])
    side = 250
    width = 2 * MARGIN + side + len(at) * (tile + GAP) - GAP
    header = _Header(title, subtitle, width)
    legend = _LEGEND if kind == "overlay" else 36
    page = Canvas(
        width, header.height + 26 + (len(atts) + 1) * (height + GAP) + 8 + legend + MARGIN
    )
    header.draw(page)
    for i, index in enumerate(at):
        x = MARGIN + side + i * (tile + GAP)
        page.text(x, header.height, f"frame {numbers[index]}", SMALL, colour=GRAY)
        page.paste(x, header.height + 26, enlarge(frames[index], height, tile))
    page.text(MARGIN, header.height + 30, "clip", SMALL)
    for r, (att, label) in enumerate(zip(atts, labels, strict=True), start=1):
        values = plane(att, mode)
        check_frames(frames, values.shape)
        bounds = scale_of(values)
        pictures = _rows(frames, att, values, bounds, (kind,), mode, "clip", channel_order)[kind]
        y = header.height + 26 + r * (height + GAP)
        shown = scale_of(values_of(att)) if kind == "raw" else bounds
        bound = f"colours up to {_short(shown[0])}" if shown[0] else "all zero"
        lines = [*(part for text in label.split("\n") for part in wrapped(text, side - 14, SMALL))]
        for n, line in enumerate(lines):
            page.text(MARGIN, y + 4 + 23 * n, line, SMALL, bold=n == 0)
        page.text(MARGIN, y + 4 + 23 * len(lines), bound, SMALL, colour=GRAY)
        for i, index in enumerate(at):
            picture = enlarge(pictures[index], height, tile)
            page.paste(MARGIN + side + i * (tile + GAP), y, picture)
    top = header.height + 26 + (len(atts) + 1) * (height + GAP) + 8
    own = "each map has its own scale, one for its whole clip; its upper bound stands beside it"
    if kind == "overlay":
        _bar(page, top, width, mode, ("0", "half", "bound"), own)
    else:
        page.text(MARGIN, top + 8, f"Mid-grey is zero; {own}.", SMALL, colour=GRAY)
    return page.array()


def activation_sheet(
    activation: Floats,
    *,
    title: str = "",
    subtitle: str = "",
    channels: Sequence[int] | None = None,
    top: int = 12,
    frames: int = 16,
) -> Picture:
    """Feature maps (C, T, H, W) of a layer as they are: one tile per time position, no smoothing.

    Args:
        activation: after the ReLU, so at least 0; negative values are drawn as 0.
        channels: which; by default the ``top`` with the highest maximum, strongest first.
        frames: frames of the clip, for the statement about time.

    Raises:
        ShapeError: another number of axes, NaN, or a channel that does not exist.
    """
    activation = np.asarray(activation, dtype=np.float32)
    if activation.ndim != 4 or activation.size == 0:
        raise ShapeError(f"an activation must have shape (C, T, H, W), got {activation.shape}")
    if not np.isfinite(activation).all():
        raise ShapeError("the activation holds NaN or infinite values; nothing can be drawn")
    count, times, rows, columns = activation.shape
    peaks = activation.reshape(count, -1).max(axis=1)
    if channels is None:
        channels = [int(c) for c in np.argsort(-peaks, kind="stable")[:top]]
    wrong = [c for c in channels if not 0 <= c < count]
    if wrong or not channels:
        raise ShapeError(f"channels must be 0..{count - 1}, got {list(channels)}")
    zoom = max(1, min(112 // max(rows, columns), 16))
    width_tile, height_tile = columns * zoom, rows * zoom
    group = times * (width_tile + 2) - 2
    page_width = 1680
    room = page_width - 2 * MARGIN
    per_line = max(1, min(len(channels), (room + 24) // (max(group, 190) + 24)))
    wrap_times = max(1, (room + 2) // (width_tile + 2))  # conv1a: 16 tiles of 112 take two lines
    lines_of_tiles = -(-times // wrap_times)
    block = 28 + lines_of_tiles * (height_tile + 2) + 16
    lines = -(-len(channels) // per_line)
    header = _Header(title, subtitle, page_width)
    upper = float(peaks[list(channels)].max())
    statement = (
        f"Native resolution {times} x {rows} x {columns} (time x height x width), every position "
        f"a square, nothing interpolated. {time_note('', times, frames)} One scale for the sheet."
    )
    foot = wrapped(statement, room, SMALL)
    page = Canvas(page_width, header.height + lines * block + _LEGEND + 24 * len(foot) + MARGIN)
    header.draw(page)
    for i, channel in enumerate(channels):
        x = MARGIN + (i % per_line) * (max(group, 190) + 24)
        y = header.height + (i // per_line) * block
        page.text(x, y, f"channel {channel}: max {_short(peaks[channel])}", SMALL)
        level = np.clip(activation[channel] / upper, 0, 1) if upper > 0 else activation[channel] * 0
        for t in range(times):
            picture = enlarge(colours(level[t], SEQUENTIAL), height_tile, width_tile, smooth=False)
            at = (
                x + (t % wrap_times) * (width_tile + 2),
                y + 28 + t // wrap_times * (height_tile + 2),
            )
            page.paste(*at, picture, border=False)
    y = header.height + lines * block
    note = "activation after the ReLU; the upper end is the highest value on this sheet"
    if upper <= 0:
        note = "all zero: no channel on this sheet fired"
    ends = ("0", _short(upper / 2), _short(upper)) if upper > 0 else ("0", "", "0")
    _bar(page, y, page_width, "magnitude", ends, note)
    for n, line in enumerate(foot):
        page.text(MARGIN, y + _LEGEND + 24 * n, line, SMALL, colour=GRAY)
    return page.array()


def time_note(layer: str, positions: int, frames: int = 16) -> str:
    """The sentence that says how finely a layer resolves time.

    >>> time_note("conv5b", 2)
    'conv5b has 2 time positions over 16 frames; its back-projection is in input space, 16 frames.'
    """
    many = "position" if positions == 1 else "positions"
    if not layer:
        return f"{positions} time {many} over {frames} frames."
    return (
        f"{layer} has {positions} time {many} over {frames} frames; its back-projection is in "
        f"input space, {frames} frames."
    )


_LEGEND = 92  # height of the colour bar with its text


class _Header:
    """Title and the line of the weights; knows its height before the page exists."""

    def __init__(self, title: str, subtitle: str, width: int) -> None:
        room = width - 2 * MARGIN
        self.title = wrapped(title, room, TITLE, bold=True) if title else []
        self.subtitle = wrapped(subtitle, room, SUBTITLE) if subtitle else []
        self.height = MARGIN + 40 * len(self.title) + 27 * len(self.subtitle)
        self.height += 12 if self.title or self.subtitle else 0

    def draw(self, page: Canvas) -> None:
        y = MARGIN - 4
        for line in self.title:
            page.text(MARGIN, y, line, TITLE, bold=True)
            y += 40
        for line in self.subtitle:
            page.text(MARGIN, y, line, SUBTITLE, colour=GRAY)
            y += 27


def _rows(
    frames: Picture,
    att: Any,
    values: Floats,
    bounds: Floats,
    rows: Sequence[str],
    mode: Mode,
    scale: Scale,
    channel_order: ChannelOrder,
) -> dict[str, Picture]:
    pictures: dict[str, Picture] = {"input": frames}
    if "raw" in rows:
        pictures["raw"] = raw_frames(att, scale=scale, channel_order=channel_order)
    if "overlay" in rows:
        pictures["overlay"] = blend(frames, normalised(values, bounds), mode, 0.9)
    return pictures


def _legend(
    page: Canvas,
    y: int,
    width: int,
    mode: Mode,
    scale: Scale,
    bounds: Floats,
    given: bool,
    raw: bool,
) -> None:
    what = "sum over colour of |R|" if mode == "magnitude" else "sum over colour of R, signed"
    if scale == "frame" and not given:
        note = f"{what}; EACH FRAME BY ITSELF: do not compare frames by colour"
        ends = ("0", "half", "frame's bound")
        if mode == "signed":
            ends = ("- bound", "0", "+ bound")
    else:
        bound = float(bounds.max())
        ends = ("0", _short(bound / 2), _short(bound))
        if mode == "signed":
            ends = (_short(-bound), "0", _short(bound))
        if not bound:
            ends = ("0", "", "0")
        upper = "bound given" if given else f"bound: {PERCENTILE:g}th percentile of what is not 0"
        note = f"{what}; one scale for the whole clip; {upper}"
    if raw:
        note += "; back-projection: R in colour, mid-grey is 0"
    _bar(page, y, width, mode, ends, note)


def _bar(page: Canvas, y: int, width: int, mode: Mode, ends: tuple[str, ...], note: str) -> None:
    """Colour bar on the left, what it means on its right."""
    level = np.linspace(0, 1, 256, dtype=np.float32)
    strip = colours(level, SEQUENTIAL if mode == "magnitude" else DIVERGING)[None]
    length = 420
    page.bar(MARGIN, y + 8, length, np.repeat(strip, 2, axis=0), ends)
    room = width - 2 * MARGIN - length - 28
    for n, line in enumerate(wrapped(note, room, SMALL)[:3]):
        page.text(MARGIN + length + 28, y + 6 + 23 * n, line, SMALL)


def _short(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}"


def _title_of(att: Any) -> str:
    unit, method = getattr(att, "unit", None), getattr(att, "method", "")
    if unit is None:
        return ""
    return f"{unit.layer} · channel {unit.channel} · {method}".rstrip(" ·")


def _unit_label(att: Any, number: int) -> str:
    unit = getattr(att, "unit", None)
    if unit is None:
        return f"map {number + 1}"
    place = "" if not unit.at else "\nat (t, h, w) = " + ", ".join(str(i) for i in unit.at)
    return f"channel {unit.channel}\nactivation {_short(att.activation)}{place}"


__all__ = ["activation_sheet", "contact_sheet", "filmstrip", "time_note"]
