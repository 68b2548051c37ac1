"""A page of feature maps as the layer holds them: no smoothing, one tile per time position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arguments import checked
from ..errors import ShapeError
from .canvas import MARGIN, SMALL, Canvas, Header, Legend, Picture, colours, enlarge, short
from .maps import SEQUENTIAL, Floats, floats

_SPACE = 24  # between two channels
_ROOM = 1624  # pixels between the margins
_TILE, _ZOOM = 112, 16  # a tile is at most so wide, a position so many pixels


@checked(ShapeError)
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
    activation = floats(activation, "an activation")
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
