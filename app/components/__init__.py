"""The pieces of the page that Streamlit has no widget for.

Each is one script in this folder and one function here. They draw pictures that Python made
(sprites: the frames of a clip side by side in one image) and report what was chosen; they hold no
state that the address does not. All work by keyboard and carry text alternatives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent
SHARED = {"player": ("link",), "tiles": ("link", "camera"), "cells": ("link",)}  # further scripts


@cache
def _sources(name: str) -> tuple[str, str]:
    style, script = (
        "".join((_HERE / f"{part}.{kind}").read_text() for part in parts)
        for kind, parts in (("css", ("base", name)), ("js", (name, *SHARED.get(name, ()))))
    )
    return style, script


def _mount(name: str, key: str, data: dict[str, Any], picked: Callable[[Any], None] | None) -> None:
    # Registered on every run: Streamlit forgets components when its runtime starts anew.
    css, js = _sources(name)
    component = st.components.v2.component(
        f"c3d_viz_{name}", html="<div id=root></div>", css=css, js=js
    )

    def changed() -> None:
        value = getattr(st.session_state.get(key), "picked", None)
        if picked is not None and value is not None:
            picked(value)

    component(key=key, data=data, on_picked_change=changed)


def address(query: str) -> None:
    """Fill an empty address in with ``query``, without a step that Back would have to undo."""
    # the time: Streamlit runs the script of a component only where its data changed
    _mount("address", "address", {"query": query, "at": time.time() if query else 0}, None)


def trace(made: tuple[Sequence[int], Sequence[float]] | None) -> None:
    """Draws on the timeline what there is of its ``trace`` yet, as long as this is on the page."""
    _mount("trace", "trace", {"trace": _line(made)}, None)


def _line(trace: tuple[Sequence[int], Sequence[float]] | None) -> dict[str, Any] | None:
    return trace and {"frames": list(trace[0]), "values": [round(v, 4) for v in trace[1]]}


def tiles(
    key: str,
    label: str,
    items: Sequence[dict[str, Any]],
    selected: str | None,
    picked: Callable[[str], None],
    *,
    width: int = 132,
    ratio: float = 1.0,
    notes: bool = True,
    cells: Sequence[Sequence[float]] = (),
    uploader: str = "",
    upload_label: str = "",
) -> None:
    """A grid of moving pictures of which one is chosen.

    ``items``: ``id``, ``title``, ``note``, ``alt``, and ``src`` (sprite) with ``frames``; ``at``,
    the cell that is pointed at with the tile, and ``box``, the part of the window its picture shows
    where that is not all of it (left, top, width, height as shares). ``cells``: see ``player``.
    ``width`` is the least width of a tile in pixels, ``ratio`` width to height of a picture;
    without ``notes`` they are only said on pointing. ``uploader`` is the selector of one of
    Streamlit's, for which the first tile stands, with a button that records with the camera.
    """
    data = {
        "label": label,
        "items": list(items),
        "selected": selected,
        "width": width,
        "ratio": ratio,
        "notes": notes,
        "cells": list(cells),
        "uploader": uploader,
        "uploadLabel": upload_label,
    }
    _mount("tiles", key, data, picked)


def player(
    key: str,
    panels: Sequence[dict[str, Any]],
    *,
    first: int,
    stride: int,
    fps: float,
    count: int,
    bars: Sequence[float] | None = None,
    bars_label: str = "",
    strip: str | None = None,
    width: int = 210,
    autoplay: bool = False,
    begin: int = 0,
    about: str = "",
    fit: int = 0,
    leads: str = "",
    follows: str = "",
    turns: Sequence[int] | None = None,
    curves: tuple[str, int] = ("", 0),
    cells: Sequence[Sequence[float]] = (),
    chosen: Sequence[int] = (),
    picked: Callable[[tuple[int, ...]], None] | None = None,
) -> None:
    """Pictures that move together, frame by frame: a slider, a play button, a strip of frames.

    ``panels``: ``title``, ``note``, ``alt``, ``src`` (sprite) and ``ratio`` (width to height, 1);
    ``first``, ``stride`` and ``count`` where they are of different windows;
    ``box`` for an outline on it (left, top, width, height as shares of the picture), and ``frames``
    where it is drawn in full; ``still`` for a picture that is no sprite.
    ``count``: how many frames the sprites have.
    ``bars`` (one number of 0-1 per frame, or None for no bars) are drawn under ``strip``, a sprite
    of small frames; ``begin`` is the frame shown first, and again when ``about`` changes.
    ``width`` is the least width of a panel when there are more than three. With ``fit`` the panels
    are only so wide that a screen less so many pixels holds them. A player that ``follows`` shows
    the frame of the one that ``leads`` under this name, and has no controls of its own. It plays
    through ``turns``, numbers of frames, which are all where it is None.
    ``curves``: the selector of a place with charts of the same frames, a click on which shows the
    frame, and the padding of their axis in pixels.
    ``cells``: the middles of the layer's cells along time, height and width, as shares of the
    window, on panels with a ``part`` (what the network gets of the picture: left, top, width and
    height as shares). Pointing at one lights it in every picture of the page, a click chooses it;
    ``chosen`` is ringed.
    """
    data = {
        "panels": list(panels),
        "first": first,
        "stride": stride,
        "fps": fps,
        "count": count,
        "bars": None if bars is None else [round(float(b), 4) for b in bars],
        "barsLabel": bars_label,
        "strip": strip,
        "width": width,
        "autoplay": autoplay,
        "begin": begin,
        "about": about,
        "fit": fit,
        "leads": leads,
        "follows": follows,
        "turns": None if turns is None else list(turns),
        "cells": list(cells),
        "chosen": list(chosen),
        "picks": picked is not None,
        "curves": list(curves),
    }
    _mount("player", key, data, picked and (lambda at: picked(tuple(int(i) for i in at))))


def timeline(
    key: str,
    *,
    energy: Sequence[float],
    frames: int,
    fps: float,
    start: int,
    span: int,
    stills: Sequence[tuple[int, str]],
    trace: tuple[Sequence[int], Sequence[float]] | None,
    picked: Callable[[int, bool], None],
) -> None:
    """The whole video with its motion drawn on it, and the window, which can be moved.

    ``stills``: frames and their pictures. ``trace``: frames and what a unit answers there.
    ``picked`` is told the first frame, and whether the window is still being dragged.
    """
    data = {
        "energy": [round(float(e), 4) for e in energy],
        "frames": frames,
        "fps": fps,
        "start": start,
        "span": span,
        "stills": list(stills),
        "trace": _line(trace),
    }
    _mount("timeline", key, data, lambda value: picked(int(value[0]), bool(value[1])))


def network(
    key: str, blocks: Sequence[dict[str, Any]], selected: str, picked: Callable[[str], None]
) -> None:
    """The network as a row of blocks.

    ``blocks``: ``id``, ``kind`` (conv, pool, fc), ``shape``, ``sees``, and ``size`` and ``depth``
    (0-1, how the block is drawn).
    """
    _mount("network", key, {"blocks": list(blocks), "selected": selected}, picked)


def cells(
    key: str,
    *,
    src: str,
    grid: tuple[int, int, int],
    at: tuple[int, ...],
    peak: tuple[int, ...],
    labels: Sequence[str],
    alt: str,
    picked: Callable[[tuple[int, ...]], None],
) -> None:
    """An activation map, one picture per time step, on which a cell can be chosen."""
    data = {
        "src": src,
        "grid": list(grid),
        "at": list(at),
        "peak": list(peak),
        "labels": list(labels),
        "alt": alt,
    }
    _mount("cells", key, data, lambda value: picked(tuple(int(i) for i in value)))
