"""Waiting politely: work runs beside the page, which says what goes on and stays usable.

Streamlit stops a page's script at its next call when a person clicks something else. Work inside
the script would hold that up; here the script only waits, and what was begun goes into the cache.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from contextlib import contextmanager
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

T = TypeVar("T")
QUIET = 0.5  # seconds before anything is said
STEP = 0.2
LONG, EARLY = 2.0, 0.03  # seconds and share before the time left is said


class Left(Exception):  # noqa: N818 - no error
    """Raised inside the work at its next report once the page that waited has gone elsewhere."""


class _Wait:
    """What the waiting page and the work tell each other."""

    def __init__(self) -> None:
        self.gone = False
        self.done, self.total = 0, 0
        self.within = 0.0  # share of the step that is being done

    def share(self) -> float:
        """How much is done, 0-1; 0 where nothing was reported."""
        return min(1.0, (self.done + self.within) / max(1, self.total))


class _Mine(threading.local):
    wait: _Wait | None = None  # in the thread of the work: the wait it belongs to


_mine = _Mine()
_hearing: dict[Hashable, list[_Wait]] = {}  # who waits for a shared piece of work
_lock = threading.Lock()


def report(done: int, total: int) -> None:
    """Called from inside the work: how far it is. Ends it where nobody waits any more."""
    wait = _waiting()
    if wait is not None:
        wait.done, wait.total, wait.within = done, total, 0.0


def report_within(done: int, total: int) -> None:
    """The same for a part of the work: of one step that ``report`` counts, or of all there is."""
    wait = _waiting()
    if wait is not None:
        wait.within = done / total


@contextmanager
def heard(key: Hashable) -> Iterator[Callable[[int, int], None]]:
    """A ``report_within`` for work that several pages may wait for and another thread does.

    All pages inside ``heard`` with this key hear of it. It ends, with ``Left``, once all of them
    have gone elsewhere.
    """
    mine = _mine.wait or _Wait()
    with _lock:
        _hearing.setdefault(key, []).append(mine)

    def tell(done: int, total: int) -> None:
        with _lock:
            waits = list(_hearing.get(key, ()))
        if waits and all(wait.gone for wait in waits):
            raise Left
        for wait in waits:
            wait.within = done / total

    try:
        yield tell
    finally:
        with _lock:
            _hearing[key].remove(mine)
            if not _hearing[key]:
                del _hearing[key]


def gone() -> bool:
    """Whether the page that this thread works for has gone elsewhere."""
    return _mine.wait is not None and _mine.wait.gone


def _waiting() -> _Wait | None:
    if gone():
        raise Left
    return _mine.wait


def wait_for(work: Callable[[], T], what: str) -> T:
    """The result of ``work()``, with a line on the page while it takes longer than a moment.

    Raises what ``work`` raises.
    """
    place = st.empty()  # also where it stays unused: what follows keeps its place on the page
    future: Future[T] = Future()
    wait = _Wait()

    def run() -> None:
        _mine.wait = wait
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return _watch(future, wait, what, place)
    finally:  # also where Streamlit ends the script because something else was clicked
        wait.gone = True


def _watch(future: Future[T], wait: _Wait, what: str, place: DeltaGenerator) -> T:
    try:
        return future.result(QUIET)
    except Late:
        if future.done():  # the work itself timed out
            raise
    began = time.monotonic()
    while not future.done():
        seconds, share = time.monotonic() - began, wait.share()
        text = what
        if wait.done:
            text += f": {wait.done} of {wait.total}"
        if share > EARLY and seconds > LONG:
            text += f", {time_left(seconds, share)}"
        place.progress(share or _creep(seconds), text=f"{text} …")
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


def time_left(seconds: float, share: float) -> str:
    """``about 12 s left``, when a share (above 0) of the work took that long."""
    left = seconds * (1 - share) / share
    if left < 90:
        return f"about {max(1, round(left))} s left"
    return f"about {round(left / 60)} min left"
