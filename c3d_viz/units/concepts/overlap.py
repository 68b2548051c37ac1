"""How far thresholded activations overlap with labels, against labels of other clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...errors import LayerError
from ...nets import InputSpec
from ...progress import Progress
from ...synthetic import HOWS, PARTS
from ..reach import Reach, check_finite
from .clips import ConceptClips

Floats = npt.NDArray[np.float64]

ABOVE = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # shares of a channel's values above each threshold
SHUFFLES = 3
_SAMPLE = 4096  # cells of a clip that thresholds are read from


@dataclass(frozen=True)
class Concepts:
    """What the N channels of a layer overlap with; K concepts.

    Attributes:
        iou: (N, K) on the clips that took no part in any choice. chance: (N, K) the same with the
            labels of other clips, mean over the shuffles.
        best: (N,) the concept with the highest score on the clips for choices.
        score: (N,) iou - chance at that concept; NaN for a channel that is the same everywhere.
        above: (N,) share of the values above the chosen threshold.
    """

    iou: Floats
    chance: Floats
    best: npt.NDArray[np.int64]
    score: Floats
    above: Floats


class _Counts:
    """Sums over cells for every threshold, channel and concept; with each shuffle of the labels."""

    def __init__(self, channels: int, concepts: int) -> None:
        runs = 1 + SHUFFLES
        self.both = np.zeros((runs, len(ABOVE), channels, concepts))
        self.label = np.zeros((runs, concepts))
        self.active = np.zeros((len(ABOVE), channels))

    def add(self, active: Tensor, parts: Sequence[Tensor], objects: Sequence[list[int]]) -> None:
        """active: (thresholds, N, cells) 0 or 1; of each run parts: (6, cells), and the concepts
        that are the object."""
        n = len(PARTS)
        labels = torch.cat(list(parts))  # in one product, which reads the activations once
        every = (active @ labels.T).double().numpy()  # (thresholds, N, runs x 6)
        areas = labels.sum(1).double().numpy()
        for run, of_object in enumerate(objects):
            both, area = every[:, :, n * run : n * (run + 1)], areas[n * run : n * (run + 1)]
            self.both[run, :, :, :n] += both
            self.label[run, :n] += area
            for concept in of_object:
                self.both[run, :, :, concept] += both[:, :, 0]
                self.label[run, concept] += area[0]

    def iou(self) -> Floats:
        """(runs, thresholds, N, K)."""
        whole = self.active[None, :, :, None] + self.label[:, None, None, :] - self.both
        return np.where(whole > 0, self.both / np.where(whole > 0, whole, 1), 0.0)


def concepts_of(
    model: nn.Module,
    spec: InputSpec,
    clips: ConceptClips,
    layers: Sequence[str],
    progress: Progress | None = None,
    what: str = "",
) -> dict[str, Concepts]:
    """Overlaps of every channel of the layers. The model is only listened to.

    Raises:
        LayerError: a layer that does not exist, is not called, or has no grid (C, T, H, W).
        VizError: a layer answers NaN.
    """
    reach = Reach(model, layers, clips.tensor(0, spec))
    levels, choice, _ = clips.sizes
    samples: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    thresholds: dict[str, Tensor] = {}
    counts: dict[str, tuple[_Counts, _Counts]] = {}
    generator = torch.Generator().manual_seed(0)
    answers = (
        grids
        for x in reach.batches(len(clips.clips), lambda number: clips.tensor(number, spec))
        for grids in _answers(reach, x)
    )
    for number, grids in enumerate(answers):
        for layer, grid in grids.items():
            flat = grid.flatten(1)
            if number < levels:
                cells = torch.randperm(flat.shape[1], generator=generator)[:_SAMPLE]
                samples[layer].append(flat[:, cells])
                continue
            if layer not in thresholds:
                values = torch.cat(samples.pop(layer), 1).double().numpy()
                edges = np.quantile(values, 1 - np.asarray(ABOVE), axis=1)
                thresholds[layer] = torch.from_numpy(edges).float()[..., None]
                sizes = len(flat), len(clips.names)
                counts[layer] = (_Counts(*sizes), _Counts(*sizes))
            report = number >= levels + choice
            _add(counts[layer][report], flat > thresholds[layer], grid, clips, number, report)
        if progress is not None:
            progress(number + 1, len(clips.clips), what)
    return {layer: _concepts(*counts[layer]) for layer in layers}


def _add(
    counts: _Counts, above: Tensor, grid: Tensor, clips: ConceptClips, number: int, report: bool
) -> None:
    """Count one clip: with its own labels, then with those of others of its set."""
    active = above.float()
    counts.active += active.sum(2).double().numpy()
    first = clips.sizes[0] + (clips.sizes[1] if report else 0)
    size = clips.sizes[2] if report else clips.sizes[1]
    others = [first + (number - first + step) % size for step in (0, *_steps(size))]
    parts = [clips.parts(other, grid.shape[1:]) for other in others]
    counts.add(active, parts, [clips.of_object(other) for other in others])


def _steps(size: int) -> tuple[int, ...]:
    """How far on in a set of clips those lie whose labels a clip is given: never itself, and, as
    motions come in turn, with another motion also where the count begins again."""
    order = sorted(range(1, size), key=lambda step: (step % 3 != 0, step)) or [0]
    turn = len(HOWS)
    apart = [step for step in order if step % turn and (step - size) % turn]
    return tuple(((apart or order) * SHUFFLES)[:SHUFFLES])


def _concepts(choice: _Counts, report: _Counts) -> Concepts:
    chosen, final = choice.iou(), report.iou()
    at = chosen.argmax(1)  # (runs, N, K): the threshold for each

    def best_of(table: Floats) -> Floats:
        return np.take_along_axis(table, at[:, None], 1)[:, 0]

    first, last = best_of(chosen), best_of(final)
    best = (first[0] - first[1:].mean(0)).argmax(1)
    every = np.arange(len(best))
    iou, chance = last[0], last[1:].mean(0)
    fires = report.active.sum(0) > 0
    score = np.where(fires, (iou - chance)[every, best], np.nan)
    return Concepts(iou, chance, best, score, np.asarray(ABOVE)[at[0][every, best]])


def _answers(reach: Reach, x: Tensor) -> list[dict[str, Tensor]]:
    """(C, T, H, W) of each layer for each clip of (B, C, T, H, W), on the CPU."""

    def keep(layer: str, _module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
        if output.ndim != 5 or output.shape[0] != len(x):
            raise LayerError(
                f"{layer} gives {tuple(output.shape)}: concepts need a grid (1, C, T, H, W)"
            )
        return output.float().cpu().clone()

    with torch.no_grad():
        answers = reach(x, keep)
    for layer, values in answers.items():
        check_finite(layer, values)
    return [{layer: values[k] for layer, values in answers.items()} for k in range(len(x))]
