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
QUEUE = 4  # jobs that may wait for them, whatever they hold
MOST = 64 * 1024**2  # bytes that may; maps of shallow layers come faster than they can be drawn


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
        self._waiting: deque[tuple[str, int, Future[dict[str, float]]]] = deque()

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
                self._collect(all_of_them=True)
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(
        self, what: str, job: Callable[..., dict[str, float]], *arguments: Any, size: int = 0
    ) -> None:
        """Queue a job that returns seconds by kind, and wait where too much is queued.

        Args:
            what: names its step; "" is no step.
            size: bytes that stay in memory until it is done, and would not without it.
        """
        self._waiting.append((what, size, self._pool.submit(job, *arguments)))
        self._collect()

    def skip(self, what: str) -> None:
        """Count a step that was done by an earlier run."""
        self._step(what)

    def _collect(self, all_of_them: bool = False) -> None:
        while self._waiting and (all_of_them or self._full() or self._waiting[0][2].done()):
            what, _, job = self._waiting.popleft()
            began = time.perf_counter()
            spent = job.result()
            self._clock.add("waiting for the drawing", time.perf_counter() - began)
            for name, seconds in spent.items():
                self._clock.add(f"({name}, on other threads)", seconds)
            if what:
                self._step(what)

    def _full(self) -> bool:
        held = sum(size for _, size, _ in self._waiting)
        return len(self._waiting) > QUEUE and held > MOST
