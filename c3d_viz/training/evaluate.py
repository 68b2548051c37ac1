"""Accuracy of the shipped networks on held-out synthetic clips, with 95 % intervals. Seeded."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..errors import ExportError
from ..files import make_folder, read_json, write_text
from ..progress import Progress
from ..synthetic import HOWS, WHATS, Library, Split, load_library, render, sample_scenes
from .data import SIZE, to_input

REVERSED = {"left": "right", "right": "left", "up": "down", "down": "up", "expand": "contract",
            "contract": "expand", "clockwise": "counter-clockwise",
            "counter-clockwise": "clockwise"}  # fmt: skip
Ints = npt.NDArray[np.int64]
Result = dict[str, dict[str, dict[str, Any]]]  # by test set, by network


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
)
PLAIN_SETS = (
    TestSet("unseen sprites, unseen backgrounds, no clutter", "test", "test", 0.0, 1200, 9003),
    TestSet("training sprites, unseen backgrounds, no clutter", "train", "test", 0.0, 1200, 9004),
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
    right: npt.NDArray[Any], cluster: Ints, draws: int = 2000, seed: int = 0, tail: float = 2.5
) -> tuple[float, float]:
    """95 % bootstrap interval of a share (or mean) when clips of one cut-out are not independent.

    Whole clusters are drawn with replacement; ``tail`` per cent of the resampled shares lie beyond
    either end.
    """
    _, index = np.unique(cluster, return_inverse=True)
    hits, sizes = np.bincount(index, weights=right), np.bincount(index)
    pick = np.random.default_rng(seed).integers(0, len(sizes), (draws, len(sizes)))
    shares = hits[pick].sum(1) / sizes[pick].sum(1)
    low, high = np.percentile(shares, [tail, 100 - tail])
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
        x = x.contiguous(memory_format=torch.channels_last_3d)
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


def summary(said: Answers) -> dict[str, Any]:
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
        "appearance_confusion": _confusion(said.what, said.said_what, len(WHATS)),
        "motion_confusion": _confusion(said.how, said.said_how, len(HOWS)),
    }


def _confusion(true: Ints, said: Ints, classes: int) -> list[list[int]]:
    """Row: true class, column: said class, number of clips."""
    counts: list[list[int]] = (
        np.bincount(true * classes + said, minlength=classes**2).reshape(classes, classes).tolist()
    )
    return counts


def _share(right: npt.NDArray[np.bool_], sprite: Ints) -> dict[str, float | list[float]]:
    if len(right) == 0:  # a class that a small test set does not have
        return {"share": 0.0, "wilson": [0.0, 1.0], "by_sprite": [0.0, 1.0]}
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
) -> Result:
    """{test set: {model: summary}}. Same folder, same weights, same machine type: same numbers."""
    result: Result = {}
    for test in tests:
        library = load_library(sources, test.sprites, test.backgrounds)
        said = answers(list(models.values()), library, test, progress=progress)
        result[test.name] = {n: summary(a) for n, a in zip(models, said, strict=True)}
    return result


def evaluate_files(
    names: Sequence[str],
    sources: Path,
    out: Path,
    tests: Sequence[TestSet] = TEST_SETS,
    progress: Progress | None = None,
) -> Result:
    """Evaluate the shipped networks and keep the figures in ``out`` (JSON).

    A network and test set that ``out`` already has for the very same weights file is not asked
    again; an interrupted evaluation goes on with the test set it was at.

    Raises:
        ExportError: ``out`` is damaged, or something else.
    """
    from ..weights import load_model

    try:
        kept = read_json(out) or {}
    except ExportError as error:
        raise ExportError(f"{error}; give another -o") from None
    sums, found = kept.get("sha256", {}), kept.get("test_sets", {})
    tables = [sums, found, *(found.values() if isinstance(found, dict) else ())]
    if not all(isinstance(table, dict) for table in tables):
        raise ExportError(f"{out} is no evaluation of this command; give another -o")
    for name in names:
        model, spec = load_model(name)
        if sums.get(name) != spec.sha256:  # figures of other weights under this name are void
            for figures in found.values():
                figures.pop(name, None)
        sums[name] = spec.sha256
        layout = torch.channels_last_3d
        fast = model.to(memory_format=layout)  # type: ignore[call-overload,unused-ignore]
        for test in tests:
            figures = found.setdefault(test.name, {})
            if figures.get(name, {}).get("clips") == test.clips:
                continue
            figures[name] = evaluate({name: fast}, sources, [test], progress)[test.name][name]
            make_folder(out.parent)
            write_text(out, json.dumps({"sha256": sums, "test_sets": found}, indent=1) + "\n")
    return {t.name: {n: found[t.name][n] for n in names if n in found[t.name]} for t in tests}


def table(result: Result) -> str:
    """The figures as Markdown: all sets, then the first one by class and its motion confusions."""
    lines = [
        "| clips | network | appearance (6) | motion (10) | both (60) | direction (2) |",
        "|---|---|---|---|---|---|",
    ]
    for test, models in result.items():
        for name, found in models.items():
            cells = [_cell(found[key]) for key in ("appearance", "motion", "both", "direction")]
            lines.append(f"| {test}: {found['clips']:,} | {name} | {' | '.join(cells)} |")
    first = next(iter(result.values()))
    for key, kinds in (("motion_by_class", HOWS), ("appearance_by_class", WHATS)):
        lines += ["", f"| {key.split('_')[0]}, first set | " + " | ".join(first) + " |",
                  "|---" * (len(first) + 1) + "|"]  # fmt: skip
        for kind in kinds:
            cells = [_cell(found[key][kind]) for found in first.values()]
            lines.append(f"| {kind} | {' | '.join(cells)} |")
    for key, kinds in (("motion", HOWS), ("appearance", WHATS)):
        for name, found in first.items():
            rows = found[f"{key}_confusion"]
            lines += ["", f"| {name}: true {key} \\ said | " + " | ".join(kinds) + " |",
                      "|---" * (len(kinds) + 1) + "|"]  # fmt: skip
            for kind, row in zip(kinds, rows, strict=True):
                lines.append(f"| {kind} | {' | '.join(map(str, row))} |")
    return "\n".join(lines)


def _cell(share: dict[str, Any]) -> str:
    """Share, Wilson's interval, and the wider one in which a cut-out counts once."""
    (low, high), (wide_low, wide_high) = share["wilson"], share["by_sprite"]
    return (
        f"{100 * share['share']:.1f} % [{100 * low:.1f}, {100 * high:.1f}] "
        f"({100 * wide_low:.0f}-{100 * wide_high:.0f})"
    )
