"""Work, and whoever waits for it.

What a page waits for, and what a button begins, is a ``Task`` in a thread of its own. Whatever it
asks of a ``Cache`` is computed in that thread, as a task inside the task; who asks for the same
meanwhile waits for that one. So every task knows who waits for it: all of them read how far it is,
it goes on when the one that began it leaves, and it ends, with ``Left``, when nobody is left.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from c3d_viz.errors import VizError
from c3d_viz.progress import Progress

log = logging.getLogger("c3d_viz.app")
Key = tuple[Hashable, ...]
EARLY = 0.03  # share that is done before the time left is said
LOOK = 0.2  # seconds between two looks at whether somebody still waits


class Left(Exception):  # noqa: N818 - no error
    """Raised inside the work at its next report once nobody waits for it any more."""


class _Here(threading.local):
    task: Task | None = None  # whose work this thread does


_here = _Here()


class Task:
    """One piece of work.

    Attributes:
        label: what is done, for people.
        done, total, what: the last report: steps done (a fraction counts), all, a word for people.
        made: what there is of the result, where the work says so.
    """

    def __init__(self, label: str = "", held: bool = True) -> None:
        self.label = label
        self.done, self.total, self.what = 0.0, 0, ""
        self.made: Any = None
        self._held = held  # wanted by whoever made it, until ``cancel``
        self._waiting: list[Task] = []  # tasks that wait for this one
        self._step: Task | None = None  # the task that this one waits for
        self._began = time.monotonic()
        self._future: Future[Any] = Future()

    def start(self, work: Callable[[], Any]) -> Task:
        """Do ``work()`` in a thread of its own."""
        threading.Thread(target=self.run, args=(work,), daemon=True).start()
        return self

    def run(self, work: Callable[[], Any]) -> None:
        """Do ``work()`` here and now. What comes of it, errors too, is for ``result``."""
        outer, _here.task = _here.task, self
        try:
            made = work()
        except BaseException as error:
            self._future.set_exception(error)
        else:
            self._future.set_result(made)
        finally:
            _here.task = outer

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the work has ended, at most ``timeout`` seconds; whether it has."""
        return bool(wait([self._future], timeout).done)

    @property
    def result(self) -> Any:
        """What the work returned, waited for. Raises what it raised."""
        return self._future.result()

    @property
    def state(self) -> str:
        """ "running", "done", "failed" or "cancelled"."""
        if not self._future.done():
            return "running"
        error = self._future.exception()
        if error is None:
            return "done"
        return "cancelled" if isinstance(error, Left) else "failed"

    @property
    def message(self) -> str:
        """One line for people about work that failed."""
        error = self._future.exception() if self.state == "failed" else None
        if error is None or isinstance(error, VizError):
            return str(error or "")
        return "This did not work out; the server's log says why."

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for it, or for something that waits for it."""
        return self._held or any(task.wanted for task in tuple(self._waiting))

    def cancel(self) -> None:
        """No longer wanted by whoever made it. What is half-written the work itself removes."""
        self._held = False

    def check(self) -> None:
        """Raise Left where nobody waits any more."""
        if not self.wanted:
            raise Left

    def report(self, done: float, total: int, what: str = "") -> None:
        """Called from inside the work: how far it is. Ends it where nobody waits any more."""
        self.check()
        self.tell(done, total, what)

    def tell(self, done: float, total: int, what: str = "") -> None:
        """The same where nothing may be raised: from inside a network."""
        self.done, self.total, self.what = done, total, what

    @property
    def now(self) -> str:
        """What the innermost step is at, for people; "" where it does not say."""
        return (self._step.now if self._step else "") or self.what

    @property
    def so_far(self) -> Any:
        """What there is of the result of the innermost step that says so; None where none does."""
        return (self._step.so_far if self._step else None) or self.made

    @property
    def share(self) -> float:
        """How much is done, 0-1, part of the present step included."""
        step = self._step
        return min(1.0, (self.done + (step.share if step else 0.0)) / max(1, self.total))

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the pace so far; None before there is one."""
        step, share = self._step, self.share
        if step is not None and not self.total:
            return step.seconds_left  # which may have begun before this one came to wait for it
        if share <= EARLY:
            return None
        return (time.monotonic() - self._began) * (1 - share) / share

    def wait_for(self, other: Task) -> Any:
        """The result of another task, as long as this one is wanted itself."""
        while not other.wait(LOOK):
            self.check()
        return other.result


def begin(label: str, work: Callable[[Progress], Any]) -> Task:
    """Long work beside the page: ``work`` is given what it reports to, and may be cancelled."""
    task = Task(label)

    def logged() -> Any:
        try:
            return work(task.report)
        except (Left, VizError):
            raise
        except Exception:
            log.exception("%s failed", label)
            raise

    return task.start(logged)


def report(done: float, total: int, what: str = "") -> None:
    """``Task.report`` of the task whose work this is; nothing outside of one."""
    if _here.task is not None:
        _here.task.report(done, total, what)


def tell(done: float, total: int, what: str = "") -> None:
    """``Task.tell`` of the task whose work this is; nothing outside of one."""
    if _here.task is not None:
        _here.task.tell(done, total, what)


def so_far(made: Any) -> None:
    """What there is of this task's result; it must not change any more."""
    if _here.task is not None:
        _here.task.made = made


def nbytes(value: object) -> int:
    """Bytes of the large parts of a value: arrays, tensors, bytes, and containers of them."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, bytes | str):
        return len(value)
    if isinstance(value, dict):
        return sum(nbytes(v) for v in value.values()) + 64
    if isinstance(value, list | tuple):
        return sum(nbytes(v) for v in value) + 64
    if is_dataclass(value) and not isinstance(value, type):
        return sum(nbytes(getattr(value, f.name)) for f in fields(value)) + 64
    if hasattr(value, "nbytes"):  # a tensor, seen from outside
        return int(value.nbytes)
    return 64


class Cache:
    """What was computed once, for all sessions: least recently used first out, bounded in bytes.

    Keys say everything the value depends on (content hash of the clip, hash of the weights, window,
    unit, method), so a hit can never belong to somebody else's clip. Those who ask for one key at
    the same moment share one computation. A value larger than the whole cache is handed out and
    not kept.
    """

    def __init__(self, limit: int, size: Callable[[Any], int] = nbytes) -> None:
        self.limit = limit
        self._size = size
        self._kept: OrderedDict[Key, tuple[Any, int]] = OrderedDict()
        self._running: dict[Key, Task] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes kept now."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    def get(self, key: Key, make: Callable[[], Any]) -> Any:
        """The value; if need be ``make()``, here or where somebody makes it already.

        Raises what ``make`` raises, which is not kept, and Left.
        """
        mine = _here.task or Task()
        while True:
            mine.check()
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key][0]
                first = key not in self._running
                task = self._running.setdefault(key, Task(held=False))
                task._waiting.append(mine)
                mine._step = task
            try:
                if first:
                    task.run(functools.partial(self._make, key, task, make))
                return mine.wait_for(task)
            except Left:  # those who began it have left just before: begin again
                mine.check()
            finally:
                mine._step = None
                task._waiting.remove(mine)

    def drop(self, part: Hashable) -> None:
        """Forget every value whose key mentions ``part`` (a clip that was taken away)."""
        with self._lock:
            for key in [k for k in self._kept if _mentions(k, part)]:
                self._bytes -= self._kept.pop(key)[1]
            for key in [k for k in self._running if _mentions(k, part)]:
                del self._running[key]  # who waits gets it; it is not kept

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _make(self, key: Key, task: Task, make: Callable[[], Any]) -> Any:
        try:
            value = make()
            size = self._size(value)
            with self._lock:
                if size <= self.limit and self._running.get(key) is task:
                    self._kept[key] = (value, size)
                    self._bytes += size
                while self._bytes > self.limit:
                    _, (_, freed) = self._kept.popitem(last=False)
                    self._bytes -= freed
            return value
        finally:
            with self._lock:
                if self._running.get(key) is task:
                    del self._running[key]


def _mentions(key: Hashable, part: Hashable) -> bool:
    return key == part or (isinstance(key, tuple) and any(_mentions(k, part) for k in key))
