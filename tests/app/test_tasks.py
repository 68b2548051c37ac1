"""Work and who waits for it: progress, an estimate, a stop, and going on for who is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from app import tasks
from app.tasks import Cache, Left, Task, begin, report
from app.work import Turns
from c3d_viz.errors import ClipError
from c3d_viz.progress import Progress


def until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    pytest.fail("it never came to that")


@pytest.fixture
def go() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


def test_progress_and_result(go: threading.Event) -> None:
    reached = threading.Event()

    def work(report: Progress) -> str:
        report(1, 4, "first quarter")
        reached.set()
        go.wait(5)
        report(4, 4, "done")
        return "result"

    task = begin("Working", work)
    assert reached.wait(5)
    assert (task.state, task.share, task.what) == ("running", 0.25, "first quarter")
    assert task.seconds_left is not None
    assert task.seconds_left >= 0
    go.set()
    assert task.wait(5)
    assert (task.state, task.result, task.share, task.message) == ("done", "result", 1.0, "")


def test_before_the_first_report_there_is_no_estimate(go: threading.Event) -> None:
    task = begin("Working", lambda report: go.wait(5))
    assert not task.wait(0.01)
    assert (task.seconds_left, task.share) == (None, 0.0)


def test_a_stop_reaches_the_work_at_its_next_report() -> None:
    cleaned = []

    def work(report: Progress) -> None:
        try:
            for step in range(10_000_000):
                report(step, 10_000_000, "on and on")
        finally:
            cleaned.append(True)

    task = begin("Working", work)
    task.cancel()
    assert task.wait(5)
    assert task.state == "cancelled"
    assert cleaned == [True]


def test_the_librarys_message_is_shown_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    def known(_: Progress) -> None:
        raise ClipError("a.mp4 is damaged; re-encode it")

    def unknown(_: Progress) -> None:
        raise ZeroDivisionError("secret detail")

    one, two = begin("One", known), begin("Two", unknown)
    one.wait(5)
    two.wait(5)
    assert (one.state, one.message) == ("failed", "a.mp4 is damaged; re-encode it")
    assert two.state == "failed"
    assert "secret" not in two.message
    assert "secret detail" in caplog.text
    assert "damaged" not in caplog.text


def test_a_report_outside_of_a_task_is_nothing() -> None:
    report(1, 2)
    assert Cache(100).get(("k",), lambda: report(1, 2)) is None


class Map:
    """A map that takes 32 passes, made step by step; ``cache`` and ``turn`` are the test's."""

    def __init__(self) -> None:
        self.cache, self.turn, self.made = Cache(1000), threading.Semaphore(0), 0
        self.threads: list[int] = []

    def make(self) -> str:
        self.made += 1
        for done in range(33):
            self.threads.append(threading.get_ident())
            report(done, 32)
            assert self.turn.acquire(timeout=10)
        return f"map {self.made}"

    def get(self) -> str:
        return str(self.cache.get(("map",), self.make))

    def step(self, steps: int) -> None:
        """Let it come so many passes further."""
        before = len(self.threads)
        self.turn.release(steps)
        until(lambda: len(self.threads) == before + steps)

    def asked_by(self, count: int) -> bool:
        return bool(self.cache._running) and len(self.cache._running["map",]._waiting) == count


def test_everybody_who_waits_hears_how_far_it_is() -> None:
    it = Map()
    first = Task("first").start(lambda: (report(1, 2), it.get())[1])
    until(lambda: it.asked_by(1) and len(it.threads) == 1)
    second = Task("second").start(it.get)
    until(lambda: it.asked_by(2))
    it.step(16)
    until(lambda: second.share == 0.5)
    assert first.share == 0.75  # one of two steps, and half of the other
    assert second.seconds_left is not None
    it.turn.release(100)
    assert (first.result, second.result) == ("map 1", "map 1")
    assert len(set(it.threads)) == 1
    assert it.made == 1


def test_it_goes_on_for_the_others_when_the_first_leaves() -> None:
    it = Map()
    first = Task("first").start(lambda: (it.get(), report(1, 1), "not reached")[-1])
    until(lambda: it.asked_by(1) and len(it.threads) == 1)
    second = Task("second").start(it.get)
    until(lambda: it.asked_by(2))
    first.cancel()
    it.step(8)
    assert second.share == 0.25
    it.turn.release(100)
    assert second.result == "map 1"
    with pytest.raises(Left):
        _ = first.result
    assert first.state == "cancelled"
    assert it.cache.get(("map",), lambda: "again") == "map 1"


def test_it_ends_when_the_last_has_left() -> None:
    it = Map()
    first = Task("first").start(it.get)
    until(lambda: it.asked_by(1) and len(it.threads) == 1)
    second = Task("second").start(it.get)
    until(lambda: it.asked_by(2))
    second.cancel()
    until(lambda: it.asked_by(1))  # it does not wait for the others' work to end
    assert second.state == "cancelled"
    it.step(1)
    assert first.state == "running"
    first.cancel()
    it.turn.release()
    assert first.wait(5)
    assert first.state == "cancelled"
    assert it.cache._running == {}
    it.turn.release(100)
    assert it.get() == "map 2"


def test_who_comes_as_it_ends_begins_again() -> None:
    """Asked for between the last one's leaving and the end of the work: no error of others'."""
    cache, ending, go = Cache(1000), threading.Event(), threading.Event()

    def left() -> str:
        try:
            while True:
                report(0, 1)
        finally:
            ending.set()
            assert go.wait(10)

    first = Task("first").start(lambda: cache.get(("k",), left))
    first.cancel()
    assert ending.wait(10)
    with ThreadPoolExecutor() as people:
        late = people.submit(cache.get, ("k",), lambda: "made")
        until(lambda: len(cache._running["k",]._waiting) == 2)
        go.set()
        assert late.result(10) == "made"


def test_work_inside_work_goes_on_for_who_waits_for_the_outer() -> None:
    """Nobody asked for the inner one but a page that has left; the outer one is still wanted."""
    it = Map()

    def outer() -> str:
        return str(it.cache.get(("overlay",), lambda: f"overlay of {it.get()}"))

    first = Task("first").start(outer)
    until(lambda: it.asked_by(1) and len(it.threads) == 1)
    second = Task("second").start(outer)
    until(lambda: len(it.cache._running["overlay",]._waiting) == 2)
    first.cancel()
    it.step(8)
    assert second.share == 0.25
    it.turn.release(100)
    assert second.result == "overlay of map 1"


def test_the_pace_is_that_of_the_work_and_not_of_who_came_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(tasks.time, "monotonic", lambda: clock[0])
    work = Task("the work", held=False)
    clock[0] = 30.0
    late = Task("late")
    late._step = work
    work._waiting.append(late)
    work.report(3, 4)
    assert late.seconds_left == pytest.approx(10)


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
