"""What one unit responds to at all: its kernel, film, direction, labels, and a sentence."""

from __future__ import annotations

import functools
import math

import streamlit as st

from c3d_viz.units import caution

from .. import state, tasks, ui, unit_work, work
from ..sessions import session
from ..tasks import Task
from ..unit_work import Findings
from ..waiting import show
from . import atlas, stage

BEGIN = "Measure this map"


def page() -> None:
    """Draw the page."""
    stage.network()
    shown = state.shown()
    unit = state.unit(shown)
    ui.title(
        f"What {unit.layer}, map {unit.channel} responds to",
        "At all, not in one clip alone: the film it prefers, direction and speed, labels.",
    )
    measured(shown.net, unit.layer, unit.channel)
    atlas.of_unit(shown, unit)


def measured(net: work.Net, layer: str, channel: int) -> None:
    """The measurements, begun by a button; what was measured before is there at once."""
    name = f"unit {net.key} {layer} {channel}"
    jobs = session().jobs
    job = jobs.get(name)
    asked = job is None and unit_work.known(net, layer, channel)
    if (job is None or job.state in ("failed", "cancelled")) and not asked:
        ui.fact(
            "Films are made that it answers to more and more, drifting patterns and labelled "
            "clips are shown to it and to two untrained networks. This takes some minutes; you "
            "can go on elsewhere meanwhile."
        )
        asked = st.button(BEGIN, type="primary", icon=":material/neurology:")
    if asked:
        for other in [n for n in jobs if n.startswith("unit ")]:  # one at a time is kept
            jobs.pop(other).cancel()
        jobs[name] = tasks.begin(
            f"{layer}, map {channel}", functools.partial(unit_work.measure, net, layer, channel)
        )
        st.rerun()
    show(
        job,
        BEGIN,
        lambda done: findings(net, layer, channel, done),
        lambda: preview(net, layer, channel),
    )


def preview(net: work.Net, layer: str, channel: int) -> None:
    """The film so far, while it is made."""
    picture = unit_work.PREVIEWS.get(unit_work.key_of(net, layer, channel))
    if picture is not None:
        said = "The film so far, a few of its frames"
        st.image(picture, said, alt=said)


def findings(net: work.Net, layer: str, channel: int, job: Task) -> None:
    """Everything that was measured."""
    found: Findings = job.result
    wanted = unit_work.settings(net, layer, channel)
    st.info(ui.plain(found.sentence), icon=":material/neurology:")
    st.caption(caution(wanted.controls))
    if found.kernel is not None:
        ui.heading("Its kernel", "The film of a few frames that it is compared with everywhere.")
        st.image(found.kernel, alt="The kernel, frame by frame")
    ui.heading(
        "The film it prefers",
        "Found by gradient ascent from noise; beside it what is left of it as one picture and its "
        "motion, and the film of the same map in an untrained network.",
    )
    if found.failed:
        st.warning(
            "The climb failed: a clip gets a higher answer than this film.",
            icon=":material/warning:",
        )
    for column, (text, film) in zip(st.columns(len(found.films)), found.films, strict=True):
        with column:
            st.video(film, loop=True, autoplay=True, muted=True, alt=text)
            st.caption(text.capitalize())
    table(
        {
            "what it is shown": [name for name, _, _ in found.answers],
            "mean answer": [f"{mean:.3g}" for _, mean, _ in found.answers],
            "peak": [f"{peak:.3g}" for _, _, peak in found.answers],
        }
    )
    ui.heading(
        "Direction and speed",
        "Answers to gratings (blue), a texture (orange) and a cut-out (green) that drift. "
        "Untrained networks have directions too: the last column says how many of their maps do "
        "as well.",
    )
    for column, (text, picture) in zip(st.columns(2), found.tuning, strict=True):
        column.image(picture, text.capitalize(), alt=f"Direction and speed, {text}")
    table(
        {
            "index": [name for name, _, _ in found.indices],
            "value": [number(value) for _, value, _ in found.indices],
            "untrained maps as high": [percent(rank) for _, _, rank in found.indices],
        }
    )
    ui.heading("Labels", "Which labels of synthetic clips its answers overlap with most.")
    if found.concepts:
        table(
            {
                "label": [label for label, _, _ in found.concepts],
                "overlap (IoU)": [number(iou) for _, iou, _ in found.concepts],
                "with labels of other clips": [number(c) for _, _, c in found.concepts],
            }
        )
    else:
        ui.fact("This layer has no places in the clip, so no overlap.")
    st.code(unit_work.command(wanted), language=None, wrap_lines=True)


def table(columns: dict[str, list[str]]) -> None:
    """A small table that is read, not sorted."""
    st.table(columns, border="horizontal")


def number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0%}"
