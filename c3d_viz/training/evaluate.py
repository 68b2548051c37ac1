"""Accuracy of the shipped networks on held-out synthetic clips, with 95 % intervals. Seeded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..synthetic_library import WHATS, Library, Split, load_library
from ..synthetic_render import render
from ..synthetic_scene import HOWS, sample_scenes
from .data import SIZE, to_input
from .loop import Progress

REVERSED = {"left": "right", "right": "left", "up": "down", "down": "up", "expand": "contract",
            "contract": "expand", "clockwise": "counter-clockwise",
            "counter-clockwise": "clockwise"}  # fmt: skip
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TestSet:
    """A condition of the test: which cut-outs and backgrounds, how much clutter, how many clips."""

    name: str
    sprites: Split
    backgrounds: Split
    clutter: float
    clips: int
    seed: int


TEST_SETS = (
    TestSet("unseen sprites, unseen backgrounds", "test", "test", 1.0, 2400, 9001),
    TestSet("training sprites, unseen backgrounds", "train", "test", 1.0, 1200, 9002),
    TestSet("unseen sprites and backgrounds, no clutter", "test", "test", 0.0, 1200, 9003),
    TestSet("training sprites, no clutter", "train", "test", 0.0, 1200, 9004),
)


@dataclass(frozen=True)
class Answers:
    """What a network said about N clips: true and given what and how, the cut-out, and whether
    it prefers the true direction to the reversed one (-1 where a motion has no reverse)."""

    what: Ints
    how: Ints
    said_what: Ints
    said_how: Ints
    sprite: Ints
    direction: Ints


def wilson(right: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    p, factor = right / n, 1 + z * z / n
    middle = (p + z * z / (2 * n)) / factor
    half = z / factor * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def cluster_interval(
    right: npt.NDArray[np.bool_], cluster: Ints, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval of a share when clips of one cut-out are not independent.

    Whole clusters are drawn with replacement; percentiles 2.5 and 97.5 of the resampled share.
    """
    _, index = np.unique(cluster, return_inverse=True)
    hits, sizes = np.bincount(index, weights=right), np.bincount(index)
    pick = np.random.default_rng(seed).integers(0, len(sizes), (draws, len(sizes)))
    shares = hits[pick].sum(1) / sizes[pick].sum(1)
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(low), float(high)


@torch.no_grad()
def answers(
    models: Sequence[nn.Module],
    library: Library,
    test: TestSet,
    batch: int = 40,
    progress: Progress | None = None,
) -> list[Answers]:
    """Ask every model about the same balanced clips (class of clip i: i mod 60)."""
    columns: list[list[list[Ints]]] = [[] for _ in models]
    classes = len(WHATS) * len(HOWS)
    reverse = torch.tensor([HOWS.index(REVERSED[h]) if h in REVERSED else -1 for h in HOWS])
    for first in range(0, test.clips, batch):
        index = torch.arange(first, min(first + batch, test.clips)) % classes
        what, how = index // len(HOWS), index % len(HOWS)
        seed = test.seed * 100_003 + first
        g = torch.Generator().manual_seed(seed)
        scenes = sample_scenes(
            library, len(index), g, what=what, how=how, size=SIZE, clutter=test.clutter
        )
        # whole grey levels, as a video file has
        x = to_input(render(library, scenes, SIZE, seed).frames.round())
        other = reverse[how]
        for model, column in zip(models, columns, strict=True):
            logits = model(x).reshape(-1, len(WHATS), len(HOWS))
            by_what, by_how = logits.amax(2), logits.logsumexp(1)
            true = by_how.gather(1, how[:, None])[:, 0]
            rival = by_how.gather(1, other.clamp(min=0)[:, None])[:, 0]
            direction = torch.where(other < 0, -1, (true > rival).long())
            row = (what, how, by_what.argmax(1), by_how.argmax(1), scenes.target.sprite, direction)
            column.append([part.numpy() for part in row])
        if progress is not None:
            progress(first + len(index), test.clips, test.name)
    return [Answers(*(np.concatenate(p) for p in zip(*c, strict=True))) for c in columns]


def summary(said: Answers) -> dict[str, object]:
    """Shares and intervals of one network on one test set, ready for JSON."""
    what, how = said.what == said.said_what, said.how == said.said_how
    directed = said.direction >= 0
    return {
        "clips": len(what),
        "sprites": len(np.unique(said.sprite)),
        "appearance": _share(what, said.sprite),
        "motion": _share(how, said.sprite),
        "both": _share(what & how, said.sprite),
        "direction": _share(said.direction[directed] == 1, said.sprite[directed]),
        "appearance_by_class": {
            kind: _share(what[said.what == i], said.sprite[said.what == i])
            for i, kind in enumerate(WHATS)
        },
        "motion_by_class": {
            kind: _share(how[said.how == i], said.sprite[said.how == i])
            for i, kind in enumerate(HOWS)
        },
    }


def _share(right: npt.NDArray[np.bool_], sprite: Ints) -> dict[str, float | list[float]]:
    return {
        "share": round(float(right.mean()), 4),
        "wilson": [round(v, 4) for v in wilson(int(right.sum()), len(right))],
        "by_sprite": [round(v, 4) for v in cluster_interval(right, sprite)],
    }


def evaluate(
    models: dict[str, nn.Module],
    sources: Path,
    tests: Sequence[TestSet] = TEST_SETS,
    progress: Progress | None = None,
) -> dict[str, dict[str, dict[str, object]]]:
    """{test set: {model: summary}}. Same folder, same weights, same machine type: same numbers."""
    result: dict[str, dict[str, dict[str, object]]] = {}
    for test in tests:
        library = load_library(sources, test.sprites, test.backgrounds)
        said = answers(list(models.values()), library, test, progress=progress)
        result[test.name] = {n: summary(a) for n, a in zip(models, said, strict=True)}
    return result


def table(result: dict[str, dict[str, dict[str, object]]]) -> str:
    """The figures as Markdown."""
    lines = ["| test set | network | appearance (6) | motion (10) | both (60) | direction (2) |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for test, models in result.items():
        for name, found in models.items():
            cells = [_cell(found[key]) for key in ("appearance", "motion", "both", "direction")]
            lines.append(f"| {test} (n = {found['clips']}) | {name} | {' | '.join(cells)} |")
    first = next(iter(result.values()))
    for key, kinds in (("motion_by_class", HOWS), ("appearance_by_class", WHATS)):
        lines += ["", f"| {key.split('_')[0]} class, first test set | " + " | ".join(first) + " |",
                  "|---" * (len(first) + 1) + "|"]  # fmt: skip
        for kind in kinds:
            cells = [_cell(found[key][kind]) for found in first.values()]  # type: ignore[index]
            lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(share: object) -> str:
    assert isinstance(share, dict)
    low, high = share["by_sprite"]
    return f"{100 * share['share']:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
