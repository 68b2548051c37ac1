"""Pages of several maps: a contact sheet of attributions, a sheet of activations as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import ShapeError
from .render_canvas import (
    GAP,
    GRAY,
    MARGIN,
    SMALL,
    Canvas,
    Header,
    Legend,
    Picture,
    colours,
    enlarge,
    fitted,
    short,
    wrapped,
)
from .render_filmstrip import Row, frame_rows
from .render_maps import (
    DIVERGING,
    SEQUENTIAL,
    ChannelOrder,
    Floats,
    Mode,
    check_frames,
    plane,
    scale_of,
    values_of,
)

_SIDE = 250  # width of the text beside a map
_SPACE = 24  # between two channels of an activation sheet
_ROOM = 1624  # pixels between the margins of an activation sheet
_TILE, _ZOOM = 112, 16  # an activation tile is at most so wide, a position so many pixels


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
    left = MARGIN + _SIDE
    width = left + len(at) * (tile + GAP) - GAP + MARGIN
    header = Header(title, subtitle, width)
    first = header.height + 26
    below = first + (len(atts) + 1) * (height + GAP) + 8
    own = "each map has its own scale, one for its whole clip; its upper end stands beside it"
    if kind == "overlay" and mode == "signed":
        legend = Legend(width, DIVERGING, ("- end", "0", "+ end"), own)
    elif kind == "overlay":
        legend = Legend(width, SEQUENTIAL, ("0", "half", "upper end"), own)
    else:
        legend = Legend(width, None, (), f"mid-grey is 0; {own}")
    page = Canvas(width, below + legend.height)
    header.draw(page)
    page.text(MARGIN, first + 4, "clip", SMALL)
    for i, index in enumerate(at):
        x = left + i * (tile + GAP)
        number = fitted(f"frame {numbers[index]}", tile, SMALL)
        page.text(x, header.height, number, SMALL, colour=GRAY)
        page.paste(x, first, enlarge(frames[index], height, tile))
    for r, (att, label) in enumerate(zip(atts, labels, strict=True), start=1):
        values = plane(att, mode)
        check_frames(frames, values.shape)
        bounds = scale_of(values)
        pictures = frame_rows(frames, att, (kind,), mode, "clip", channel_order, bounds)[kind]
        bound = float(scale_of(values_of(att))[0] if kind == "raw" else bounds[0])
        y = first + r * (height + GAP) + 4
        lines = [line for text in label.split("\n") for line in wrapped(text, _SIDE - 14, SMALL)]
        lines = lines[: max(1, height // 23 - 1)]
        for n, line in enumerate(lines):
            page.text(MARGIN, y + 23 * n, line, SMALL, bold=n == 0)
        reach = f"colours up to {short(bound)}" if bound else "all zero"
        page.text(MARGIN, y + 23 * len(lines), reach, SMALL, colour=GRAY)
        for i, index in enumerate(at):
            page.paste(left + i * (tile + GAP), y - 4, enlarge(pictures[index], height, tile))
    legend.draw(page, below)
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
    zoom = max(1, min(_TILE // max(rows, columns), _ZOOM))
    if times * columns * zoom > _ROOM // 2 and zoom > 1:  # let two channels stand side by side
        zoom = max(1, (_ROOM // 2) // (times * columns) - 1)
    wide, high = columns * zoom, rows * zoom
    lines = -(-times * (wide + 2) // _ROOM)  # conv1a: 16 tiles of 112 pixels take two lines
    per_line = -(-times // lines)
    group = max(per_line * (wide + 2) - 2, 190)
    abreast = max(1, min(len(channels), (_ROOM + _SPACE) // (group + _SPACE)))
    block = 28 + lines * (high + 2) + 16
    width = 2 * MARGIN + max(abreast * (group + _SPACE) - _SPACE, 1000)
    header = Header(title, subtitle, width)
    statement = (
        f"Native resolution {times} x {rows} x {columns} (time x height x width): every position "
        f"a square, nothing interpolated. {time_note('', times, frames)} One scale for the sheet."
    )
    upper = float(peaks[list(channels)].max())
    meaning = "activation after the ReLU; the upper end is the highest value on this sheet"
    ends = ("0", short(upper / 2), short(upper))
    if upper <= 0:
        meaning, ends = "all zero: no channel on this sheet fired", ("0", "", "0")
    legend = Legend(width, SEQUENTIAL, ends, meaning, [statement])
    below = header.height + -(-len(channels) // abreast) * block
    page = Canvas(width, below + legend.height)
    header.draw(page)
    for i, channel in enumerate(channels):
        x = MARGIN + (i % abreast) * (group + _SPACE)
        y = header.height + (i // abreast) * block
        page.text(x, y, f"channel {channel}: max {short(peaks[channel])}", SMALL)
        level = np.clip(activation[channel] / (upper if upper > 0 else 1), 0, 1)
        for t in range(times):
            tile = enlarge(colours(level[t], SEQUENTIAL), high, wide, smooth=False)
            left = x + (t % per_line) * (wide + 2)
            page.paste(left, y + 28 + (t // per_line) * (high + 2), tile, border=False)
    legend.draw(page, below)
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


def _unit_label(att: Any, number: int) -> str:
    unit = getattr(att, "unit", None)
    if unit is None:
        return f"map {number + 1}"
    place = "" if not unit.at else "\nat (t, h, w) = " + ", ".join(str(i) for i in unit.at)
    return f"channel {unit.channel}\nactivation {short(att.activation)}{place}"
