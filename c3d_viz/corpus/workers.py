"""Tasks over processes: each with one thread and a network of its own; the run outlives a crash.

A process that ends unasked (killed, out of memory) takes its tasks with it. They are done again one
by one, so that the one to blame is known; a task that ends its process twice is given up.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from ..engine import one_thread_each
from ..errors import VizError

Task = TypeVar("Task")
Result = TypeVar("Result")
Work = Callable[[Any, Task], Result]  # (what ``make`` made, task)

_AHEAD = 1  # tasks that wait beside each one in work
_state: Any = None  # of a worker process: what ``make`` made


class Workers:
    """Does tasks in ``jobs`` processes; in this one where ``jobs`` is 1. A context manager.

    Args:
        make: called once in each process; importable, as its arguments are picklable.
        jobs: number of processes.

    Raises:
        VizError: jobs below 1.
    """

    def __init__(self, make: Callable[..., Any], arguments: tuple[Any, ...], jobs: int) -> None:
        if jobs < 1:
            raise VizError(f"jobs must be at least 1 process, got {jobs}")
        self._make, self._arguments, self._jobs = make, arguments, jobs
        self._processes: ProcessPoolExecutor | None = None
        self._here: Any = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def run(
        self, work: Work[Task, Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[Task, Result | VizError]]:
        """(task, its result, or the VizError that it raised), as they are done."""
        if self._jobs == 1:
            for task in tasks:
                with one_thread_each:
                    if self._here is None:
                        self._here = self._make(*self._arguments)
                    result = outcome(work, self._here, task)
                yield task, result
            return
        todo = deque(tasks)
        while todo:
            suspects = yield from self._until_one_breaks(work, todo)
            if suspects:
                yield from self._one_by_one(work, suspects)

    def _until_one_breaks(
        self, work: Work[Task, Result], todo: deque[Task]
    ) -> Generator[tuple[Task, Result | VizError], None, list[Task]]:
        """Do tasks from the left of ``todo``; returns those that a broken process leaves."""
        running: dict[Future[Result | VizError], Task] = {}
        if self._processes is None:
            self._processes = self._pool(self._jobs)
        try:
            while todo or running:
                while todo and len(running) < self._jobs * (1 + _AHEAD):
                    future = self._processes.submit(_work, work, todo[0])
                    running[future] = todo.popleft()
                done = wait(running, return_when=FIRST_COMPLETED).done
                for future in sorted(done, key=list(running).index):
                    result = future.result()
                    yield running.pop(future), result
        except BrokenProcessPool:
            self._close()
            return list(running.values())
        return []

    def _close(self) -> None:
        if self._processes is not None:
            self._processes.shutdown(wait=True, cancel_futures=True)
            self._processes = None

    def _one_by_one(
        self, work: Work[Task, Result], suspects: Sequence[Task]
    ) -> Iterator[tuple[Task, Result | VizError]]:
        pool = self._pool(1)
        try:
            for task in suspects:
                result: Result | VizError = VizError(
                    "the process that worked on it was ended from outside, twice (out of memory?); "
                    "use fewer --jobs, or leave it out"
                )
                for _ in range(2):
                    try:
                        result = pool.submit(_work, work, task).result()
                        break
                    except BrokenProcessPool:
                        pool.shutdown()
                        pool = self._pool(1)
                yield task, result
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _pool(self, jobs: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(jobs, _context(), _start, (self._make, self._arguments))


def _context() -> Any:
    """How processes begin: never as a fork of this one, whose threads' locks it would copy.

    Where there is one they are forks of a server that has imported what they need and has no
    threads: half the start, and the libraries are in memory once.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__package__])
    return context


def _start(make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    global _state
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all: the first process answers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    one_thread_each.__enter__()
    _state = make(*arguments)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(work: Work[Task, Result], task: Task) -> Result | VizError:
    return outcome(work, _state, task)


def outcome(work: Work[Task, Result], state: Any, task: Task) -> Result | VizError:
    """The result, or the VizError."""
    try:
        return work(state, task)
    except VizError as error:
        return error
