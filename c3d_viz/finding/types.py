"""What the rule fixes, and the values that its parts hand to each other (docs/finding.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..arguments import check_seed
from ..errors import FindingError
from ..stats import Interval
from ..weights import NetworkChoice
from ..work import Arrays as Arrays

Frames = npt.NDArray[np.uint8]  # (T, H, W, 3) RGB
Answer = Literal["supported", "refuted", "inconclusive", "invalid"]
Status = Literal["right", "wrong", "undetermined"]

LAYER = "conv5b"
UNITS = 4
DECIDING = ("gradient", "guided")
DELTA = 0.05  # smallest effect of interest, in units of Delta = M - A
MIN_REINIT = 10
TRAINED, TWIN = "trained", "twin"  # names of networks; the others carry numbers


@dataclass(frozen=True)
class StudySettings:
    """Everything the result depends on. The defaults are the rule of docs/finding.md.

    Raises:
        FindingError: a number out of its range. Seeds of the networks are counted up from 1000 and
            2000, so that a thousand is the most that do not meet.
    """

    reinit: int = 10
    seed: int = 0
    network: NetworkChoice = field(default_factory=NetworkChoice)
    twin: str | None = "compact-2d"
    twin_weights: str | None = None
    windows_per_video: int = 1
    permuted_nets: int = 2
    shuffles: int = 20
    per_kind: int = 6
    synthetic_reinit: int = 4
    perturbed_every: int = 2
    pairs: int = 40

    def __post_init__(self) -> None:
        for what, value, low, high in (
            ("reinit (re-initialised networks, 10 for a verdict)", self.reinit, 1, 1000),
            ("windows of each video", self.windows_per_video, 1, 1000),
        ):
            if not low <= value <= high:
                raise FindingError(f"{what} must be {low} to {high}, got {value}")
        check_seed(self.seed, FindingError)


@dataclass(frozen=True)
class Recipe:
    """How a network of the test is made: ``kind`` is trained, reinit, permuted or twin."""

    name: str
    kind: str
    seed: int | None = None


@dataclass(frozen=True)
class Effect:
    """T under one method.

    Attributes:
        T: P(trained) - mean P(re-initialised), with its interval.
        share_positive: share of clips whose P (trained) is above 0.
        reinit_means: mean P of every re-initialised network.
        trained_mean: mean P of the trained network.
        false_alarms: how many re-initialised networks, each taken for the trained one against
            the others, have an interval above 0.
    """

    T: Interval
    share_positive: float
    reinit_means: tuple[float, ...]
    trained_mean: float
    false_alarms: int

    @property
    def above_all(self) -> bool:
        """The trained network's mean P is larger than that of every re-initialised one."""
        return all(self.trained_mean > mean for mean in self.reinit_means)


@dataclass(frozen=True)
class Control:
    """One control and how it came out."""

    name: str
    status: Status
    says: str  # one sentence with the numbers


@dataclass(frozen=True)
class Verdict:
    """The answer, the sentence for people, and the reasons one by one."""

    answer: Answer
    sentence: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """What a run found.

    Attributes:
        answer: supported, refuted, inconclusive or invalid.
        verdict: with the sentence and its reasons.
        folder: holds report.html, result.json, curves.npz and the figures.
        data: what result.json holds.
    """

    answer: str
    verdict: Verdict
    folder: Path
    data: dict[str, object]
