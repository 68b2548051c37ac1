"""Receptive fields that are too small to be seen on the whole frame, cut out and enlarged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import c3d_viz as viz
from c3d_viz import render
from c3d_viz.engine import receptive_fields
from c3d_viz.nets import ReceptiveField
from c3d_viz.render import Patch

from . import drawing, pictures, work
from .windows import Prepared
from .work import Net, Picture, Spot, kept

PLACES = 9


def field_of(net: Net, layer: str) -> ReceptiveField | None:
    """What a cell of a layer sees; None where it sees the whole clip."""

    def make() -> dict[str, ReceptiveField | None]:
        return receptive_fields(net.model, net.spec.input.shape, [layer])

    return kept(("field", net.key, layer), make)[layer]


def cells(net: Net, win: Prepared, layer: str) -> list[list[float]]:
    """The middles of a layer's cells along time, height and width, as shares of the window.

    Empty where its units have no place.
    """
    counts, sizes = work.grid(net, win, layer)[1:], win.frames.shape[:3]
    if len(counts) != 3:
        return []
    field = field_of(net, layer)
    if field is None or not all(field.step):
        return [[(i + 0.5) / n for i in range(n)] for n in counts]
    axes = zip(field.start, field.size, field.step, counts, sizes, strict=True)
    return [
        [round((start + size / 2 + i * step) / whole, 5) for i in range(n)]
        for start, size, step, n, whole in axes
    ]


def patch_of(net: Net, win: Prepared, unit: Spot) -> Patch | None:
    """What a unit sees of the window, where that is so little that it has to be enlarged."""
    frames, height, width = win.frames.shape[:3]
    field = field_of(net, unit.layer) if unit.at else None
    return render.small_patch(field, unit.at, (frames, height, width))


def panels(
    net: Net, win: Prepared, att: viz.Attribution, patch: Patch, height: int
) -> tuple[str, str]:
    """Sprites of the patch and of its back-projection, a frame each for those of the window.

    Where the unit does not see, the patch is dark and the back-projection grey.
    """

    def make() -> tuple[str, str]:
        clip = render.cut_throughout(win.sharp, patch, height, dim=True)
        back = render.cut_throughout(drawing.raw(net, win, att), patch, height, smooth=False)
        return pictures.sprite(clip), pictures.sprite(back)

    return kept(("patch", win.key, drawing.name(att), height), make)


def pair(net: Net, win: Prepared, att: viz.Attribution, patch: Patch, height: int) -> Picture:
    """(t, height, 2 * height, 3): the patch and its back-projection, in the frames it sees."""
    clip = render.cut(win.sharp, patch, height)
    back = render.cut(drawing.raw(net, win, att), patch, height, smooth=False)
    return np.concatenate([clip, back], axis=2)


def strongest(net: Net, win: Prepared, layer: str, channel: int) -> list[Spot]:
    """The places at which a map answers most, strongest first; see ``render.places``."""
    field = field_of(net, layer)
    if field is None:
        return []
    values = work.activation_map(net, win, layer, channel)
    cells = render.places(values, field, PLACES)
    return [Spot(layer, channel, cell, float(values[cell])) for cell in cells]


def mosaic(net: Net, win: Prepared, layer: str, channel: int, height: int) -> str:
    """The patches of these places in one square, each at the middle frame of those it sees."""

    def make() -> str:
        side = height // 3
        whole = np.full((3 * side, 3 * side, 3), 128, np.uint8)
        for n, spot in enumerate(strongest(net, win, layer, channel)):
            patch = patch_of(net, win, spot)
            if patch is not None:
                y, x = (side * i for i in divmod(n, 3))
                clip = render.cut(win.sharp, patch, side - 2)
                whole[y : y + side - 2, x : x + side - 2] = clip[len(clip) // 2][:, : side - 2]
        return pictures.jpeg(whole)

    return kept(("mosaic", net.key, win.key, layer, channel, height), make)


def place_tiles(
    net: Net,
    win: Prepared,
    layer: str,
    channel: int,
    method: str,
    report: Callable[[float, int], None],
) -> list[tuple[Spot, Patch, str]]:
    """Each of these places with its patch, and ``pair`` as a sprite."""
    made = []
    spots = strongest(net, win, layer, channel)
    for number, spot in enumerate(spots):
        report(number, len(spots))
        patch = patch_of(net, win, spot)
        if patch is not None:
            att = work.back_projection(net, win, spot, method)
            key = ("pair", win.key, drawing.name(att))
            src = kept(key, lambda att=att, patch=patch: tile(net, win, att, patch))
            made.append((spot, patch, src))
    return made


def tile(net: Net, win: Prepared, att: viz.Attribution, patch: Patch) -> str:
    """``pair`` as a sprite for a tile."""
    return pictures.sprite(pair(net, win, att, patch, 72), quality=82)
