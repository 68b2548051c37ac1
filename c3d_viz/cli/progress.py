"""What a command says; its progress goes to stderr: a bar with the time left, or lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors import printable
from ..progress import Progress

EVERY = 5.0  # seconds between lines where stderr is not a terminal


def duration(seconds: float) -> str:
    """Seconds for people: ``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def say(*lines: str, err: bool = False) -> None:
    """Print lines; control characters in them, which names may hold, are spelled out."""
    for line in lines:
        print(printable(line), file=sys.stderr if err else sys.stdout, flush=True)


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """Within the block, ``progress(done, total, what)`` is shown with the time left."""
    if sys.stderr.isatty():
        with _bar(title) as progress:
            yield progress
    else:
        yield lines(title)


def lines(
    title: str,
    write: Callable[[str], object] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Progress:
    """A callback that writes one line at the first step, every few seconds, and at the end."""
    write = write or (lambda text: print(text, file=sys.stderr, flush=True))
    began = last = clock()
    first = done_before = of = -1

    def progress(done: int, total: int, what: str) -> None:
        nonlocal began, last, first, done_before, of
        now = clock()
        started = first < 0
        if total != of:  # the first step, where a resumed run begins, or another kind of work
            first, of = done, total
            began = began if started else now
        if not started and not (now - last >= EVERY or (done >= total and done != done_before)):
            return
        last, done_before = now, done
        text = f"{title}: {done} of {total}, {what}"
        if first < done < total:
            text += f", {duration((now - began) / (done - first) * (total - done))} left"
        write(printable(text))

    return progress


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn(f"{title} {{task.description}}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def progress(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=printable(what))

        yield progress


@contextmanager
def byte_progress(title: str) -> Iterator[Progress]:
    """The same for a download: ``progress(bytes done, bytes in all or 0, what)``, in megabytes."""
    with progress_bar(title) as progress:

        def shown(done: int, total: int, what: str) -> None:
            progress(done // 1_000_000, max(done, total) // 1_000_000, f"{what}, MB")

        yield shown
