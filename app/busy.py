"""Waiting politely: work runs beside the page, which says what goes on and stays usable.

Streamlit stops a page's script at its next call when a person clicks something else. Work inside
the script would hold that up; here the script only waits, and what was begun goes into the cache.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from typing import TypeVar

import streamlit as st

T = TypeVar("T")
QUIET = 0.5  # seconds before anything is said
STEP = 0.2


def wait_for(work: Callable[[], T], what: str) -> T:
    """The result of ``work()``, with a line on the page while it takes longer than a moment.

    Raises what ``work`` raises.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(QUIET)
    except Late:
        if future.done():  # the work itself timed out
            raise
    began = time.monotonic()
    place = st.empty()
    while not future.done():
        place.progress(_creep(time.monotonic() - began), text=f"{what} …")
        try:
            future.result(STEP)
        except Late:
            continue
        except BaseException:
            break  # raised again below, after the line is gone
    place.empty()
    return future.result()


def _creep(seconds: float) -> float:
    """A bar that always moves and never claims to be done: half after 3 s, 90 % after 27 s."""
    return seconds / (seconds + 3)
