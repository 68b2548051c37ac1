"""Which depth is better? The rule of docs/depth-study.md, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..evaluate import cluster_interval
from .clips import Clips
from .plan import Plan, Said

QUESTIONS = ("motion", "appearance")
Floats = npt.NDArray[np.float64]
Verdict = Literal["better", "worse", "not told apart"]


@dataclass(frozen=True)
class Accuracy:
    """Of one depth on one question.

    Attributes:
        share: right answers, mean over clips and seeds. low, high: 95 % interval over cut-outs.
        seeds: the share of each seed.
    """

    share: float
    low: float
    high: float
    seeds: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """Of depth ``first`` with ``second`` on one question.

    Attributes:
        difference: share of ``first`` less that of ``second``, on the same clips. low, high: its
            interval over cut-outs, widened for the number of comparisons.
        verdict: of ``first``.
    """

    first: str
    second: str
    question: str
    difference: float
    low: float
    high: float
    verdict: Verdict


def right(said: Said, clips: Clips, name: str, epoch: int, question: str) -> Floats:
    """(seeds, n): 1 where a network of this depth was right. ``question``: motion, appearance or
    both, which is the paper's clip accuracy on the 60 classes."""
    answers = [said[key] for key in sorted(said) if key[0] == name and key[2] == epoch]
    table = np.stack(answers)
    n = table.shape[1]
    what, how = table[:, :, 0] == clips.what[:n], table[:, :, 1] == clips.how[:n]
    chosen = {"appearance": what, "motion": how, "both": what & how}[question]
    return np.asarray(chosen, np.float64)


def accuracy(said: Said, clips: Clips, name: str, epoch: int, question: str) -> Accuracy:
    """Share of right answers with its interval: cut-outs are resampled, seeds are averaged."""
    table = right(said, clips, name, epoch, question)
    low, high = cluster_interval(table.mean(0), clips.sprite[: table.shape[1]])
    return Accuracy(float(table.mean()), low, high, tuple(map(float, table.mean(1))))


def pairs(plan: Plan) -> list[tuple[str, str]]:
    """Depth 3 with every other, then every other with depth 1: the paper's two statements."""
    others = [name for name in plan.names if name not in ("depth-1", "depth-3")]
    found = [("depth-3", name) for name in ("depth-1", *others)]
    found += [(name, "depth-1") for name in others]
    return [pair for pair in found if set(pair) <= set(plan.names)]


def compare(said: Said, clips: Clips, plan: Plan, epoch: int) -> list[Comparison]:
    """Every pair on both questions; the level is 95 % for all of them together (Bonferroni)."""
    asked = [(first, second, question) for question in QUESTIONS for first, second in pairs(plan)]
    found = []
    for first, second, question in asked:
        a = right(said, clips, first, epoch, question)
        b = right(said, clips, second, epoch, question)
        gap = a.mean(0) - b.mean(0)
        low, high = cluster_interval(
            gap, clips.sprite[: len(gap)], draws=20_000, tail=2.5 / len(asked)
        )
        of_a, of_b = a.mean(1), b.mean(1)
        verdict: Verdict = "not told apart"
        if low > 0 and of_a.min() > of_b.max():
            verdict = "better"
        elif high < 0 and of_a.max() < of_b.min():
            verdict = "worse"
        found.append(Comparison(first, second, question, float(gap.mean()), low, high, verdict))
    return found
