"""What a map answers along a whole video: the line, and that it grows while it is computed."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asked import source
from streamlit.testing.v1 import AppTest

import c3d_viz as viz
from app import components, following, sessions, tasks, work
from app.following import along


def test_the_line_along_the_video_is_the_maps_strongest_answer_in_each_window(
    net: work.Net, clips: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    of = source(clips[0], "along")
    told: list[tuple[float, int]] = []
    found: list[tuple[list[int], list[float]]] = []
    monkeypatch.setattr(following, "report", lambda done, total, what: told.append((done, total)))
    monkeypatch.setattr(following, "so_far", found.append)
    frames, values = along(net, of, 1, "conv4b", 5)
    assert frames == [8, 16, 24, 32]  # windows from 0, 8, 16 and 24 of 40 frames
    assert told == [(n, 4) for n in range(5)]
    assert found == [(frames[:n], values[:n]) for n in range(1, 5)]
    for start, value in ((0, values[0]), (24, values[3])):
        x = viz.preprocess(viz.read_clip(clips[0], start), net.spec.input)
        seen = viz.trace(net.model, x, ["conv4b"]).activations["conv4b"][5]
        assert value == float(seen.max())
    monkeypatch.setattr(following, "read_clips", lambda *_: pytest.fail("computed again"))
    assert along(net, of, 1, "conv4b", 5) == (frames, values)


def test_whoever_looks_sees_it_grow_and_may_end_it(
    net: work.Net, clips: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    of = source(clips[1], "growing")
    seen, go = threading.Event(), threading.Event()

    def slowly(*given: Any) -> Any:
        for clip in viz.clips.read_clips(*given):
            yield clip
            seen.set()  # the window before is done
            go.wait(30)

    monkeypatch.setattr(following, "read_clips", slowly)
    jobs = [tasks.begin("Following", lambda _: along(net, of, 1, "conv4b", 5)) for _ in range(2)]
    assert seen.wait(30)
    for job in jobs:  # also who only came to wait for the other
        while job.so_far is None:
            assert not job.wait(0.01)
        assert job.so_far[0] == [8]
        assert job.share == pytest.approx(1 / 4)
        assert job.now == "frame 0 of 40"
        assert job.seconds_left is not None
    for job in jobs:
        job.cancel()
    go.set()
    for job in jobs:
        job.wait(30)
        assert job.state == "cancelled"


def test_the_page_hands_the_beginning_of_the_line_to_the_timeline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mounted: dict[str, Any] = {}
    monkeypatch.setattr(
        components, "_mount", lambda name, key, data, picked: mounted.update({name: data})
    )
    job = tasks.Task("Following")
    job.made, job.done, job.total, job.what = ([8, 16], [0.25, 1.5]), 2, 9, "frame 16 of 99"
    shown = SimpleNamespace(
        net=SimpleNamespace(key="net"),
        source=SimpleNamespace(key="clip"),
        window=SimpleNamespace(stride=1),
    )

    def script(shown: object, job: object) -> None:
        from app import state, work
        from app.views import along

        unit = work.Spot("conv4b", 5, (0, 0, 0), 1.0)
        state.session().jobs[along._name(shown, unit)] = job
        assert along.trace(shown, unit) is None
        shown.net.spec = work.network("compact").spec
        along.controls(shown, work.Spot("fc8", 3, (), 1.0))  # of a class, by its name
        along.controls(shown, unit)

    test = AppTest.from_function(script, default_timeout=60, args=(shown, job)).run()
    assert not test.exception
    assert mounted == {"trace": {"trace": {"frames": [8, 16], "values": [0.25, 1.5]}}}
    assert (
        test.button[0].label
        == "Follow " + work.network("compact").spec.classes[3] + " along the video"
    )
    (stop,) = (button for button in test.button if button.label == "Stop")
    stop.click().run()
    assert not job.wanted
    sessions.sessions().of("test session id").jobs.clear()  # which other tests have as well
