"""The atlas: what each feature map answers to in many videos, and how strongly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from c3d_viz.corpus import Atlas, FeatureMap, TopWindow
from c3d_viz.errors import VizError

from .. import atlas, charts, components, state, ui, work
from ..sessions import session, sessions
from ..waiting import wait_for

LOCAL, GO = "atlas-map", "atlas-go"  # of the session's state: (layer, channel); a clip was chosen
MARKS = (0.5, 0.9, 0.99)
ALIKE = 3
SOME = 6  # windows of a map on the page of a unit


def page() -> None:
    """Draw the page."""
    follow()
    known, net = atlas.known(), state.network()
    about = known.about
    ui.title(
        "What the feature maps answer to",
        f"The strongest of {about['windows']} windows of {about['videos']} videos, map by map.",
    )
    other = atlas.differs(net)
    if other:
        st.info(
            f"This atlas is of another network (other {other}): {ui.weights(about['weights'])}. "
            f"Its numbers say nothing about the one that is chosen above.",
            icon=":material/info:",
        )
    layer, channel = chosen(known, same=not other)
    choose(known, layer, channel, same=not other)
    left, right = st.columns([62, 38], gap="large")
    with left:
        windows(net, layer, channel, same=not other)
    with right:
        yardstick(known, known.map(layer, channel), None if other else _here(layer, channel))
        alike(known, net, layer, channel, same=not other)
    with st.expander("How to read it"):
        st.markdown(
            "Each picture moves: the frame with an outline on the part that reaches the map's "
            "strongest position, that part, enlarged, and beside it the way back to the pixels "
            "(grey is zero). Where all of the frame reaches it, the first is left out. What a map "
            "answers to most is not all that it answers to, and a corpus can only show what is "
            "in it."
        )
        if not atlas.given():
            st.markdown(
                "This small atlas comes with the program: sample clips and synthetic ones. Make "
                "one of your own videos with `c3d-viz atlas VIDEOS... -o OUT` and show it with "
                "`c3d-viz app --atlas OUT`."
            )


def chosen(known: Atlas, *, same: bool) -> tuple[str, int]:
    """The layer and map that are shown: the view's where the atlas has it, else the page's own."""
    view, names = state.view(), [layer.name for layer in known.layers]
    if same and view.layer in names:
        if view.channel is not None and view.channel < known.layer(view.layer).channels:
            return view.layer, view.channel
        try:
            return view.layer, state.unit(state.shown()).channel
        except VizError:  # a clip that cannot be read: any map
            return view.layer, known.order(view.layer)[0]
    layer, channel = st.session_state.get(LOCAL, (names[-1], known.order(names[-1])[0]))
    return layer, channel


def choose(known: Atlas, layer: str, channel: int, *, same: bool) -> None:
    """A layer, and a map by number or along those that answer alike."""
    names, order = [entry.name for entry in known.layers], known.order(layer)
    a, b, c = st.columns([20, 16, 64], vertical_alignment="bottom")
    other = a.selectbox("Layer", names, names.index(layer), key=f"atlas-layer-{layer}")
    if other != layer:
        show(other, known.order(other)[0], same=same)
    place = f"{layer}-{channel}"  # other widgets for another map, however it was chosen
    number = b.number_input("Map", 0, len(order) - 1, channel, key=f"atlas-number-{place}")
    along = c.select_slider(
        "All maps, those that answer alike side by side",
        order,
        channel,
        key=f"atlas-order-{place}",
    )
    for one in (int(number), int(along)):
        if one != channel:
            show(layer, one, same=same)


def show(layer: str, channel: int, *, same: bool) -> None:
    """Show another map from now on."""
    keep(layer, channel, same=same)
    st.rerun()


def keep(layer: str, channel: int, *, same: bool) -> None:
    st.session_state[LOCAL] = layer, channel
    if same:
        state.change(state.view().with_layer(layer).with_channel(channel))


def windows(net: work.Net, layer: str, channel: int, *, same: bool, most: int = 100) -> None:
    """A map's windows as moving tiles; one that is chosen opens on the first page."""
    known = atlas.known()
    tops = known.top(layer, channel)[:most]
    ui.heading(f"{layer}, map {channel}: its strongest windows in the atlas")
    if not tops:
        ui.fact("It is never above 0 in this corpus.")
        return
    drawn = [
        (top, strip)
        for top, strip in zip(tops, _strips(net, layer, channel, most), strict=True)
        if strip[0] or atlas.given()
    ]
    items = [
        {
            "id": str(top.rank),
            "title": f"answers {top.value:z.3g}",
            "note": f"{atlas.name_of(top)}, {_frames(known, top)}",
            "src": src,
            "frames": frames,
            "alt": f"What map {channel} of {layer} answers to in {atlas.name_of(top)}, moving",
        }
        for top, (src, frames) in drawn
    ]
    components.tiles(
        "atlas-windows",
        f"Window that {layer} map {channel} answers to",
        items,
        None,
        open_window(tops, same=same, leave=most > SOME),
        width=200,
        ratio=known.layer(layer).tiles,
    )
    ui.fact("Choose one to open it as the clip, at that window.")
    if len(drawn) < len(tops):
        ui.fact(
            f"{len(tops) - len(drawn)} of {len(tops)} are left out: their clips are not installed, "
            f"or this PyTorch draws other ones from the same seeds."
        )


def open_window(tops: tuple[TopWindow, ...], *, same: bool, leave: bool) -> Callable[[str], None]:
    """What opens a window by its rank: its clip, and the unit where it is this network's."""

    def opened(rank: str) -> None:
        top = tops[int(rank)]
        try:
            key = atlas.key_of(top)
            there = atlas.source(key, sessions().storage.root) is not None
            why = "is not where the atlas found it, or is another file by now"
        except VizError as error:
            there, why = False, f"cannot be read: {error}"
        if not there:
            session().notes.append(f"{atlas.name_of(top)} {why}.")
            return
        view = replace(state.view(), clip=key, start=top.start, stride=1)
        if same:
            at = top.at if len(top.at) == 3 else None
            view = replace(view, layer=top.layer, channel=top.channel, at=at)
        state.change(view)
        st.session_state[GO] = leave

    return opened


def follow() -> None:
    """Go to the first page where a window has just been chosen."""
    if st.session_state.pop(GO, False):
        st.switch_page(st.session_state["pages"]["clip"])


def alike(known: Atlas, net: work.Net, layer: str, channel: int, *, same: bool) -> None:
    """The maps that answer most like this one, each by its strongest window."""
    near = [(c, r) for c, r in known.map(layer, channel).alike[:ALIKE] if known.top(layer, c)]
    if not near:
        return
    ui.heading("Maps that answer alike", "By the correlation of their answers over all windows.")
    items = []
    for other, likeness in near:
        ((src, frames),) = _strips(net, layer, other, 1)
        items.append(
            {
                "id": str(other),
                "title": f"map {other}",
                "note": f"correlation {likeness:z.2f}",
                "src": src,
                "frames": frames,
                "alt": f"What map {other} of {layer} answers to most, moving",
            }
        )
    components.tiles(
        "atlas-alike",
        f"Map that answers like map {channel}",
        items,
        None,
        lambda other: keep(layer, int(other), same=same),
        width=180,
        ratio=known.layer(layer).tiles,
    )


def yardstick(known: Atlas, of: FeatureMap, here: work.Spot | None) -> None:
    """How strong a map's answers are over the corpus, and where this window stands."""
    ui.heading("How strong is strong?")
    last = len(of.quantiles) - 1
    marks = ", ".join(
        f"{100 * mark:.0f} % stay below {of.quantiles[round(mark * last)]:z.3g}" for mark in MARKS
    )
    highest = f"{of.quantiles[-1]:z.3g}"
    ui.fact(f"Of {known.about['windows']} windows {marks}; the strongest is {highest}.")
    if here is not None:
        told = atlas.said(state.network(), here)
        ui.fact(f"The window on the first page answers {here.activation:z.3g}: {told}.")
    st.altair_chart(charts.quantiles(of.quantiles, here and here.activation), width="stretch")


def of_unit(shown: state.Shown, unit: work.Spot) -> None:
    """The windows of the atlas that the unit's map answers to most, on the page of a unit."""
    known = atlas.known()
    if unit.layer in (layer.name for layer in known.layers) and not atlas.differs(shown.net):
        st.space("small")
        windows(shown.net, unit.layer, unit.channel, same=True, most=SOME)


def _here(layer: str, channel: int) -> work.Spot | None:
    """What the map answers in the window that is on the first page."""
    try:
        shown = state.shown()
    except VizError:
        return None
    return wait_for(
        lambda: work.spot(shown.net, shown.window, layer, channel, None),
        f"Running the network up to {layer}",
    )


def _frames(known: Atlas, top: TopWindow) -> str:
    """Which frames of the video the unit sees."""
    every = known.about["input"]["stride"]
    first, last = (top.start + every * number for number in top.frames)
    return f"frames {first}–{last}" if first < last else f"frame {first}"


def _strips(net: work.Net, layer: str, channel: int, most: int) -> list[tuple[str, int]]:
    folder = sessions().storage.root
    return wait_for(lambda: atlas.strips(net, layer, channel, folder, most), "Drawing the windows")
