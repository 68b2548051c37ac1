"""Page 3: the paper's Figure 4 for this clip, what alters it, and what may be concluded."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from c3d_viz.methods import METHODS
from c3d_viz.nets import CONV_LAYERS

from .. import (
    charts,
    components,
    drawing,
    exporting,
    finding_work,
    measured,
    pictures,
    state,
    tasks,
    ui,
    windows,
    work,
)
from ..finding_work import Lines
from ..sessions import session
from ..tasks import Task, report
from ..view import UPLOADED, View
from ..waiting import show, wait_for
from . import verdict

RULES = ("deconvnet", "guided", "gradient")


def page() -> None:
    """Draw the page."""
    ui.title(
        "Appearance first, then motion?",
        "The C3D paper's claim on your clip: its Figure 4, and what should make you doubt it.",
    )
    if not state.network().choice.is_c3d:
        st.info(
            "The claim is about C3D and its eight convolutions; the network chosen has other "
            "layers. Choose a C3D in the menu above to see it, or look at this one under Layers.",
            icon=":material/info:",
        )
        return
    shown = state.shown()
    view = state.view()
    place = st.container(key="verdict")
    layer = view.layer if view.layer in CONV_LAYERS else "conv5b"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Layer", CONV_LAYERS, CONV_LAYERS.index(layer), width=130)
        method = st.segmented_control(
            "Method",
            RULES,
            default=view.method if view.method in RULES else "deconvnet",
            format_func=lambda m: METHODS[m].title,
            required=True,
            wrap=True,
        )
    if chosen != layer:
        state.change(view.with_layer(chosen))
        st.rerun()
    if method != view.method and view.method in RULES:
        state.changed(method=method)
        st.rerun()
    if view.method not in RULES or view.layer not in CONV_LAYERS:
        st.info(instead(view, layer, method), icon=":material/info:")
    base = wait_for(
        lambda: finding_work.lines(shown.net, shown.window, layer, method),
        f"Sending the four strongest answers of {layer} back",
    )
    figure(shown, base, layer, method)
    found = alterations(shown, layer, method)
    with place:
        verdict.conclusion(shown, found)
    networks(shown, base, layer, method)
    verdict.limits()


def instead(view: View, layer: str, method: str) -> str:
    """What is shown here in place of what was chosen on the other pages."""
    words = []
    if view.method not in RULES:
        words.append(
            f"{METHODS[view.method].title} is no single walk back; {METHODS[method].title} is "
            "shown here"
        )
    if view.layer not in CONV_LAYERS:
        words.append(f"{view.layer} has no frames; {layer} is shown here")
    return ui.plain(". ".join(words) + ".")


def figure(shown: state.Shown, base: Lines, layer: str, method: str) -> None:
    """The clip and the back-projections of its two strongest maps, and the curves under them."""
    win, net = shown.window, shown.net
    spots = base.spots[:2]

    def make() -> tuple[str, list[tuple[str, str, str]]]:
        maps = [work.back_projection(net, win, spot, method) for spot in spots]
        return (
            drawing.frame_sprite(win, 224, "sharp"),
            [
                (
                    drawing.raw_sprite(net, win, a, 224),
                    drawing.overlay_sprite(win, a, "magnitude", 96),
                    "; ".join(["grey is zero", *a.notes]),
                )
                for a in maps
            ],
        )

    frames, drawn = wait_for(make, "Drawing the frames")
    panels: list[dict[str, Any]] = [
        {"title": "Clip", "note": "what the network gets", "alt": "The clip", "src": frames}
    ]
    for spot, (raw, _, note) in zip(spots, drawn, strict=True):
        panels.append(
            {
                "title": f"{layer}, map {spot.channel}",
                "note": f"answers {spot.activation:z.3g}; {note}",
                "alt": f"{METHODS[method].title} of map {spot.channel} in colour around grey",
                "src": raw,
            }
        )
    components.player(
        "figure-4",
        panels,
        first=win.start,
        count=len(win.frames),
        stride=win.stride,
        fps=pictures.watchable(win.fps, win.stride),
        strip=drawn[0][1],
        bars=finding_work.relative(base.share),
        bars_label="Each frame's share of the four strongest maps",
        autoplay=True,
        curves=(".st-key-curves", charts.PADDING),
    )
    measured.caption(net, layer, method)
    for_paper(shown, layer, method)
    ui.heading(
        "What the maps follow",
        f"For each frame: how well the four strongest maps of {layer} agree with the texture that "
        "is there (appearance) and with what moves (motion), each with the other taken out "
        "(partial rank correlation). 0 is no relation.",
    )
    with st.container(key="curves"):
        st.altair_chart(
            charts.curves([base], charts.domain([base]), 240, win.numbers, legend=True),
            alt="Curves of appearance and motion over the frames; a click shows the frame above",
        )


def for_paper(shown: state.Shown, layer: str, method: str) -> None:
    """The same as one printable figure, made on request."""
    net, win = shown.net, shown.window
    name = f"figure {net.key} {win.key} {layer} {method}"
    job = session().jobs.get(name)
    begin = "Make the figure for print"
    apart = win.stride != 1
    if (job is None or job.state in ("failed", "cancelled")) and st.button(
        begin,
        icon=":material/print:",
        help="All 16 frames and curves as PNG, PDF and video",
        disabled=apart,
    ):
        folder = session().folder
        session().jobs[name] = tasks.begin(
            "Drawing the figure",
            lambda report: exporting.figure(shown, layer, method, folder, report),
        )
        st.rerun()

    if apart:
        st.caption(
            "It is made of neighbouring frames; choose “every frame” under the timeline of the "
            "first page."
        )

    def draw(job: Task) -> None:
        with st.container(horizontal=True):
            for file, data in job.result:
                kind = file.rpartition(".")[2]
                st.download_button(
                    kind.upper(),
                    data,
                    file,
                    icon=":material/download:",
                    on_click="ignore",
                    key=f"figure-{kind}",
                )

    show(session().jobs.get(name), begin, draw)


def alterations(shown: state.Shown, layer: str, method: str) -> dict[str, Lines]:
    """The clip reversed, frozen and shuffled beside it."""
    ui.heading(
        "The same clip, altered",
        "If the network itself prefers appearance first, the order of the frames should not "
        "matter. Frozen, nothing moves, so motion is undefined. Shuffled, there is no story.",
    )
    found = wait_for(
        lambda: finding_work.altered(shown.net, shown.window, layer, method, report),
        "Reversing, freezing and shuffling the clip",
    )
    domain = charts.domain(list(found.values()))
    for column, (title, line) in zip(st.columns(4), found.items(), strict=True):
        numbers = windows.altered_numbers(shown.window, title)
        with column:
            small(title.capitalize(), [line], domain, numbers)
    return found


def networks(shown: state.Shown, base: Lines, layer: str, method: str) -> None:
    """The same clip through untrained networks and the 2D twin, on request."""
    net, win, view = shown.net, shown.window, state.view()
    ui.heading(
        "The same clip, other networks",
        "Random weights know nothing of appearance or motion. Whatever they show too was not "
        "learned. The 2D twin sees each frame by itself.",
    )
    begin = "Try other networks"
    name = f"networks {net.key} {win.key} {layer} {method}"
    job = session().jobs.get(name)
    if job is None or job.state in ("failed", "cancelled"):
        if st.button(begin, icon=":material/shuffle:"):
            twin = work.network("compact-2d") if net.key == verdict.compact() else None
            session().jobs[name] = tasks.begin(
                "Other networks",
                lambda report: finding_work.other_networks(net, win, layer, method, twin, report),
            )
            st.rerun()
        if net.key != verdict.compact() and view.net != UPLOADED:
            st.caption("The 2D twin belongs to the shipped network; choose that one to see it.")

    def draw(job: Task) -> None:
        groups = {"This network": [base], **job.result}
        domain = charts.domain([line for lines in groups.values() for line in lines])
        for column, (title, lines) in zip(st.columns(4), groups.items(), strict=False):
            with column:
                count = f" ({len(lines)} networks)" if len(lines) > 1 else ""
                small(title + count, lines, domain, win.numbers)
        twin = job.result.get("2D twin")
        if twin:
            ui.fact(finding_work.of_twin(base, twin[0], job.result["re-initialised"]))

    show(session().jobs.get(name), begin, draw)


def small(title: str, lines: list[Lines], domain: tuple[float, float], numbers: list[int]) -> None:
    """A small chart of one or several networks' curves."""
    st.markdown(f"**{title}**")
    values = [line.contrast for line in lines if math.isfinite(line.contrast)]
    st.altair_chart(
        charts.curves(lines, domain, 150, numbers),
        alt=f"Curves of appearance and motion: {title}",
    )
    if values:
        st.caption(f"contrast {sum(values) / len(values):+z.3f}")
    else:
        st.caption(f"no contrast: {finding_work.undefined(lines[0])}")
