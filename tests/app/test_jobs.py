"""Long work: progress, an estimate, a stop, and one line when it fails."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from app import busy
from app.jobs import Job, Progress
from app.work import Turns
from c3d_viz.errors import ClipError


def test_progress_and_result() -> None:
    go, reached = threading.Event(), threading.Event()

    def work(report: Progress) -> str:
        report(1, 4, "first quarter")
        reached.set()
        go.wait(5)
        report(4, 4, "done")
        return "result"

    job = Job("Working", work)
    assert reached.wait(5)
    assert (job.state, job.fraction, job.what) == ("running", 0.25, "first quarter")
    assert job.seconds_left is not None
    assert job.seconds_left >= 0
    go.set()
    job.wait(5)
    assert (job.state, job.result, job.fraction) == ("done", "result", 1.0)


def test_before_the_first_report_there_is_no_estimate() -> None:
    go = threading.Event()
    job = Job("Working", lambda report: go.wait(5))
    assert (job.seconds_left, job.fraction) == (None, 0.0)
    go.set()
    job.wait(5)


def test_a_stop_reaches_the_work_at_its_next_report() -> None:
    cleaned = []

    def work(report: Progress) -> None:
        try:
            for step in range(10_000_000):
                report(step, 10_000_000, "on and on")
        finally:
            cleaned.append(True)

    job = Job("Working", work)
    job.cancel()
    job.wait(5)
    assert job.state == "cancelled"
    assert cleaned == [True]


def test_the_librarys_message_is_shown_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    def known(_: Progress) -> None:
        raise ClipError("a.mp4 is damaged; re-encode it")

    def unknown(_: Progress) -> None:
        raise ZeroDivisionError("secret detail")

    one, two = Job("One", known), Job("Two", unknown)
    one.wait(5)
    two.wait(5)
    assert (one.state, one.message) == ("failed", "a.mp4 is damaged; re-encode it")
    assert two.state == "failed"
    assert "secret" not in two.message
    assert "secret detail" in caplog.text


def test_work_ends_once_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    class Elsewhere:
        def progress(self, share: float, text: str) -> None:
            raise KeyboardInterrupt  # as Streamlit ends a script at its next call

    def work() -> None:
        try:
            while True:
                busy.report(1, 3)
                time.sleep(0.01)
        except busy.Left:
            ended.set()

    monkeypatch.setattr(busy, "st", SimpleNamespace(empty=Elsewhere))
    monkeypatch.setattr(busy, "QUIET", 0.01)
    with pytest.raises(KeyboardInterrupt):
        busy.wait_for(work, "Something long")
    assert ended.wait(10)


def test_how_far_the_work_is_stands_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[float, str]] = []
    seen = threading.Event()

    class Place:
        def progress(self, share: float, text: str) -> None:
            told.append((share, text))
            if "2 of 4" in text:
                seen.set()

        def empty(self) -> None:
            told.append((1.0, "gone"))

    halves = threading.Event()

    def work() -> str:
        busy.report(2, 4)
        seen.wait(10)
        busy.report_within(16, 32)
        halves.wait(10)
        return "made"

    class Watched(Place):
        def progress(self, share: float, text: str) -> None:
            super().progress(share, text)
            if share == 0.625:
                halves.set()

    monkeypatch.setattr(busy, "st", SimpleNamespace(empty=Watched))
    monkeypatch.setattr(busy, "QUIET", 0.01)
    monkeypatch.setattr(busy, "STEP", 0.01)
    assert busy.wait_for(work, "Looking") == "made"
    assert (0.5, "Looking: 2 of 4 …") in told
    assert (0.625, "Looking: 2 of 4 …") in told  # and half of the third
    assert told[-1] == (1.0, "gone")


def test_work_of_one_step_says_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    seen = threading.Event()

    class Place:
        def progress(self, share: float, text: str) -> None:
            told.append(text)
            if "left" in text:
                seen.set()

        def empty(self) -> None:
            pass

    def work() -> bool:
        busy.report_within(8, 32)
        return seen.wait(10)

    monkeypatch.setattr(busy, "st", SimpleNamespace(empty=Place))
    monkeypatch.setattr(busy, "QUIET", 0.01)
    monkeypatch.setattr(busy, "STEP", 0.01)
    monkeypatch.setattr(busy, "LONG", 0.05)
    assert busy.wait_for(work, "Looking")
    assert told[0] == "Looking …"
    assert told[-1] == "Looking, about 1 s left …"


@pytest.mark.parametrize(
    ("seconds", "share", "text"),
    [(3.0, 0.25, "9 s"), (1.0, 0.99, "1 s"), (60.0, 0.25, "3 min"), (30.0, 0.25, "2 min")],
)
def test_the_time_left(seconds: float, share: float, text: str) -> None:
    assert busy.time_left(seconds, share) == f"about {text} left"


def test_shared_work_ends_when_the_last_page_has_left() -> None:
    def page(wait: busy._Wait) -> None:
        busy._mine.wait = wait
        try:
            with busy.heard("map") as tell:
                told.append(tell)
                entered.release()
                leave.acquire()
        finally:
            busy._mine.wait = None

    told: list[Any] = []
    entered, leave = threading.Semaphore(0), threading.Semaphore(0)
    waits = [busy._Wait(), busy._Wait()]
    pages = [threading.Thread(target=page, args=(wait,)) for wait in waits]
    for one in pages:
        one.start()
        assert entered.acquire(timeout=10)
    told[0](8, 32)  # from whatever thread does the work
    assert [wait.within for wait in waits] == [0.25, 0.25]
    waits[0].gone = True
    told[0](16, 32)
    assert waits[1].within == 0.5
    waits[1].gone = True
    with pytest.raises(busy.Left):
        told[0](17, 32)
    leave.release(2)
    for one in pages:
        one.join(10)
    assert busy._hearing == {}
    told[0](18, 32)  # nobody is registered any more: nothing to end
    with busy.heard("map") as tell:  # outside of a page nobody can leave
        tell(1, 2)


def test_a_report_outside_of_a_page_is_nothing() -> None:
    busy.report(1, 2)
    busy.report_within(1, 2)


def test_nobody_waits_for_ever_for_a_turn() -> None:
    turns = Turns(patience=0.05)
    passed = threading.Event()

    def other() -> None:
        with turns:
            passed.set()

    with turns:
        threading.Thread(target=other).start()
        assert passed.wait(10)
    passed.clear()
    with turns:  # the one that went ahead gave back nothing that was not its own
        assert not passed.is_set()
