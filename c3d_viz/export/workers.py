"""A few threads that draw and encode while the caller's thread computes."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

WORKERS = 2  # threads that draw and encode
QUEUE = 4  # finished maps that may wait for them


class Clock:
    """``with clock("read"):`` adds the block's seconds to ``timings["read"]``."""

    def __init__(self, timings: dict[str, float] | None) -> None:
        self.seconds = {} if timings is None else timings

    @contextlib.contextmanager
    def __call__(self, kind: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(kind, time.perf_counter() - began)

    def add(self, kind: str, seconds: float) -> None:
        """Add seconds of a worker thread (each kind is added by one thread at a time)."""
        self.seconds[kind] = self.seconds.get(kind, 0.0) + seconds


class Workers:
    """A few threads with a short queue; the caller's thread hears of each finished job."""

    def __init__(self, step: Callable[[str], None], clock: Clock) -> None:
        self._step, self._clock = step, clock
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="c3d-viz-draw")
        self._waiting: deque[tuple[str, Future[dict[str, float]]]] = deque()

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._collect(leave=0)
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, what: str, job: Callable[..., dict[str, float]], *arguments: Any) -> None:
        """Queue a job that returns seconds by kind; ``what`` names its step, "" is no step."""
        self._waiting.append((what, self._pool.submit(job, *arguments)))
        self._collect(leave=QUEUE)

    def skip(self, what: str) -> None:
        """Count a step that was done by an earlier run."""
        self._step(what)

    def _collect(self, leave: int) -> None:
        for what, job in self._ready(leave):
            began = time.perf_counter()
            spent = job.result()
            self._clock.add("waiting for the drawing", time.perf_counter() - began)
            for name, seconds in spent.items():
                self._clock.add(f"({name}, on other threads)", seconds)
            if what:
                self._step(what)

    def _ready(self, leave: int) -> Iterator[tuple[str, Future[dict[str, float]]]]:
        while self._waiting and (len(self._waiting) > leave or self._waiting[0][1].done()):
            yield self._waiting.popleft()
