"""The page of a unit: measured on request, once for all, with the film while it is made."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from test_pages import of, settled
from unit_evidence import evidence, responses

from app import sessions, unit_work, work
from app.views import unit as view
from c3d_viz.errors import VizError


class Gather:
    """Stands for ``gather``: says what it was asked, previews a film, waits where told to."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.go = threading.Event()
        self.go.set()
        self.error: Exception | None = None

    def __call__(self, settings: Any, progress: Any, *, loaded: Any, preview: Any) -> Any:
        self.asked.append((settings, loaded))
        progress(1, 10, "climbing")
        preview(np.full((8, 16, 16, 3), 200, np.uint8))
        while not self.go.wait(0.05):
            progress(2, 10, "climbing")
        if self.error is not None:
            raise self.error
        return evidence(responses(3, 1))


@pytest.fixture
def gather(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gather]:
    made = Gather()
    monkeypatch.setattr(unit_work, "gather", made)
    work.CACHE.clear()
    yield made
    made.go.set()
    for job in sessions.sessions().of("test session id").jobs.values():
        job.cancel()
        job.wait(120)
    sessions.sessions().of("test session id").jobs.clear()
    work.CACHE.clear()


def unit_page(**query: str) -> AppTest:
    return settled(of("unit", clip="shapes", layer="conv4b", map="7", **query))


def job() -> Any:
    (made,) = sessions.sessions().of("test session id").jobs.values()
    return made


def press(test: AppTest, label: str) -> AppTest:
    next(b for b in test.button if b.label == label).click()
    return settled(test)


def test_a_map_is_measured_on_request_and_summed_up(gather: Gather) -> None:
    test = unit_page()
    assert [t.value for t in test.title] == ["What conv4b, map 7 responds to"]
    assert not test.info
    assert gather.asked == []  # nothing that takes minutes begins by itself
    test = press(test, view.BEGIN)
    job().wait(120)
    test.run()
    (said,) = test.info
    assert "prefers what drifts upwards at 1.5 pixels a frame" in said.value
    assert any("2 untrained network(s)" in c.value for c in test.caption)
    headings = [s.value for s in test.subheader]
    assert headings[:3] == ["The film it prefers", "Direction and speed", "Labels"]
    assert headings[3].endswith("its strongest windows in the atlas")
    films = test.get("video")
    assert len(films) == 3  # the planted evidence has no untrained film
    tables = [t.value for t in test.table]
    assert [next(iter(t.columns)) for t in tables] == ["what it is shown", "index", "label"]
    assert tables[1]["untrained maps as high"].tolist()[1] == "0%"
    (command,) = [c.value for c in test.code]
    assert command.startswith("c3d-viz units report --layer conv4b --channel 7 --controls 2")
    (settings, loaded), net = gather.asked[0], work.network("compact")
    assert (settings.layer, settings.channel) == ("conv4b", 7)
    assert loaded == (net.model, net.spec)  # not loaded a second time
    assert not test.error


def test_what_was_measured_is_there_at_once_for_another_session(gather: Gather) -> None:
    net = work.network("compact")
    unit_work.measure(net, "conv4b", 7, lambda *_: None)
    test = unit_page()
    job().wait(120)
    test.run()
    assert len(test.info) == 1
    assert len(gather.asked) == 1


def test_the_film_is_shown_while_it_is_made_and_stop_ends_it(gather: Gather) -> None:
    gather.go.clear()
    test = press(unit_page(), view.BEGIN)
    key = unit_work.key_of(work.network("compact"), "conv4b", 7)
    for _ in range(2000):
        if key in unit_work.PREVIEWS:
            break
        threading.Event().wait(0.05)
    assert unit_work.PREVIEWS[key].shape == (112, 4 * 112, 3)
    test.run()
    assert len(test.get("image")) == 1
    press(test, "Stop")
    job().wait(120)
    assert job().state == "cancelled"
    assert key not in unit_work.PREVIEWS
    test.run()
    assert any("Stopped" in i.value for i in test.info)
    assert any(b.label == view.BEGIN for b in test.button)  # to begin again


def test_a_failure_is_one_line_and_a_failed_climb_is_said(
    gather: Gather, monkeypatch: pytest.MonkeyPatch
) -> None:
    gather.error = VizError("conv4b channel 7 gives no gradient to climb on")
    test = press(unit_page(), view.BEGIN)
    job().wait(120)
    test.run()
    assert [e.value for e in test.error] == ["conv4b channel 7 gives no gradient to climb on"]
    found = unit_work._drawn(evidence(responses(3, 1), clip=6.0), "conv4b", 7)
    assert found.failed
    assert not unit_work._drawn(evidence(responses(3, 1)), "conv4b", 7).failed
    bare = dataclasses.replace(evidence(responses(3, 1)), concepts=None, control_concepts=())
    assert unit_work._drawn(bare, "conv4b", 7).concepts == ()
