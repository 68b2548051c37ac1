"""Waiting politely: work runs beside the page, which says what goes on and stays usable.

Streamlit stops a page's script at its next call when a person clicks something else. Work inside
the script would hold that up; here the script only waits, and what was done goes into the cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from . import ui
from .tasks import Task

T = TypeVar("T")
QUIET = 0.5  # seconds before anything is said
STEP = 0.2
LONG = 2.0  # seconds before the time left is said


def wait_for(
    work: Callable[[], T], what: str, otherwise: tuple[str, Callable[[], None]] | None = None
) -> T:
    """The result of ``work()``, with a line on the page while it takes longer than a moment.

    ``otherwise``: what a button offers while that is long, and does; the work ends then.

    Raises what ``work`` raises.
    """
    place = st.empty()  # also where it stays unused: what follows keeps its place on the page
    way_out = st.empty() if otherwise else None
    task = Task(what).start(work)
    try:
        began = time.monotonic()
        ended = task.wait(QUIET)
        while not ended:
            seconds, left, text = time.monotonic() - began, task.seconds_left, what
            if task.done >= 1:
                text += f": {int(task.done)} of {task.total}"
            if at := task.now:
                text += f": {ui.plain(at)}"
            if left is not None and seconds > LONG:
                text += f", {time_left(left)}"
            place.progress(task.share or _creep(seconds), text=f"{text} …")
            if otherwise and way_out and seconds > LONG:
                label, instead = otherwise
                way_out.button(label, icon=":material/cancel:", key=what, on_click=instead)
                otherwise = None
            if ended := task.wait(STEP):
                place.empty()
                if way_out:
                    way_out.empty()
        return task.result
    finally:  # also where Streamlit ends the script because something else was clicked
        task.cancel()


def show(
    task: Task | None,
    begin: str,
    draw: Callable[[Task], None],
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Long work: how far it is, its result by ``draw``, or why there is none.

    ``begin`` is what the button that starts it is called, for the messages; ``meanwhile`` draws
    what there is so far.
    """
    if task is None:
        return
    if task.state == "running":
        _running(task, meanwhile)
    elif task.state == "done":
        draw(task)
    elif task.state == "failed":
        ui.refuse(task.message)
    else:
        st.info(f"Stopped. “{begin}” starts it again.", icon=":material/cancel:")


@st.fragment(run_every=0.5)
@ui.guarded
def _running(task: Task, meanwhile: Callable[[], None]) -> None:
    if task.state != "running":
        st.rerun()
    left = task.seconds_left
    text = f"{task.label}: {ui.plain(task.what or task.now) or 'starting'}"
    if left is not None:
        text += f" · {time_left(left)}"
    st.progress(task.share, text=text)
    if st.button("Stop", icon=":material/cancel:", key=f"stop-{task.label}"):
        task.cancel()
        if not task.wait(1.0):
            st.caption("Stopping after this step …")
        st.rerun()
    meanwhile()


def _creep(seconds: float) -> float:
    """A bar that always moves and never claims to be done: half after 3 s, 90 % after 27 s."""
    return seconds / (seconds + 3)


def time_left(seconds: float) -> str:
    """``about 12 s left``."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s left"
    return f"about {round(seconds / 60)} min left"
