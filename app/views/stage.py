"""What the first two pages share: the network on top, one map on the clip, the strongest maps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import c3d_viz as viz
from c3d_viz.errors import VizError
from c3d_viz.methods import METHODS
from c3d_viz.render import Patch

from .. import atlas, components, drawing, measured, patches, pictures, saving, state, ui, work
from ..tasks import report
from ..tiles import tiles
from ..waiting import wait_for
from . import choosing

MAP, FILMED = "map", "filmed"  # what is drawn anew while the window is dragged
LEADER = "stage"  # the map's player, whose frame the clip beside it shows
WHOLE = [0, 0, 1, 1]  # of a picture the network gets
FIT = 372  # pixels of a screen's height that are not the map's


def network() -> None:
    """The network as a row of blocks that stays in sight."""
    tree = state.tree()
    with st.container(key="network-place"):
        components.network(
            "network",
            tree.blocks,
            tree.group(state.view().layer),
            lambda layer: state.change(state.view().with_layer(layer)),
        )


def columns() -> list[DeltaGenerator]:
    """Left, middle, right; on a phone the middle comes first."""
    with st.container(key="stage"):
        return st.columns([27, 36, 30], gap="medium")


def names_of(shown: state.Shown, layer: str) -> Callable[[int], str]:
    """What a layer's maps are called: by their number, or by the class where they are classes."""
    is_last = layer == state.tree().blocks[-1]["id"]
    classes = (shown.net.spec.classes or ()) if is_last else ()
    return lambda channel: classes[channel] if channel < len(classes) else f"map {channel}"


def answer(shown: state.Shown, unit: work.Spot) -> bool:
    """One map on the clip, large, with its method and colours; whether there is one."""
    ui.heading(f"{unit.layer}, {names_of(shown, unit.layer)(unit.channel)}")
    inner = choosing.inner(unit.layer)
    with st.container(horizontal=True, vertical_alignment="center", key="answer-head"):
        choosing.method()
        choosing.look()
        save(shown, unit)

    if not on_the_clip(shown, unit, inner):
        return False
    st.caption(ui.plain(METHODS[state.view().method].sentence))
    measured.caption(shown.net, unit.layer, state.view().method)
    back_to_strongest(shown, unit)
    return True


@st.fragment(key=MAP)
@ui.guarded
def on_the_clip(shown: state.Shown, unit: work.Spot, inner: bool) -> bool:
    """The map and what it answers: what is drawn anew while the window is dragged, and small then.

    ``inner``: whether there is a menu above it.
    """
    moved = state.dragged()
    with st.container(key="moved-map"):  # at every run: what follows stays, or its picture goes
        if moved:
            shown = state.shown()
            unit = state.unit(shown)
    view, win = state.view(), shown.window
    patch = wait_for(
        lambda: patches.patch_of(shown.net, win, unit), f"Measuring what {unit.layer} sees"
    )

    def make() -> tuple[list[dict[str, object]], list[float], tuple[str, ...]]:
        att = work.back_projection(shown.net, win, unit, view.method)
        made = _panels(shown, unit, att, patch, view.look, moved)
        return made, drawing.magnitude_over_time(att).tolist(), att.notes

    slow = METHODS[view.method].rule is None
    quick = ("Stop, and show the gradient", lambda: state.changed_by_part(method="gradient"))
    try:
        panels, bars, notes = wait_for(
            make, "Sending the answer back to the pixels", quick if slow else None
        )
    except VizError as error:  # of this method at this layer: another one may do
        ui.refuse(str(error))
        return False
    rank = work.rank(shown.net, win, unit)
    components.player(
        "answer",
        panels,
        first=win.start,
        count=len(win.frames),
        stride=win.stride,
        fps=pictures.watchable(win.fps, win.stride),
        begin=bars.index(max(bars)),
        about=drawing.about(win, unit),
        autoplay=True,
        fit=FIT + (44 if patch else 0) + (48 if inner else 0),  # the captions of a patch
        leads=LEADER,
        turns=patch and patch.frames,
        **linked(shown, unit),
    )
    ui.scale(view.look, f"{ui.answers(unit.activation)}, above {ui.share(rank)} of {unit.layer}")
    if unit.activation == 0:
        ui.fact(
            "This cell is silent: what is drawn is no trace of an answer, but what might raise it."
        )
    for note in notes:
        ui.fact(note)
    # the atlas knows the strongest cell of each window
    if view.at is None and (told := atlas.said(shown.net, unit)):
        ui.fact(f"Answers {unit.activation:z.3g}: {told}.")
    return True


def linked(shown: state.Shown, unit: work.Spot) -> dict[str, Any]:
    """What makes a player show the cell that is pointed at, and choose the one clicked on."""
    return {
        "cells": patches.cells(shown.net, shown.window, unit.layer),
        "chosen": unit.at if state.view().at is not None else (),
        "picked": lambda at: state.changed_by_part(channel=unit.channel, at=at),
    }


def back_to_strongest(shown: state.Shown, unit: work.Spot) -> None:
    """A way back from a cell chosen by hand."""
    if state.view().at is None:
        return
    if unit.at != work.spot(
        shown.net, shown.window, unit.layer, unit.channel, None
    ).at and st.button("Back to the strongest cell", icon=":material/my_location:"):
        state.changed(channel=unit.channel, at=None)
        st.rerun()


def _panels(
    shown: state.Shown,
    unit: work.Spot,
    att: viz.Attribution,
    patch: Patch | None,
    look: str,
    small: bool,
) -> list[dict[str, object]]:
    """The map on the clip; of a unit that sees little, what it sees there in large first."""
    win = shown.window
    title = METHODS[att.method].title
    said = f"{title} of feature map {unit.channel} of {unit.layer}"
    whole: dict[str, object] = {
        "alt": f"{said} over the frames; bright where the pixels take part",
        "src": drawing.small_overlay(win, att, look)
        if small
        else drawing.overlay_sprite(win, att, look, 336 if patch is None else 240),
        "ratio": win.ratio,
        "part": WHOLE,
    }
    if patch is None:
        return [whole]
    clip, back = patches.panels(shown.net, win, att, patch, 240)
    places = patches.mosaic(shown.net, win, unit.layer, unit.channel, 240)
    seen = [win.numbers[i] for i in patch.frames]
    when = f"frames {seen[0]}–{seen[-1]}" if len(seen) > 1 else f"frame {seen[0]}"
    _, tall, wide = patch.size
    return [
        {
            "title": f"What it sees: {tall} × {wide} pixels", "note": when,
            "alt": f"The {tall} by {wide} pixels that the unit sees, enlarged", "src": clip,
        },
        {
            "title": "Sent back", "note": f"{title}; grey is zero",
            "alt": f"{said}, enlarged, in colour around grey", "src": back,
        },
        {**whole, "title": "Where it lies", "box": patch.box, "frames": [*patch.frames]},
        {
            "title": "Its strongest places", "note": "in this window, strongest first",
            "alt": f"The places where map {unit.channel} answers most, enlarged", "src": places,
            "still": True,
        },
    ]  # fmt: skip


def save(shown: state.Shown, unit: work.Spot) -> None:
    """The map as a picture or a film, made when asked for."""
    view = state.view()
    named = names_of(shown, unit.layer)(unit.channel)
    with st.popover("Save", icon=":material/download:"):
        for kind, label in (("png", "All frames (PNG)"), ("gif", "As a film (GIF)")):
            st.download_button(
                label,
                functools.partial(
                    saving.saved,
                    cast(saving.Kind, kind),
                    *(shown.source, shown.net, shown.window, unit, named),
                    *(view.method, view.look),
                ),
                saving.file_name(cast(saving.Kind, kind), shown.source, unit, view.method),
                f"image/{kind}",
                icon=":material/image:" if kind == "png" else ":material/movie:",
                on_click="ignore",
                key=f"save-{kind}",
            )
        st.caption("With layer, map, method, weights, clip and frame numbers written on it.")


def strongest(shown: state.Shown, unit: work.Spot) -> None:
    """The strongest feature maps of the layer as moving tiles, and any other by its number."""
    view = state.view()
    what = "maps" if unit.at else "units"
    ui.heading(f"Strongest {what}")
    found = wait_for(
        lambda: tiles(shown.net, shown.window, view.layer, view.method, view.look, report),
        f"Looking at the strongest {what} of {view.layer}",
    )
    called = names_of(shown, unit.layer)
    items = [
        {
            "id": str(tile.spot.channel),
            "title": called(tile.spot.channel),
            "note": f"answers {tile.spot.activation:z.3g}",
            "src": tile.src,
            "frames": tile.frames,
            "alt": f"What feature map {tile.spot.channel} of {unit.layer} sees, moving",
            "at": tile.spot.at,
            "box": tile.near,
        }
        for tile in found
    ]
    near = found[0].near is not None
    components.tiles(
        "maps",
        f"Feature map of {view.layer}",
        items,
        str(unit.channel),
        lambda channel: state.change(state.view().with_channel(int(channel))),
        width=105 if near else 78,
        ratio=2 if near else 1,
        cells=patches.cells(shown.net, shown.window, view.layer),
    )
    channels = work.grid(shown.net, shown.window, view.layer)[0]
    chosen = st.number_input(
        f"Or any of the {channels} by number",
        0,
        channels - 1,
        unit.channel,
        key=f"any-{view.layer}-{unit.channel}",
    )
    if chosen != unit.channel:
        state.change(state.view().with_channel(int(chosen)))
        st.rerun()
