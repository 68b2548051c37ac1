"""What a page says while it waits, and that leaving it ends the work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from app import waiting
from app.tasks import Cache, Left, report


class Place:
    """Stands for the line on the page; remembers what it said."""

    told: list[tuple[float, str]]

    def __init__(self) -> None:
        type(self).told = []

    def progress(self, share: float, text: str) -> None:
        self.told.append((share, text))

    def empty(self) -> None:
        self.told.append((1.0, "gone"))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "QUIET", 0.01)
    monkeypatch.setattr(waiting, "STEP", 0.01)


def test_work_ends_once_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    class Elsewhere(Place):
        def progress(self, share: float, text: str) -> None:
            raise KeyboardInterrupt  # as Streamlit ends a script at its next call

    def work() -> None:
        try:
            while True:
                report(1, 3)
                time.sleep(0.01)
        except Left:
            ended.set()

    monkeypatch.setattr(waiting, "st", SimpleNamespace(empty=Elsewhere))
    with pytest.raises(KeyboardInterrupt):
        waiting.wait_for(work, "Something long")
    assert ended.wait(10)


def test_how_far_the_work_is_stands_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, halves = threading.Event(), threading.Event()

    class Watched(Place):
        def progress(self, share: float, text: str) -> None:
            super().progress(share, text)
            if "2 of 4" in text:
                seen.set()
            if share == 0.625:
                halves.set()

    def part() -> str:
        report(16, 32, "the middle")
        halves.wait(10)
        return "made"

    def work() -> str:
        report(2, 4)
        seen.wait(10)
        return str(Cache(100).get(("part",), part))

    monkeypatch.setattr(waiting, "st", SimpleNamespace(empty=Watched))
    assert waiting.wait_for(work, "Looking") == "made"
    assert (0.5, "Looking: 2 of 4 …") in Watched.told
    assert (0.625, "Looking: 2 of 4: the middle …") in Watched.told  # and half of the third
    assert Watched.told[-1] == (1.0, "gone")


def test_work_of_one_step_says_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = threading.Event()

    class Watched(Place):
        def progress(self, share: float, text: str) -> None:
            super().progress(share, text)
            if "left" in text:
                seen.set()

    def part() -> bool:
        report(8, 32)
        return seen.wait(10)

    monkeypatch.setattr(waiting, "st", SimpleNamespace(empty=Watched))
    monkeypatch.setattr(waiting, "LONG", 0.05)
    assert waiting.wait_for(lambda: Cache(100).get(("part",), part), "Looking")
    texts = [text for _, text in Watched.told]
    assert texts[0] == "Looking …"
    assert texts[-2:] == ["Looking, about 1 s left …", "gone"]


def test_an_error_takes_the_line_off_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = threading.Event()

    class Watched(Place):
        def progress(self, share: float, text: str) -> None:
            super().progress(share, text)
            seen.set()

    def work() -> None:
        seen.wait(10)
        raise TimeoutError("the work's own")

    monkeypatch.setattr(waiting, "st", SimpleNamespace(empty=Watched))
    with pytest.raises(TimeoutError, match="the work's own"):
        waiting.wait_for(work, "Looking")
    assert Watched.told[-1] == (1.0, "gone")


@pytest.mark.parametrize(
    ("seconds", "text"), [(9.0, "9 s"), (0.01, "1 s"), (180.0, "3 min"), (90.0, "2 min")]
)
def test_the_time_left(seconds: float, text: str) -> None:
    assert waiting.time_left(seconds) == f"about {text} left"


def test_long_work_offers_a_way_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a moment, not before; a click on it runs what it names and ends the script."""
    offered: list[str] = []
    chosen: list[bool] = []

    class Watched(Place):
        def button(self, label: str, *, on_click: Callable[[], None], **_: object) -> None:
            offered.append(label)
            on_click()

    def work() -> str:
        time.sleep(0.05)
        assert not offered
        monkeypatch.setattr(waiting, "LONG", 0.0)
        time.sleep(0.2)
        return "done"

    monkeypatch.setattr(waiting, "st", SimpleNamespace(empty=Watched))
    monkeypatch.setattr(waiting, "LONG", 1e9)
    way_out = ("Show the gradient", lambda: chosen.append(True))
    assert waiting.wait_for(work, "Something long", way_out) == "done"
    assert offered == ["Show the gradient"]
    assert chosen == [True]
    offered.clear()
    assert waiting.wait_for(lambda: time.sleep(0.1), "Something long") is None
    assert not offered
