"""The page of a unit: measured on request, once for all, with the film while it is made."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from test_pages import of, settled
from unit_evidence import evidence, responses

from app import sessions, unit_work, work
from app.views import unit as view
from c3d_viz.errors import VizError
from c3d_viz.work import Piece


class Gather:
    """Stands for ``gather``: a film is previewed, two pieces measured; waits where told to."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.made: list[str] = []
        self.film, self.go = threading.Event(), threading.Event()
        self.film.set()
        self.go.set()
        self.error: Exception | None = None

    def __call__(
        self, settings: Any, progress: Any, *, loaded: Any, preview: Any, found: Any, keep: Any
    ) -> Any:
        self.asked.append((settings, loaded))
        progress(1, 10, "climbing")
        preview(np.full((8, 16, 16, 3), 200, np.uint8))
        while not self.film.wait(0.05):
            progress(2, 10, "climbing")
        full = evidence(responses(3, 1))
        keep(self._piece("film"))
        nothing: dict[str, Any] = {"tuning": None, "responses": None, "concepts": None}
        nothing |= {"control_tunings": (), "control_responses": None, "control_concepts": ()}
        partly = dataclasses.replace(full, **nothing, missing=("drifting patterns", "labels"))
        found(partly)
        while not self.go.wait(0.05):
            progress(6, 10, "drifting patterns")
        if self.error is not None:
            raise self.error
        keep(self._piece("tuning"))
        return full

    def _piece(self, name: str) -> Piece:
        def run() -> Any:
            self.made.append(name)
            return {"x": np.zeros(1)}

        return Piece(name, name, 1, (), run)


@pytest.fixture
def gather(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gather]:
    made = Gather()
    monkeypatch.setattr(unit_work, "gather", made)
    work.CACHE.clear()
    yield made
    made.film.set()
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
    assert " --coarse " in command
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


def until(there: Callable[[], bool]) -> None:
    for _ in range(2000):
        if there():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it did not come")


def kept() -> unit_work.Findings | None:
    return unit_work.so_far(work.network("compact"), "conv4b", 7)


def test_the_film_is_shown_while_it_is_made_and_then_what_is_measured(gather: Gather) -> None:
    gather.film.clear()
    gather.go.clear()
    test = press(unit_page(), view.BEGIN)
    until(lambda: kept() is not None)
    preview = kept().preview  # type: ignore[union-attr]
    assert preview is not None
    assert preview.shape == (112, 4 * 112, 3)
    test.run()
    assert len(test.get("image")) == 1
    assert not test.get("video")
    assert not test.code
    assert "Labels" not in [s.value for s in test.subheader]  # nothing is said of what is to come
    gather.film.set()
    until(lambda: bool(kept().films))  # type: ignore[union-attr]
    test.run()
    assert len(test.get("video")) == 3
    assert not test.get("image")
    assert [s.value for s in test.subheader][:1] == ["The film it prefers"]
    (preliminary,) = test.warning
    assert preliminary.value == "Preliminary, not measured yet: drifting patterns; labels."
    assert "to 5.0 times its answer to the best clip" in test.info[0].value
    assert "drifts" not in test.info[0].value  # says nothing of what was not measured
    assert not test.code
    assert any(b.label == "Stop" for b in test.button)
    gather.go.set()
    job().wait(120)
    test.run()
    assert not test.warning
    assert "drifts upwards" in test.info[0].value
    assert kept() is None


@pytest.mark.parametrize("how", ["stopped", "failed"])
def test_what_was_measured_stays_and_is_not_measured_again(gather: Gather, how: str) -> None:
    gather.go.clear()
    if how == "failed":
        gather.error = VizError("no memory left")
    test = press(unit_page(), view.BEGIN)
    until(lambda: bool(kept() and kept().films))  # type: ignore[union-attr]
    if how == "failed":
        gather.go.set()
    else:
        press(test, "Stop")
    job().wait(120)
    test.run()
    assert job().state == ("failed" if how == "failed" else "cancelled")
    assert len(test.get("video")) == 3
    assert [w.value[:11] for w in test.warning] == ["Preliminary"]
    said = [i.value for i in test.info] + [e.value for e in test.error]
    assert any("Stopped" in text or "no memory left" in text for text in said)
    gather.error = None
    gather.go.set()
    press(test, view.BEGIN)  # to go on
    job().wait(120)
    test.run()
    assert job().state == "done"
    assert not test.warning
    assert gather.made == ["film", "tuning"]  # the film's piece was kept


def test_a_failure_is_one_line_and_a_failed_climb_is_said(
    gather: Gather, monkeypatch: pytest.MonkeyPatch
) -> None:
    gather.error = VizError("conv4b channel 7 gives no gradient to climb on")
    test = press(unit_page(), view.BEGIN)
    job().wait(120)
    test.run()
    assert [e.value for e in test.error] == ["conv4b channel 7 gives no gradient to climb on"]
    draw = unit_work._Drawing("conv4b", 7)
    failure = draw(evidence(responses(3, 1), clip=6.0)).failure
    assert failure == "the channel answers more to a clip than to these films"
    whole = evidence(responses(3, 1))
    found = draw(whole)
    assert found.failure is None
    again = draw(dataclasses.replace(whole, concepts=None, control_concepts=()))
    assert again.concepts == ()
    assert again.films is found.films  # drawn once
    assert again.tuning is found.tuning
    fresh = draw(dataclasses.replace(whole, control_tunings=(), control_responses=None))
    assert len(fresh.tuning) == 1
    assert len(found.tuning) == 2
    assert fresh.caution.startswith("No untrained network was measured")
