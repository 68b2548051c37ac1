"""Page 2: the network from left to right, its feature maps, and one of them in full."""

from __future__ import annotations

import numpy as np
import streamlit as st

from c3d_viz.methods import METHODS
from c3d_viz.render import normalised

from .. import components, drawing, pictures, state, ui, words, work
from ..blocks import blocks as network_blocks
from ..tasks import report
from ..waiting import wait_for

RULES = ("deconvnet", "guided", "gradient")


def page() -> None:
    """Draw the page."""
    st.title("Layer by layer", anchor=False)
    ui.lead(
        "From left to right the picture gets smaller and the feature maps more. Choose a layer, "
        "then one of the maps that respond most to these 16 frames."
    )
    shown = state.shown()
    net, view = shown.net, state.view()
    blocks = network_blocks(net)
    components.network(
        "network", blocks, view.layer, lambda layer: state.change(state.view().with_layer(layer))
    )
    block = next(b for b in blocks if b["id"] == view.layer)
    ui.fact(f"{view.layer}: {block['spoken']}.{_time(block)}")

    unit = state.unit(shown)
    left, right = st.columns([6, 5], gap="large")
    with right:
        one(shown, unit)
    st.space("small")
    frame_by_frame(shown, unit)
    st.space("small")
    a, b = st.columns([5, 6], gap="large")
    with a:
        where(shown, unit)
    with b:
        side_by_side(shown, unit)
    with left:  # last: the other maps may take longer than the one that is looked at
        maps(shown, unit)


def _time(block: dict[str, object]) -> str:
    if block["kind"] != "conv":
        return ""
    steps = int(str(block["shape"]).split("×")[1])
    return "" if steps == 16 else f" Its {steps} time steps stand for {16 // steps} frames each."


def maps(shown: state.Shown, unit: work.Spot) -> None:
    """The strongest feature maps of the layer as moving tiles."""
    view = state.view()
    what = "classes" if unit.layer == "fc8" else "feature maps"
    ui.heading(f"Strongest {what}")
    found = wait_for(
        lambda: drawing.tiles(shown.net, shown.window, view.layer, view.method, report),
        f"Looking at the strongest {what} of {view.layer}",
    )
    items = [
        {
            "id": str(spot.channel),
            "title": name_of(shown, spot.layer, spot.channel),
            "note": f"answers {spot.activation:.3g}",
            "src": src,
            "frames": 16,
            "alt": f"What feature map {spot.channel} of {spot.layer} sees, moving",
        }
        for spot, src in found
    ]
    components.tiles(
        "maps",
        f"Feature map of {view.layer}",
        items,
        str(unit.channel),
        lambda channel: state.change(state.view().with_channel(int(channel))),
        width=118,
    )
    channels = next(b["channels"] for b in network_blocks(shown.net) if b["id"] == view.layer)
    chosen = st.number_input(
        f"Or any of the {channels}",
        0,
        channels - 1,
        unit.channel,
        key=f"any-{view.layer}-{unit.channel}",
        width=180,
    )
    if chosen != unit.channel:
        state.change(state.view().with_channel(int(chosen)))
        st.rerun()


def name_of(shown: state.Shown, layer: str, channel: int) -> str:
    """A map's number, or the class' name."""
    classes = shown.net.spec.classes
    return classes[channel] if layer == "fc8" and classes else f"map {channel}"


def one(shown: state.Shown, unit: work.Spot) -> None:
    """The chosen map as a video, with method and colours."""
    view = state.view()
    ui.heading(f"{unit.layer}, {name_of(shown, unit.layer, unit.channel)}")
    chosen = st.segmented_control(
        "Method",
        list(METHODS),
        default=view.method,
        format_func=lambda m: METHODS[m].title,
        required=True,
        label_visibility="collapsed",
        wrap=True,
    )
    if chosen != view.method:
        state.changed(method=chosen)
        st.rerun()
    win = shown.window

    def make() -> tuple[str, float, tuple[str, ...]]:
        att = work.back_projection(shown.net, win, unit, view.method)
        fullest = float(drawing.magnitude_over_time(att).argmax())
        return drawing.overlay_video(win, att, view.look), fullest, att.notes

    src, fullest, notes = wait_for(make, "Sending the answer back to the pixels")
    begin = (fullest + 0.5) / pictures.watchable(win.fps, win.stride)
    components.film("overlay", src, _alt(unit, view.method), begin=begin)
    ui.scale(view.look, "one colour scale for all 16 frames")
    look = st.segmented_control(
        "Colours",
        list(ui.LOOKS),
        default=view.look,
        format_func=ui.LOOKS.get,
        required=True,
        help="Strength: how much a pixel takes part. Signed: whether more light there drives the "
        "answer up (orange) or down (blue).",
    )
    if look != view.look:
        state.changed(look=look)
        st.rerun()
    st.caption(METHODS[view.method].sentence)
    for note in notes:
        ui.fact(note)


def _alt(unit: work.Spot, method: str) -> str:
    return (
        f"Overlay video: {METHODS[method].title} of feature map {unit.channel} of {unit.layer}, "
        "bright where the pixels take part"
    )


def frame_by_frame(shown: state.Shown, unit: work.Spot) -> None:
    """Clip, map on the clip, and the map in its own colours, moving together."""
    view, win, net = state.view(), shown.window, shown.net

    def make() -> tuple[str, str, str, str, list[float]]:
        att = work.back_projection(net, win, unit, view.method)
        return (
            drawing.frame_sprite(win, 240, "sharp"),
            drawing.overlay_sprite(win, att, view.look, 240),
            drawing.raw_sprite(net, win, att, 224),
            drawing.overlay_sprite(win, att, view.look, 96),
            drawing.magnitude_over_time(att).tolist(),
        )

    frames, over, raw, strip, bars = wait_for(make, "Drawing the frames")
    ui.heading("Frame by frame")
    method = METHODS[view.method].title
    components.player(
        "frames",
        [
            {
                "title": "Clip", "note": "the part the network sees",
                "alt": "The clip", "src": frames,
            },
            {
                "title": "Map on the clip", "note": method,
                "alt": _alt(unit, view.method), "src": over,
            },
            {
                "title": "Map in colour", "note": "grey is zero, as in the paper's Figure 4",
                "alt": f"{method} as a colour picture around grey", "src": raw,
            },
        ],
        first=win.start, stride=win.stride, fps=pictures.watchable(win.fps, win.stride),
        begin=bars.index(max(bars)), about=drawing.about(win, unit), strip=strip,
        bars=bars, bars_label="Share of the map in each frame",
    )  # fmt: skip


def where(shown: state.Shown, unit: work.Spot) -> None:
    """The activation map in its own grid; a click chooses another cell."""
    ui.heading("Where it answers")
    if not unit.at:
        ui.fact("A fully connected unit has no place: it sees the whole clip at once.")
        return
    values = work.activation_map(shown.net, shown.window, unit.layer, unit.channel)
    steps, height, width = values.shape
    peak = tuple(int(i) for i in np.unravel_index(int(values.argmax()), values.shape))
    level = normalised(values, float(values.max()))
    table = ui.colour_map()
    picture = table[np.clip(np.round(level * 255), 0, 255).astype(np.uint8)]
    per = 16 // steps
    first, stride = shown.window.start, shown.window.stride
    spans = [(first + t * per * stride, first + ((t + 1) * per - 1) * stride) for t in range(steps)]
    labels = [f"frames {a}–{b}" if a != b else f"frame {a}" for a, b in spans]
    ui.fact(
        f"The map itself: {steps} × {height} × {width} cells. The ring is the cell sent back to "
        "the pixels, the dot the strongest. Click another cell to send that one back."
    )
    components.cells(
        "cells",
        src=pictures.png(pictures.side_by_side(picture)),
        grid=(steps, height, width),
        at=unit.at,
        peak=peak,
        labels=labels,
        alt=f"Activation map of {unit.layer} map {unit.channel}, {steps} time steps of "
        f"{height} by {width} cells.",
        picked=lambda at: state.changed(channel=unit.channel, at=at),
    )
    if unit.at != peak and st.button("Back to the strongest cell", icon=":material/my_location:"):
        state.changed(channel=unit.channel, at=None)
        st.rerun()
    st.caption(f"This cell answers {unit.activation:.3g}.")
    with st.expander("What is a feature map?"):
        st.markdown(words.FEATURE_MAP)


def side_by_side(shown: state.Shown, unit: work.Spot) -> None:
    """Several methods on the same unit."""
    view, win, net = state.view(), shown.window, shown.net
    ui.heading("Methods side by side")
    chosen = st.pills(
        "Methods",
        list(METHODS),
        selection_mode="multi",
        default=list(RULES),
        format_func=lambda m: METHODS[m].title,
        label_visibility="collapsed",
        key="side-methods",
        wrap=True,
    )
    if not chosen:
        ui.fact("Choose a method.")
        return
    together = st.toggle(
        "One colour scale for all of them",
        value=True,
        key="side-scale",
        help="On: equal colours are equal numbers. Off: each method fills its own scale.",
    )

    def make() -> tuple[list[tuple[str, str, str]], int]:
        maps = []
        for m in METHODS:
            if m in chosen:
                report(len(maps), len(chosen))
                maps.append((m, work.back_projection(net, win, unit, m)))
        upper = drawing.bound([att for _, att in maps], view.look) if together else None
        made = [
            (m, " ".join(att.notes), drawing.overlay_sprite(win, att, view.look, 200, upper))
            for m, att in maps
        ]
        return made, int(np.sum([drawing.magnitude_over_time(a) for _, a in maps], axis=0).argmax())

    made, fullest = wait_for(make, "Trying the other methods")
    panels = [
        {
            "title": METHODS[m].title,
            "note": f"{METHODS[m].paper.split(',')[0]} {note}".rstrip(),
            "alt": _alt(unit, m),
            "src": src,
        }
        for m, note, src in made
    ]
    components.player(
        "side",
        panels,
        first=win.start,
        stride=win.stride,
        fps=pictures.watchable(win.fps, win.stride),
        begin=fullest,
        about=drawing.about(win, unit),
    )
    with st.expander("How do the methods differ?"):
        st.markdown(words.METHODS)
