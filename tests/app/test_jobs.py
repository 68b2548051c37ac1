"""Long work: progress, an estimate, a stop, and one line when it fails."""

from __future__ import annotations

import threading

import pytest

from app.jobs import Job, Progress
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
