"""The page of one attribution: every frame, its number, one colour scale and what it means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ..arguments import checked
from ..errors import ShapeError
from .canvas import (
    GAP,
    GRAY,
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
)
from .maps import (
    ALPHA,
    DIVERGING,
    PERCENTILE,
    SEQUENTIAL,
    ChannelOrder,
    Floats,
    Mode,
    Scale,
    blend,
    check_frames,
    magnitude,
    normalised,
    notes_of,
    plane,
    raw_frames,
    scale_of,
    values_of,
)
from .patch import Patch, cut

Row = Literal["input", "raw", "overlay"]
ROWS = ("input", "raw", "overlay")
_ROW_NAMES = {"input": "clip", "raw": "raw map", "overlay": "over the clip"}
_ROW_NAMES |= {"patch": "what it sees", "back": "sent back"}
_LABEL, _HEAD = 126, 26  # width of the rows' names, height of a frame number


@checked(ShapeError)
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
    overlays: Picture | None = None,
    patch: Patch | None = None,
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
        notes: further lines at the foot, e.g. ``time_note``; the Attribution's own follow.
        columns: frames side by side.
        tile: width of a frame on the page, in pixels.
        channel_order: of ``att``, for the "raw" row.
        overlays: what ``overlay`` makes of the same arguments, where it is at hand already.
        patch: what the unit sees, where that is little: two more rows have it enlarged, and what is
            sent back of it, in the frames that it lies in.

    Returns:
        (height, width, 3) uint8 RGB, about 1700 pixels wide for 8 columns.

    Raises:
        ShapeError: shapes that do not fit, NaN, or an unknown row, mode or scale.
    """
    values, colours = plane(att, mode), len(values_of(att))
    check_frames(frames, values.shape)
    check_page(tile, columns)
    if overlays is not None:
        check_frames(overlays, values.shape)
    if not rows or any(row not in ROWS for row in rows):
        raise ShapeError(f"rows must be some of {', '.join(ROWS)}; got {list(rows)}")
    numbers = list(range(len(frames)) if numbers is None else numbers)
    if len(numbers) != len(frames):
        raise ShapeError(f"{len(numbers)} frame numbers given for {len(frames)} frames")
    bounds = scale_of(values, scale) if upper is None else np.full(len(frames), upper, np.float32)
    own = scale == "frame" and upper is None
    raw = "raw" in rows or patch is not None
    full = scale_of(values_of(att), scale) if raw else bounds
    pictures = frame_rows(frames, att, rows, mode, bounds, full, channel_order, overlays)
    height = round(tile * frames.shape[1] / frames.shape[2])
    near = {}
    if patch is not None:
        back = pictures.get("raw")
        if back is None:
            back = raw_frames(att, upper=full, channel_order=channel_order)
        tall = min(height, round(tile * patch.size[1] / patch.size[2]))
        near["patch"] = cut(frames, patch, tall)
        near["back"] = cut(back, patch, tall, smooth=False)
    label = _LABEL if len(rows) + len(near) > 1 else 0
    columns = min(columns, len(frames))
    width = max(2 * MARGIN + label + columns * (tile + GAP) - GAP, 480)
    seen = range(0) if patch is None else patch.frames
    names = [  # of each line: what a unit sees where it sees one of its frames
        [*rows, *(near if any(i in seen for i in range(at, at + columns)) else ())]
        for at in range(0, len(frames), columns)
    ]
    blocks = [_HEAD + len(line) * (height + GAP) + (24 if own else 0) + 10 for line in names]
    header = Header(title or title_of(att), subtitle, width)
    ends, meaning = _scale_text(values, bounds, mode, own, upper is not None, colours)
    if raw:
        meaning += f"; raw map: {_raw_text(full, scale, colours)}"
    colour_map = SEQUENTIAL if mode == "magnitude" else DIVERGING
    legend = Legend(width, colour_map, ends, meaning, [*notes, *notes_of(att)])
    below = header.height + sum(blocks)
    page = Canvas(width, below + legend.height)
    header.draw(page)
    for i, number in enumerate(numbers):
        x = MARGIN + label + (i % columns) * (tile + GAP)
        y = header.height + sum(blocks[: i // columns])
        page.text(x, y, fitted(f"frame {number}", tile, SMALL), SMALL, colour=GRAY)
        for r, row in enumerate(names[i // columns]):
            top = y + _HEAD + r * (height + GAP)
            if row in rows:
                page.paste(x, top, enlarge(pictures[row][i], height, tile))
                if patch is not None and i in seen:
                    left, up, wide, tall = patch.box
                    across, down = round(x + left * tile), round(top + up * height)
                    ends_at = round(across + wide * tile), round(down + tall * height)
                    page.box(across - 1, down - 1, *ends_at, (255, 255, 255))
            elif i in seen:
                page.paste(x, top, near[row][i - seen.start])
            if label and i % columns == 0:
                page.text(MARGIN, top + 4, _ROW_NAMES[row], SMALL)
        if own:
            text = f"up to {short(bounds[i])}" if bounds[i] else "all zero"
            under = y + blocks[i // columns] - 36
            page.text(x, under, fitted(text, tile, SMALL), SMALL, colour=GRAY)
    legend.draw(page, below)
    return page.array()


def frame_rows(
    frames: Picture,
    att: Any,
    rows: Sequence[str],
    mode: Mode,
    bounds: Floats,
    full: Floats,
    channel_order: ChannelOrder,
    overlays: Picture | None = None,
) -> dict[str, Picture]:
    """The pictures (T, H, W, 3) of each kind of row asked for.

    Args:
        bounds: upper end of the overlay's colours, (T,).
        full: the value that is full colour in the raw map, (T,).
        overlays: the overlay, where it is there already.
    """
    pictures: dict[str, Picture] = {"input": frames}
    if "raw" in rows:
        pictures["raw"] = raw_frames(att, upper=full, channel_order=channel_order)
    if "overlay" in rows and overlays is None:
        overlays = blend(frames, normalised(plane(att, mode), bounds), mode, ALPHA)
    if overlays is not None:
        pictures["overlay"] = overlays
    return pictures


def _scale_text(
    values: Floats, bounds: Floats, mode: Mode, own: bool, given: bool, colours: int
) -> tuple[tuple[str, ...], str]:
    """Labels of the colour bar, and the sentence beside it."""
    of = "|attribution|" if mode == "magnitude" else "attribution, signed"
    if colours > 1:
        of = "signed sum over R, G, B" if mode == "signed" else "sum over R, G, B of |attribution|"
    if not values.any():
        note = "this map is zero everywhere: the unit did not fire, or nothing came back from it"
        return ("0", "", "0"), note
    if own:
        ends = ("0", "half", "own bound") if mode == "magnitude" else ("- bound", "0", "+ bound")
        return ends, f"{of}; EACH FRAME BY ITSELF: do not compare frames by their colours"
    bound = float(bounds.max())
    ends = ("0", short(bound / 2), short(bound))
    if mode == "signed":
        ends = (short(-bound), "0", short(bound))
    end = "upper end as given"
    if not given:
        end = f"upper end: {PERCENTILE:g}th percentile of the values that are not zero"
    return ends, f"{of}; one scale for the whole clip; {end}"


def _raw_text(full: Floats, scale: Scale, colours: int) -> str:
    what = "attribution in colour" if colours > 1 else "attribution"
    if scale == "frame":
        return f"{what}, mid-grey is 0, each frame by itself"
    end = "full colour is" if colours > 1 else "black and white are"
    return f"{what}, mid-grey is 0, {end} ±{short(float(full[0]))}"


def scale_sentence(att: Any) -> str:
    """What the colours of ``overlay`` mean, and how far they go, by its defaults."""
    values = magnitude(att)
    bounds = scale_of(values)
    ends, meaning = _scale_text(values, bounds, "magnitude", False, False, len(values_of(att)))
    return f"colours from {ends[0]} to {ends[-1]}: {meaning}"


def title_of(att: Any) -> str:
    unit, method = getattr(att, "unit", None), getattr(att, "method", "")
    if unit is None:
        return ""
    about = getattr(att, "about", f"{unit.layer} · channel {unit.channel}")
    return f"{about} · {method}".rstrip(" ·")
