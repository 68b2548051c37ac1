"""Long work beside the page: it reports progress, can be cancelled, and never blocks a click."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from c3d_viz.errors import VizError

log = logging.getLogger("c3d_viz.app")
Progress = Callable[[int, int, str], None]


class Cancelled(Exception):  # noqa: N818 - no error
    """Raised inside the work at its next progress report after ``Job.cancel``."""


class Job:
    """One piece of work in a thread of its own.

    Attributes:
        label: what is done, for people.
        result: what the work returned, once ``state`` is "done".
        message: one line for people, once ``state`` is "failed".
        state: "running", "done", "failed" or "cancelled".
    """

    def __init__(self, label: str, work: Callable[[Progress], Any]) -> None:
        self.label = label
        self.state = "running"
        self.result: Any = None
        self.message = ""
        self.done, self.total, self.what = 0, 0, ""
        self.began = time.monotonic()
        self._stop = threading.Event()
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def fraction(self) -> float:
        """Share that is done, 0-1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the pace so far; None before there is one."""
        if self.done < 1 or not self.total:
            return None
        spent = time.monotonic() - self.began
        return spent / self.done * (self.total - self.done)

    def cancel(self) -> None:
        """Ask the work to stop at its next step. What it has half-written it removes itself."""
        self._stop.set()

    def wait(self, timeout: float | None = None) -> None:
        """Block until the work has ended (tests, clean-up)."""
        self._thread.join(timeout)

    def report(self, done: int, total: int, what: str) -> None:
        """The progress callback that the work is given."""
        if self._stop.is_set():
            raise Cancelled
        self.done, self.total, self.what = done, total, what

    def _run(self) -> None:
        try:
            self.result = self._work(self.report)
            self.state = "done"
        except Cancelled:
            self.state = "cancelled"
        except VizError as error:
            self.message = str(error)
            self.state = "failed"
        except Exception:
            log.exception("%s failed", self.label)
            self.message = "This did not work out; the server's log says why."
            self.state = "failed"
