"""Small figures: what tracing adds to a forward pass, and how soon the command answers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

import c3d_viz as viz

from .timing import Case, Spread, alternate, ratios
from .work import Work


def tracing(work: Work, rounds: int, synchronise: Callable[[], None]) -> dict[str, Any]:
    """Tracing all eleven layers against the bare model, both without autograd."""

    def bare(_: int) -> object:
        with torch.no_grad():
            return work.model(work.x)

    def traced(_: int) -> object:
        return viz.trace(work.model, work.x, viz.LAYERS)

    bare(0), traced(0)
    seconds = alternate({"bare": Case(bare), "traced": Case(traced)}, rounds, synchronise)
    spread = ratios(seconds, "traced", "bare")
    return {
        "rounds": rounds,
        "seconds": {key: vars(Spread.of(values)) for key, values in seconds.items()},
        "ratio": vars(spread),
        "target": 1.1,
        "reached": spread.median <= 1.1,
    }


def help_time(rounds: int) -> dict[str, Any]:
    """``c3d-viz --help`` from the shell's side, Python's own start included."""
    command = [sys.executable, "-m", "c3d_viz.cli.commands", "--help"]
    values, start_up = [], []
    for number in range(rounds + 1):
        for found, line in ((values, command), (start_up, [sys.executable, "-c", "pass"])):
            start = time.perf_counter()
            subprocess.run(line, capture_output=True, check=True)
            if number:  # the first call fills the file cache
                found.append(time.perf_counter() - start)
    spread = Spread.of(values)
    return {
        "rounds": rounds,
        "seconds": vars(spread),
        "python_alone": vars(Spread.of(start_up)),
        "target": 0.5,
        "reached": spread.median <= 0.5,
    }
