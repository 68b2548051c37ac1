"""Several methods on one unit, side by side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

import c3d_viz as viz
from c3d_viz.errors import VizError
from c3d_viz.methods import METHODS

from .. import components, drawing, pictures, state, ui, words, work
from ..tasks import report
from ..waiting import wait_for

RULES = ("deconvnet", "guided", "gradient")


def alt(unit: work.Spot, method: str) -> str:
    """A map's picture in words."""
    return (
        f"{METHODS[method].title} of feature map {unit.channel} of {unit.layer}, bright where the "
        "pixels take part"
    )


def by_side(shown: state.Shown, unit: work.Spot) -> None:
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
    asked = [m for m in METHODS if m in chosen]

    def compute() -> tuple[list[viz.Attribution], list[str]]:
        maps, refusals = [], []
        for number, m in enumerate(asked):
            report(number, len(asked))
            try:
                maps.append(work.back_projection(net, win, unit, m))
            except VizError as error:  # this method, at this layer
                refusals.append(str(error))
        return maps, refusals

    maps, refusals = wait_for(compute, "Trying the other methods", fewer(asked))
    for refusal in refusals:
        ui.fact(refusal)
    if not maps:
        return
    ends = [drawing.bound([att], view.look) for att in maps]
    together = st.toggle(
        "One colour scale for all of them",
        value=drawing.comparable(ends),
        key=f"side-scale-{drawing.about(win, unit)}-{'-'.join(asked)}",
        help="On: equal colours are equal numbers. Off: each method fills its own scale. What "
        "is some times weaker would be black on one.",
    )
    upper = max(ends) if together else None
    made = wait_for(
        lambda: [drawing.overlay_sprite(win, att, view.look, 200, upper) for att in maps],
        "Drawing the methods",
    )
    fullest = int(np.sum([drawing.magnitude_over_time(att) for att in maps], axis=0).argmax())
    panels = [
        {
            "title": METHODS[att.method].title,
            "note": " ".join([METHODS[att.method].paper.split(",")[0], *att.notes]),
            "alt": alt(unit, att.method),
            "ratio": win.ratio,
            "src": src,
        }
        for att, src in zip(maps, made, strict=True)
    ]
    components.player(
        "side",
        panels,
        first=win.start,
        count=len(win.frames),
        stride=win.stride,
        fps=pictures.watchable(win.fps, win.stride),
        begin=fullest,
        about=drawing.about(win, unit),
    )
    with st.expander("How do the methods differ?"):
        st.markdown(words.METHODS)
        st.markdown("\n".join(f"* **{m.title}.** {ui.plain(m.sentence)}" for m in METHODS.values()))


def fewer(asked: list[str]) -> tuple[str, Callable[[], None]] | None:
    """What to do instead of waiting for slow methods: the quick ones alone."""
    quick = [m for m in asked if METHODS[m].rule is not None]
    if quick == asked:
        return None

    def instead() -> None:
        st.session_state["side-methods"] = quick or ["gradient"]

    return "Stop, and show the quick ones", instead
