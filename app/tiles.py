"""The strongest feature maps of a layer as moving tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import c3d_viz as viz
from c3d_viz import render

from . import patches, pictures, work
from .tasks import Key
from .windows import Prepared
from .work import CACHE, CORES, Net, Spot, kept, map_key

TILES = 12


@dataclass(frozen=True)
class Tile:
    """A map and its picture: on the whole clip, or (``near``) its patch beside what it sees there.

    Attributes:
        src: sprite of ``frames`` frames, twice as wide as high where it is ``near``.
        near: of a patch, where that lies on the frame (left, top, width, height as shares).
    """

    spot: Spot
    src: str
    frames: int
    near: tuple[float, float, float, float] | None


def tiles(
    net: Net,
    win: Prepared,
    layer: str,
    method: str,
    look: str,
    report: Callable[[float, int], None] = lambda done, total: None,
) -> list[Tile]:
    """The layer's strongest maps, strongest first.

    ``report`` hears how many are done and may raise to end the work; what is done is kept.
    """
    spots = work.strongest(net, win, layer, TILES)
    keys = {one: ("tile", look, *map_key(net, win, one, method)) for one in spots}
    missing = [one for one in spots if keys[one] not in CACHE]
    if missing:
        read = work.reading(net, win, layer)
        units = [viz.Unit(one.layer, one.channel, one.at) for one in missing]
        count = len(units)
        with CORES:
            maps = read.attribute_many(
                units, method, progress=lambda done, total: report(count * done / total, count)
            )
        for number, one in enumerate(missing):
            report(number, count)
            with CORES:  # map by map, so that a click elsewhere has its turn in between
                att = next(maps)
            kept(map_key(net, win, one, method), lambda att=att: att)
            kept(keys[one], lambda one=one, att=att: _tile(net, win, one, att, look))
    return [_drawn(net, win, one, method, look, keys[one]) for one in spots]


def _drawn(net: Net, win: Prepared, one: Spot, method: str, look: str, key: Key) -> Tile:
    def make() -> Tile:  # pushed out of a full cache meanwhile
        return _tile(net, win, one, work.back_projection(net, win, one, method), look)

    return cast(Tile, kept(key, make))


def _tile(net: Net, win: Prepared, one: Spot, att: viz.Attribution, look: str) -> Tile:
    patch = patches.patch_of(net, win, one)
    if patch is not None:
        return Tile(one, patches.tile(net, win, att, patch), len(patch.frames), patch.box)
    small = kept(("small", win.key), lambda: pictures.resized(win.sharp, win.frames.shape[1]))
    drawn = render.overlay(small, att, mode=cast(Any, look))
    return Tile(one, pictures.sprite(drawn, quality=82), len(win.frames), None)
