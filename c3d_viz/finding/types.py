"""What a run is asked for, what it has measured, and what it found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .networks import Recipe
from .probe import Arrays
from .statistics import Verdict
from .windows import Window


@dataclass(frozen=True)
class StudySettings:
    """Everything the result depends on. The defaults are the rule of docs/finding.md."""

    reinit: int = 10
    seed: int = 0
    model: str = "compact"
    weights: str | None = None
    overrides: dict[str, Any] = field(default_factory=dict)
    twin: str | None = "compact-2d"
    twin_weights: str | None = None
    windows_per_video: int = 1
    permuted_nets: int = 2
    shuffles: int = 20
    per_kind: int = 6
    synthetic_reinit: int = 4
    perturbed_every: int = 2
    pairs: int = 40


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


@dataclass(frozen=True)
class Study:
    """Measured arrays of a run, by network and window name."""

    settings: StudySettings
    windows: tuple[Window, ...]
    synthetic: tuple[Window, ...]
    networks: tuple[Recipe, ...]
    measured: dict[str, Arrays]

    def main(self, network: str, window: Window) -> Arrays:
        return self.measured[f"{network}--{window.name}"]

    def some(self, start: str) -> list[Arrays]:
        """Every piece whose key starts so, in order."""
        return [self.measured[key] for key in self.measured if key.startswith(start)]
