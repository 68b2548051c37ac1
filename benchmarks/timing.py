"""Comparisons that survive a noisy machine: everything alternates, and only ratios are compared.

Within one process the cases of a comparison run in turn, A B A B ..., so that whatever slows the
machine down for a while slows both sides. The figure is the median of the rounds' ratios, given
with the smallest and the largest.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One side of a comparison.

    Attributes:
        run: called with the round's number, 0 .. rounds - 1.
        share: part of the whole work that one call does. A tool that shares nothing between units
            may do a third of them in each of three rounds; its time counts three times.
    """

    run: Callable[[int], object]
    share: float = 1.0


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest of some rounds."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: list[float]) -> Spread:
        return Spread(statistics.median(values), min(values), max(values))


def alternate(
    cases: Mapping[str, Case],
    rounds: int,
    synchronise: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of the whole work, per case and round. No warm-up here: run each case before.

    Args:
        synchronise: called before each reading of the clock; waits for an accelerator.
    """
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds):
        for name, case in cases.items():
            synchronise()
            start = clock()
            case.run(number)
            synchronise()
            seconds[name].append((clock() - start) / case.share)
    return seconds


def ratios(seconds: Mapping[str, list[float]], of: str, to: str) -> Spread:
    """How many times longer ``of`` takes than ``to``, from the rounds' own ratios."""
    return Spread.of([a / b for a, b in zip(seconds[of], seconds[to], strict=True)])


def part(items: list[object], number: int, parts: int) -> list[object]:
    """The items of round ``number``, so that ``parts`` rounds do all of them once."""
    return items[number % parts :: parts]
