"""What the chosen map answers along the whole video, computed on request beside the page."""

from __future__ import annotations

import streamlit as st

from .. import components, state, tasks, ui, work
from ..following import Trace, along
from ..sessions import session
from ..waiting import show
from . import stage


def _name(shown: state.Shown, unit: work.Spot) -> str:
    window = shown.window
    return f"along {shown.net.key} {shown.source.key} {window.stride} {unit.layer} {unit.channel}"


def trace(shown: state.Shown, unit: work.Spot) -> Trace | None:
    """Frames of the video and what the map answers there; None where that is not computed."""
    job = session().jobs.get(_name(shown, unit))
    return job.result if job is not None and job.state == "done" else None


def controls(shown: state.Shown, unit: work.Spot) -> None:
    """The button that begins it, or how far it is."""
    name = _name(shown, unit)
    called = stage.names_of(shown, unit.layer)(unit.channel)
    begin = f"Follow {called} along the video"
    job = session().jobs.get(name)
    if (job is None or job.state in ("failed", "cancelled")) and st.button(
        begin, icon=":material/show_chart:", type="tertiary", key="along"
    ):
        session().jobs[name] = tasks.begin(
            "Following",
            lambda _: along(shown.net, shown.source, shown.window.stride, unit.layer, unit.channel),
        )
        st.rerun()
    show(
        job,
        begin,
        lambda _: st.caption(ui.plain(f"Line: what {called} answers; click a peak.")),
        lambda: components.trace(job.so_far if job else None),
    )
