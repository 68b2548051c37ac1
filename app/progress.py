"""Long work on a page: a bar, the time left, and a button to stop it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import ui
from app.jobs import Job
from app.sessions import session


def show(name: str, begin: str, draw: Callable[[Job], None]) -> None:
    """The state of job ``name``: how far it is, its result by ``draw``, or why there is none.

    ``begin`` is what the button that starts it is called, for the messages.
    """
    job = session().jobs.get(name)
    if job is None:
        return
    if job.state == "running":
        _running(name)
    elif job.state == "done":
        draw(job)
    elif job.state == "failed":
        ui.refuse(job.message)
    else:
        st.info(f"Stopped. “{begin}” starts it again.", icon=":material/cancel:")


@st.fragment(run_every=0.5)
@ui.guarded
def _running(name: str) -> None:
    job = session().jobs.get(name)
    if job is None or job.state != "running":
        st.rerun()
        return
    left = job.seconds_left
    text = f"{job.label}: {ui.plain(job.what) or 'starting'}"
    if left is not None:
        text += f" · about {max(1, round(left))} s left"
    st.progress(job.fraction, text=text)
    if st.button("Stop", icon=":material/cancel:", key=f"stop-{name}"):
        job.cancel()
        job.wait(1.0)
        if job.state == "running":
            st.caption("Stopping after this step …")
        st.rerun()
