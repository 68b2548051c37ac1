"""The drawing lags behind the maps by a short queue, so memory does not grow with an export."""

from __future__ import annotations

import gc
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from exported import Loaded

from c3d_viz import Attribution, render
from c3d_viz.engine.graph import walk
from c3d_viz.export import export_clip, workers
from c3d_viz.export.workers import MOST, QUEUE, WORKERS, Workers

JOBS = 30


class Seconds:
    """Where the workers report what they spent."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}

    def __call__(self, kind: str) -> Any:
        return nullcontext()

    def add(self, kind: str, seconds: float) -> None:
        self.found[kind] = self.found.get(kind, 0.0) + seconds


@pytest.mark.parametrize(("size", "fit"), [(MOST // 8, 8), (MOST, QUEUE), (MOST // 1000, JOBS)])
def test_whoever_submits_waits_once_too_much_is_queued(size: int, fit: int) -> None:
    go, steps, given, clock = threading.Event(), list[str](), list[int](), Seconds()

    def draw(number: int) -> dict[str, float]:
        assert go.wait(60)
        return {"pictures": float(number)}

    def produce() -> None:
        with Workers(steps.append, clock) as drawing:
            for number in range(JOBS):
                drawing.submit(f"map {number}", draw, number, size=size)
                given.append(number)

    producer = threading.Thread(target=produce)
    producer.start()
    until = time.monotonic() + 30
    while len(given) < fit and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.2)  # without a bound all would be given by now
    assert len(given) == fit
    assert steps == []
    go.set()
    producer.join(60)
    assert steps == [f"map {number}" for number in range(JOBS)]  # in order, and all of them
    assert clock.found["(pictures, on other threads)"] == sum(range(JOBS))


def test_an_export_of_all_layers_is_one_forward_pass_and_holds_few_maps_while_drawing_is_slow(
    clip: Path, loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[int] = []
    first, counted = threading.Lock(), threading.Event()
    original = render.filmstrip

    def filmstrip(*args: Any, **kwargs: Any) -> Any:
        if first.acquire(blocking=False):  # nothing is drawn until no more maps come
            before = -1
            while (now := count()) != before:
                before = now
                time.sleep(0.8)
            alive.append(now)
            counted.set()
        assert counted.wait(60)
        return original(*args, **kwargs)

    def count() -> int:
        return sum(type(thing) is Attribution for thing in gc.get_objects())

    others = count()
    monkeypatch.setattr(workers, "MOST", 4 * 3 * 16 * 112 * 112)  # bytes of one map
    monkeypatch.setattr(render, "filmstrip", filmstrip)
    monkeypatch.setattr(walk, "run", None)  # ways back need nothing that was not traced
    export_clip(clip, tmp_path / "out", top=1, loaded=loaded)
    assert len(list((tmp_path / "out").rglob("map.npz"))) == 11
    assert 1 <= alive[0] - others <= QUEUE + WORKERS
