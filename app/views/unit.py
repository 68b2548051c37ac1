"""What one unit responds to at all: its kernel, film, direction, labels, and a sentence."""

from __future__ import annotations

import functools
import math

import streamlit as st

from c3d_viz.units import KERNEL_NOTE

from .. import state, tasks, ui, unit_work, work
from ..sessions import session
from ..unit_work import Findings
from ..waiting import show
from . import atlas, stage

BEGIN = "Measure this map"
FILMS = 4  # side by side: the film, its parts, an untrained network's


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
    ended = job is None or job.state in ("failed", "cancelled")
    asked = job is None and unit_work.known(net, layer, channel)
    if ended and not asked:
        ui.fact(
            "A film is made that it answers to more and more; drifting patterns and labelled clips "
            "are shown to it and to two untrained networks. What is measured is shown at once, the "
            "film first; all of it takes minutes. You can go on elsewhere meanwhile, and stop: "
            "what is there stays, and other maps of the layer need less."
        )
        asked = st.button(BEGIN, type="primary", icon=":material/neurology:")
    if asked:
        for other in [n for n in jobs if n.startswith("unit ")]:  # one at a time is kept
            jobs.pop(other).cancel()
        jobs[name] = tasks.begin(
            f"{layer}, map {channel}", functools.partial(unit_work.measure, net, layer, channel)
        )
        st.rerun()

    def preliminary() -> None:
        found = unit_work.so_far(net, layer, channel)
        if found is not None:
            findings(net, layer, channel, found)

    show(job, BEGIN, lambda done: findings(net, layer, channel, done.result), preliminary)
    if ended:
        preliminary()


def findings(net: work.Net, layer: str, channel: int, found: Findings) -> None:
    """Everything that was measured so far."""
    if found.missing:
        coming = ui.plain("; ".join(found.missing))
        st.warning(f"Preliminary, not measured yet: {coming}.", icon=":material/hourglass_top:")
    if found.sentence:
        st.info(ui.plain(found.sentence), icon=":material/neurology:")
        st.caption(found.caution)
    if found.kernel is not None:
        ui.heading("Its kernel", "The film of a few frames that it is compared with everywhere.")
        st.image(found.kernel, alt="The kernel, frame by frame")
        ui.fact(KERNEL_NOTE)
    if not found.films and found.preview is not None:
        said = "The film so far, a few of its frames"
        st.image(found.preview, said, alt=said)
    if found.films:
        preferred(found)
    if found.tuning:
        tuning(found)
    if found.concepts:
        ui.heading("Labels", "Which labels of synthetic clips its answers overlap with most.")
        table(
            {
                "label": [label for label, _, _ in found.concepts],
                "overlap (IoU)": [number(iou) for _, iou, _ in found.concepts],
                "with labels of other clips": [number(c) for _, _, c in found.concepts],
            }
        )
    elif found.whole:
        ui.heading("Labels")
        ui.fact("This layer has no places in the clip, so no overlap.")
    if found.whole:
        st.code(unit_work.command(net, layer, channel), language=None, wrap_lines=True)


def preferred(found: Findings) -> None:
    """The film, what is left of it as one picture and its motion, an untrained network's."""
    ui.heading(
        "The film it prefers",
        "Found by gradient ascent from noise; beside it what is left of it as one picture and its "
        "motion, and the film of the same map in an untrained network.",
    )
    if found.failure is not None:
        st.warning(f"The climb failed: {found.failure}.", icon=":material/warning:")
    for column, (text, film) in zip(st.columns(FILMS), found.films, strict=False):
        with column:
            st.video(film, loop=True, autoplay=True, muted=True, alt=text)
            st.caption(text.capitalize())
    table(
        {
            "what it is shown": [name for name, _, _ in found.answers],
            "mean answer": [f"{mean:z.3g}" for _, mean, _ in found.answers],
            "peak": [f"{peak:z.3g}" for _, _, peak in found.answers],
        }
    )


def tuning(found: Findings) -> None:
    """Direction and speed, beside an untrained network's as soon as it is there."""
    ui.heading(
        "Direction and speed",
        "Answers to gratings (blue), a texture (orange) and a cut-out (green) that drift, at three "
        "speeds and two wavelengths; the command below without --coarse shows it more of each. "
        "Untrained networks have directions too: the last column says how many of their maps do "
        "as well.",
    )
    for column, (text, picture) in zip(st.columns(2), found.tuning, strict=False):
        column.image(picture, text.capitalize(), alt=f"Direction and speed, {text}")
    table(
        {
            "index": [name for name, _, _ in found.indices],
            "value": [number(value) for _, value, _ in found.indices],
            "untrained maps as high": [percent(rank) for _, _, rank in found.indices],
        }
    )


def table(columns: dict[str, list[str]]) -> None:
    """A small table that is read, not sorted."""
    st.table(columns, border="horizontal")


def number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:z.2f}"


def percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0%}"
