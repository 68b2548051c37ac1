"""Page 2: the network from left to right, its feature maps, and one of them in full."""

from __future__ import annotations

import numpy as np
import streamlit as st

from c3d_viz.methods import METHODS
from c3d_viz.render import normalised

from .. import components, drawing, patches, pictures, state, ui, windows, words, work
from ..tasks import report
from ..waiting import wait_for
from . import atlas, side, stage

UNTRAINED_SEED = 1


def page() -> None:
    """Draw the page."""
    stage.network()
    view = state.view()
    tree = state.tree()
    spoken = next((b["spoken"] for b in tree.blocks if b["id"] == view.layer), "")
    ui.title("Layer by layer", f"{view.layer}: {spoken}.{_time(tree.layers[view.layer])}")
    left, middle, right = stage.columns()
    with middle:
        shown = state.shown()
        unit = state.unit(shown)
        drawn = stage.answer(shown, unit)
    with left:
        where(shown, unit)
    if not drawn:
        return
    st.space("small")
    places(shown, unit)
    with st.container(key="frames-place"):
        frame_by_frame(shown, unit)
    atlas.of_unit(shown, unit)
    st.space("small")
    side.by_side(shown, unit)
    with right:  # last: the other maps may take longer than the one that is looked at
        stage.strongest(shown, unit)
    with left:
        untrained(shown, unit)


def _time(shape: tuple[int, ...]) -> str:
    steps = shape[1] if len(shape) > 1 else 1
    each = state.network().spec.input.frames // steps
    return (
        "" if len(shape) == 1 or each <= 1 else f" Its {steps} time steps are {each} frames each."
    )


def untrained(shown: state.Shown, unit: work.Spot) -> None:
    """The same cell with random weights: what a picture shows that nothing was learned for."""
    net, win, view = shown.net, shown.window, state.view()
    ui.heading("Was it learned?")
    if net.spec.trained is False:
        ui.fact("No: these weights are random. What is drawn here owes nothing to learning.")
        return

    def make() -> tuple[str, str, float | None]:
        random = work.reinitialised(net, UNTRAINED_SEED)
        bare = windows.on(random, win)
        maps = [
            work.back_projection(*which, unit, view.method)
            for which in ((net, win), (random, bare))
        ]
        pair = zip((win, bare), maps, strict=True)
        own, other = (drawing.overlay_sprite(w, att, view.look, 160) for w, att in pair)
        return own, other, drawing.likeness(*maps)

    own, other, likeness = wait_for(make, "Trying random weights")
    alt = side.alt(unit, view.method)
    components.player(
        "untrained",
        [
            {"title": title, "note": "", "alt": said, "src": src, "part": stage.WHOLE}
            for title, said, src in (
                ("These weights", alt, own),
                ("Random weights", f"{alt}, untrained", other),
            )
        ],
        first=win.start,
        count=len(win.frames),
        stride=win.stride,
        fps=1,
        follows=stage.LEADER,
        **stage.linked(shown, unit),
    )
    if likeness is not None:
        ui.fact(
            f"Likeness {likeness:z.2f} (rank correlation; 1 is the same order of pixels). What "
            "random weights draw too was not learned."
        )


def places(shown: state.Shown, unit: work.Spot) -> None:
    """Where else the map answers: its strongest places, enlarged, to choose from."""
    method = state.view().method
    if patches.patch_of(shown.net, shown.window, unit) is None:
        return
    ui.heading(
        f"The strongest places of map {unit.channel}",
        "What it sees there, enlarged, beside what is sent back. Choose one to look at it.",
    )
    found = wait_for(
        lambda: patches.place_tiles(
            shown.net, shown.window, unit.layer, unit.channel, method, report
        ),
        "Looking at the strongest places",
    )
    numbers = shown.window.numbers
    items = []
    for spot, patch, src in found:
        begin, end = numbers[patch.frames[0]], numbers[patch.frames[-1]]
        items.append(
            {
                "id": "-".join(map(str, spot.at)),
                "title": f"frames {begin}–{end}" if begin != end else f"frame {begin}",
                "note": f"answers {spot.activation:z.3g}",
                "src": src,
                "frames": len(patch.frames),
                "alt": f"What the cell {spot.at} of map {unit.channel} sees, moving",
                "at": spot.at,
                "box": patch.box,
            }
        )
    components.tiles(
        "places",
        f"Place of map {unit.channel}",
        items,
        "-".join(map(str, unit.at)),
        lambda at: state.changed(channel=unit.channel, at=tuple(int(i) for i in at.split("-"))),
        width=118,
        ratio=2,
        cells=patches.cells(shown.net, shown.window, unit.layer),
    )
    st.space("small")


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
                "alt": "The clip", "src": frames, "part": stage.WHOLE,
            },
            {
                "title": "Map on the clip", "note": method,
                "alt": side.alt(unit, view.method), "src": over, "part": stage.WHOLE,
            },
            {
                "title": "Map in colour", "note": "grey is zero, as in the paper's Figure 4",
                "alt": f"{method} as a colour picture around grey", "src": raw,
                "part": stage.WHOLE,
            },
        ],
        first=win.start, count=len(win.frames), stride=win.stride,
        fps=pictures.watchable(win.fps, win.stride),
        begin=bars.index(max(bars)), about=drawing.about(win, unit), strip=strip,
        bars=bars, bars_label="Share of the map in each frame",
        **stage.linked(shown, unit),
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
    per = max(1, len(shown.window.frames) // steps)
    first, stride = shown.window.start, shown.window.stride
    spans = [(first + t * per * stride, first + ((t + 1) * per - 1) * stride) for t in range(steps)]
    labels = [f"frames {a}–{b}" if a != b else f"frame {a}" for a, b in spans]
    ui.fact(
        f"{steps} × {height} × {width} cells. The ring is the cell sent back to the pixels, the "
        "dot the strongest. Click another to send that one back."
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
    st.caption(f"This cell answers {unit.activation:z.3g}.")
    with st.expander("What is a feature map?"):
        st.markdown(words.FEATURE_MAP)
