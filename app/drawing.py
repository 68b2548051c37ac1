"""Pictures for the pages: overlays and sprites of maps, each drawn once and kept."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

import c3d_viz as viz
from c3d_viz import render, validity

from . import pictures
from .tasks import Key
from .windows import Prepared
from .work import Floats, Net, Picture, Spot, kept

SMALL = 224  # pixels of the picture that is seen while the window is dragged
COMPARABLE = 4  # times that one map may be stronger than another beside it on one scale


def bound(maps: list[viz.Attribution], look: str) -> float:
    """The upper end of one colour scale for several maps."""
    of = render.magnitude if look == "magnitude" else render.signed
    return max(float(render.scale_of(of(m)).max()) for m in maps)


def comparable(ends: list[float]) -> bool:
    """Whether maps with these upper ends can be told apart from black on one scale."""
    some = [end for end in ends if end > 0]
    return not some or max(some) <= COMPARABLE * min(some)


def overlay(win: Prepared, att: viz.Attribution, look: str, upper: float | None = None) -> Picture:
    """The map over the sharper picture, uint8 (16, 336, 336, 3) RGB."""
    key = ("overlay", win.key, name(att), look, upper)

    def make() -> Picture:
        values = render.magnitude(att) if look == "magnitude" else render.signed(att)
        top = float(render.scale_of(values).max()) if upper is None else upper
        large = pictures.enlarged(values, win.sharp)
        mode = cast(Any, look)
        return render.overlay(win.sharp, large, mode=mode, upper=top)

    return kept(key, make)


def raw(net: Net, win: Prepared, att: viz.Attribution) -> Picture:
    """The back-projection in its own colours around mid-grey, uint8 (16, 112, 112, 3)."""
    order = net.spec.input.channel_order
    return kept(("raw", win.key, name(att)), lambda: render.raw_frames(att, channel_order=order))


def overlay_sprite(
    win: Prepared, att: viz.Attribution, look: str, height: int, upper: float | None = None
) -> str:
    """The overlay's frames side by side, as a data address."""
    return kept(
        ("sprite", win.key, name(att), look, height, upper),
        lambda: pictures.sprite(overlay(win, att, look, upper), height),
    )


def small_overlay(win: Prepared, att: viz.Attribution, look: str) -> str:
    """The overlay's frames side by side, drawn small and quickly: while the window is dragged."""

    def make() -> str:
        under = pictures.resized(win.sharp, SMALL)
        values = render.magnitude(att) if look == "magnitude" else render.signed(att)
        top = float(render.scale_of(values).max())
        drawn = render.overlay(
            under, pictures.enlarged(values, under), mode=cast(Any, look), upper=top
        )
        return pictures.sprite(drawn, quality=80)

    return kept(("small overlay", win.key, name(att), look), make)


def raw_sprite(net: Net, win: Prepared, att: viz.Attribution, height: int) -> str:
    """The raw back-projection's frames side by side, as a data address."""
    return kept(
        ("rawsprite", win.key, name(att), height),
        lambda: pictures.sprite(raw(net, win, att), height),
    )


def frame_sprite(win: Prepared, height: int, which: str = "frames") -> str:
    """The window's own frames side by side: "frames" (exact pixels), "sharp" or "wide"."""
    return kept(
        ("framesprite", win.key, which, height),
        lambda: pictures.sprite(getattr(win, which), height),
    )


def about(win: Prepared, unit: Spot) -> str:
    """What a player shows, whatever the method and colours: for another one it begins anew."""
    return repr((win.key, unit.layer, unit.channel, unit.at))


def magnitude_over_time(att: viz.Attribution) -> Floats:
    """(16,) share of the map's magnitude in each frame, the largest 1; zeros for an empty map."""
    mass = render.magnitude(att).sum(axis=(1, 2))
    return np.asarray(mass / mass.max() if mass.max() > 0 else mass, dtype=np.float32)


def likeness(one: viz.Attribution, other: viz.Attribution) -> float | None:
    """Rank correlation of two maps of one clip; None where one of them is empty."""
    value = validity.map_similarity(one.values, other.values)[0]
    return float(value) if np.isfinite(value) else None


def name(att: viz.Attribution) -> Key:
    """What tells a map from the others of its window."""
    unit = att.unit
    return (unit.layer, unit.channel, unit.at, att.method)
