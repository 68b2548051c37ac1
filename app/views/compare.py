"""Page 4: two methods, layers, clips or sets of weights next to each other."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

import c3d_viz as viz
from c3d_viz.methods import METHODS

from .. import charts, components, drawing, measured, patches, pictures, samples, state, ui, work
from ..sessions import session
from ..state import Shown
from ..view import UPLOADED
from ..waiting import wait_for

KINDS = {"method": "Method", "layer": "Layer", "clip": "Clip", "net": "Weights"}


@dataclass(frozen=True)
class Side:
    """One of the two: where it comes from and what it is called."""

    shown: Shown
    unit: work.Spot
    att: viz.Attribution
    title: str
    note: str


def page() -> None:
    """Draw the page."""
    ui.title(
        "Two next to each other",
        "Left what you chose before, right the same with one thing changed, and only that.",
    )
    kind, key = choose()
    one, other = wait_for_sides(kind, key)
    view = state.view()
    ends = [drawing.bound([side.att], view.look) for side in (one, other)]
    together = st.toggle(
        "One colour scale for both",
        value=drawing.comparable(ends),
        key=f"together-{kind}-{key}-{drawing.about(one.shown.window, one.unit)}-{view.method}",
        help="On: equal colours are equal numbers. Off: each side fills its own scale, "
        "as what is some times weaker would be black on one.",
    )

    def draw() -> list[tuple[str, list[tuple[str, str]]]]:
        upper = max(ends) if together else None
        made = []
        for side in (one, other):
            net, win = side.shown.net, side.shown.window
            patch = patches.patch_of(net, win, side.unit)
            near = [] if patch is None else [patches.panels(net, win, side.att, patch, 160)]
            made.append((drawing.overlay_sprite(win, side.att, view.look, 320, upper), near))
        return made

    drawn = wait_for(draw, "Drawing both")
    win = one.shown.window
    components.player(
        "compare",
        [
            {
                "title": s.title, "note": s.note, "alt": f"{s.title}: {s.note}", "src": large,
                "first": s.shown.window.start, "stride": s.shown.window.stride,
                "count": len(s.shown.window.frames), "ratio": s.shown.window.ratio,
                **marked(s),
            }
            for s, (large, _) in zip((one, other), drawn, strict=True)
        ],
        first=win.start, count=len(win.frames),
        stride=win.stride,
        fps=pictures.watchable(win.fps, win.stride),
        begin=int(drawing.magnitude_over_time(one.att).argmax()),
        about=drawing.about(win, one.unit) + drawing.about(other.shown.window, other.unit),
        autoplay=True,
        fit=330,
        leads="compare",
        curves=(".st-key-curves", charts.PADDING),
    )  # fmt: skip
    enlarged(one, other, [near for _, near in drawn])
    ui.scale(view.look, "one scale for both" if together else "each side has its own scale")
    if kind == "net" and one.unit.layer != other.unit.layer:
        ui.fact(
            f"The network on the right has no {one.unit.layer}: it shows the strongest map of its "
            f"{other.unit.layer}. Maps of different networks have nothing in common."
        )
    believed(one, other)
    curves(one, other)
    likeness(one, other)


def marked(side: Side) -> dict[str, object]:
    """Where a unit that sees little lies on the frame, for its panel."""
    patch = patches.patch_of(side.shown.net, side.shown.window, side.unit)
    return {} if patch is None else {"box": patch.box, "frames": [*patch.frames]}


def believed(one: Side, other: Side) -> None:
    """What was measured of either side's maps; once where it is the same network and method."""
    sides = {measured.line(s.shown.net, s.unit.layer, s.att.method): s for s in (one, other)}
    for side in sides.values():
        whose = side.title if len(sides) > 1 else ""
        measured.caption(side.shown.net, side.unit.layer, side.att.method, whose)


def enlarged(one: Side, other: Side, near: list[list[tuple[str, str]]]) -> None:
    """What units that see little see there, enlarged, and what is sent back of it."""
    # fmt: off
    panels = [
        {
            "title": title, "note": side.title, "alt": f"{title}, enlarged: {side.title}",
            "src": src, "count": len(side.shown.window.frames),
        }
        for side, found in zip((one, other), near, strict=True)
        for both in found
        for title, src in zip(("What it sees", "Sent back"), both, strict=True)
    ]
    # fmt: on
    if panels:
        win = one.shown.window
        components.player(
            "enlarged",
            panels,
            first=win.start,
            count=len(win.frames),
            stride=win.stride,
            fps=1,
            follows="compare",
        )


def choose() -> tuple[str, str]:
    """What differs, and the other side's value."""
    view = state.view()
    first = "net:untrained" if state.network().choice.is_c3d else f"method:{options('method')[0]}"
    kind, _, key = (view.versus or first).partition(":")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.segmented_control(
            "What differs",
            list(KINDS),
            default=kind,
            format_func=KINDS.get,
            required=True,
        )
        if chosen != kind:
            state.changed(versus=f"{chosen}:{options(chosen)[0]}")
            st.rerun()
        keys = options(kind)
        if key not in keys:
            key = keys[0]
        names = {k: name_of(kind, k) for k in keys}
        other = st.selectbox(
            f"Right: another {KINDS[kind].lower()}" if kind != "net" else "Right: other weights",
            keys,
            keys.index(key),
            format_func=names.get,
            key=f"versus-{kind}-{key}",  # another one for another value: Back changes it too
            width=280,
        )
    if other != key:
        state.changed(versus=f"{kind}:{other}")
        st.rerun()
    return kind, other


def options(kind: str) -> list[str]:
    """Everything the right side may be: all but what the left is."""
    view = state.view()
    if kind == "method":
        return [m for m in METHODS if m != view.method]
    if kind == "layer":
        return [layer for layer in state.layers(view.net)[0] if layer != view.layer]
    if kind == "clip":
        return [c for c in (*samples.samples(), *session().clips) if c != view.clip]
    nets = [n for n in state.nets() if n != view.net]
    return sorted(nets, key=lambda n: n != work.UNTRAINED)


def name_of(kind: str, key: str) -> str:
    """A value of the right side for people."""
    if kind == "method":
        return METHODS[key].title
    if kind == "clip":
        known = samples.samples()
        return known[key].title if key in known else ui.plain(state.source(key).label)
    if kind == "net":
        own = session().weights
        return own.label if key == UPLOADED and own else work.SHIPPED.get(key, state.given_name())
    return key


def wait_for_sides(kind: str, key: str) -> tuple[Side, Side]:
    """Both sides, computed."""
    view = state.view()
    left = state.shown()
    right = state.shown(clip=key if kind == "clip" else None, net=key if kind == "net" else None)
    layer = key if kind == "layer" else view.layer
    method = key if kind == "method" else view.method
    titles = name_of(kind, getattr(view, kind)), name_of(kind, key)  # not from the worker thread

    a = state.unit(left)
    same = False
    if kind == "net":
        here, there = state.tree().layers, state.tree(key)
        same = here[layer] == there.layers.get(layer)
        layer = layer if layer in there.layers else there.first

    def make() -> tuple[Side, Side]:
        if kind == "method":
            b = a
        elif kind == "clip":  # the same filter, wherever it answers most there
            b = work.spot(right.net, right.window, layer, a.channel, None)
        elif kind == "net" and same:  # the very same cell
            b = work.spot(right.net, right.window, layer, a.channel, a.at)
        else:  # feature maps of other layers have nothing in common
            b = work.spot(right.net, right.window, layer, None, None)
        return (
            _side(left, a, view.method, titles[0]),
            _side(right, b, method, titles[1]),
        )

    return wait_for(make, "Computing both sides")


def _side(shown: Shown, unit: work.Spot, method: str, title: str) -> Side:
    att = work.back_projection(shown.net, shown.window, unit, method)
    # a unit that does not answer still has ways back to the pixels: the picture shows those alone
    note = f"{unit.layer}, map {unit.channel}, {ui.answers(unit.activation)} · " + " · ".join(
        [METHODS[method].title, *att.notes]
    )
    return Side(shown, unit, att, title, note)


def curves(one: Side, other: Side) -> None:
    """How much of each map falls in each frame."""
    ui.heading("Share of the map in each frame")
    shares = [(side.title, drawing.magnitude_over_time(side.att)) for side in (one, other)]
    same = one.shown.window.numbers == other.shown.window.numbers
    numbers = one.shown.window.numbers if same else None
    with st.container(key="curves"):
        st.altair_chart(
            charts.shares(shares, numbers),
            alt="Share of both maps in each frame; a click shows the frame above",
        )


def likeness(one: Side, other: Side) -> None:
    """In one sentence, how alike the two maps are."""
    same_clip = one.shown.source.key == other.shown.source.key
    if not same_clip or one.att.values.shape != other.att.values.shape:
        return
    value = drawing.likeness(one.att, other.att)
    if value is None:
        ui.fact("One of the two maps is empty, so their likeness is undefined.")
        return
    ui.fact(
        f"Likeness of the two maps: {value:z.2f} (rank correlation over all pixels; 1 is the same "
        f"order, 0 is no relation)."
    )
