"""The checks by name: a subject and methods in, numbers out. One function and one line a check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from ..engine import Unit
from ..errors import VizError
from ..methods import METHODS
from ..nets import C3D, CONV_LAYERS
from ..stats import blur_and_sample, nanmean
from .baselines import BASELINES
from .cascade import alike, answering, randomised, steps_of, weight_layers
from .cases import Frames
from .deletion import FILLINGS, average_drop, faithfulness
from .localisation import localisation
from .paths import path_counts
from .perturbation import motion_specificity, stability
from .sensitivity import infidelity, max_sensitivity
from .similarity import map_similarity
from .subject import Importance, Subject

_ENVELOPES = 4  # networks whose mean map estimates what all of a shape share
STEPS = 5  # of deletion and insertion


@dataclass(frozen=True)
class Number:
    """One measured number of a method (or baseline) in a subject; NaN is undefined.

    Attributes:
        why: of a NaN, where it is known.
    """

    method: str
    metric: str
    value: float
    why: str = ""


Measure = Callable[[Subject, Sequence[str]], Iterator[Number]]


def _randomisation(subject: Subject, methods: Sequence[str]) -> Iterator[Number]:
    layers = weight_layers(subject.model, subject.x, subject.unit)
    steps, alone = steps_of(len(layers)), dict[str, list[float]]()
    given: dict[str, Importance] = {}
    for method in methods:
        try:
            given[method] = subject.explain(method)
        except VizError as error:
            yield Number(method, "cascade", float("nan"), str(error))
    for number, end in enumerate(steps):
        for chosen in (layers[:end], [layers[end - 1]]):
            network = answering(subject.model, chosen, subject.x, subject.unit, subject.seed)
            for method, original in given.items():
                other = subject.explain_in(method, network)
                if len(chosen) == 1:
                    alone.setdefault(method, []).append(alike(original, other))
                if chosen == layers[:end]:
                    yield Number(method, f"cascade at {number}", alike(original, other))
                if chosen == layers:
                    shared = blur_and_sample(_envelope(subject, method, layers)).reshape(-1)
                    found = map_similarity(original[None], other[None], shared)
                    for name, value in zip(("", " beyond paths", " ssim"), found, strict=True):
                        yield Number(method, f"cascade{name}", value)
    for method, values in alone.items():
        yield Number(method, "one layer", float(nanmean(values)))


def _envelope(subject: Subject, method: str, layers: Sequence[str]) -> npt.NDArray[np.float64]:
    """What all networks of the shape share: paths of a C3D, elsewhere an estimate."""
    if isinstance(subject.model, C3D) and subject.unit.layer in CONV_LAYERS:
        return path_counts(subject.model, subject.unit)
    maps = [
        subject.explain_in(method, randomised(subject.model, layers, subject.seed + 7 + i))
        for i in range(_ENVELOPES)
    ]
    return np.asarray(np.mean(maps, axis=0), np.float64)


def _faithfulness(subject: Subject, methods: Sequence[str]) -> Iterator[Number]:
    for name, importance, why in _maps(subject, methods, ("random", "frame difference")):
        if importance is None:
            yield Number(name, "faithfulness grey", float("nan"), why)
            continue
        for filling in FILLINGS:
            found = faithfulness(
                subject.model, subject.x, subject.unit, importance, steps=STEPS, filling=filling
            )
            yield Number(name, f"faithfulness {filling}", found.score)
            yield Number(name, f"deletion {filling}", found.deletion_area)
            yield Number(name, f"insertion {filling}", found.insertion_area)
        drop = average_drop(subject.model, subject.x, subject.unit, importance)
        yield Number(name, "average drop", drop)


def _sensitivity(subject: Subject, methods: Sequence[str]) -> Iterator[Number]:
    for method in methods:
        explain = partial(subject.signed, method)
        try:
            values = explain(subject.x)
            off = infidelity(subject.model, subject.x, subject.unit, values, subject.seed)
            yield Number(method, "infidelity", off)
            yield Number(
                method, "max-sensitivity", max_sensitivity(explain, subject.x, subject.seed)
            )
        except VizError as error:
            yield Number(method, "infidelity", float("nan"), str(error))


def _localisation(subject: Subject, methods: Sequence[str]) -> Iterator[Number]:
    masks = subject.case.masks
    if masks is None or not masks.any():
        return
    for name, importance, why in _maps(subject, methods):
        if importance is None:
            yield Number(name, "iou", float("nan"), why)
            continue
        found = localisation(importance, masks)
        yield Number(name, "share inside", found.share)
        yield Number(name, "pointing", found.pointing)
        yield Number(name, "iou", found.iou)


def _motion(subject: Subject, methods: Sequence[str]) -> Iterator[Number]:
    if not subject.case.synthetic or not subject.unit.at:
        return
    for method in methods:
        try:
            found = motion_specificity(
                partial(_explain, subject, method), subject.case.frames, subject.unit, subject.steps
            )
        except VizError as error:
            yield Number(method, "motion specificity", float("nan"), str(error))
            continue
        yield Number(method, "motion specificity", found.score)
        yield Number(method, "change with direction", found.direction)
        yield Number(method, "change with colours", found.appearance)


def _stability(subject: Subject, methods: Sequence[str]) -> Iterator[Number]:
    for method in methods:
        explain = partial(_explain, subject, method)
        try:
            found = stability(explain, subject.case.frames, subject.unit, subject.seed)
        except VizError as error:
            yield Number(method, "stability shift", float("nan"), str(error))
            continue
        for name, value in found.items():
            yield Number(method, f"stability {name}", value)


def _explain(subject: Subject, method: str, frames: Frames, unit: Unit) -> Importance:
    return subject.explain(method, frames, unit)


# name -> (function, about how many passes it takes for a method)
CHECKS: dict[str, tuple[Measure, int]] = {
    "localisation": (_localisation, 1),
    "motion": (_motion, 3),
    "stability": (_stability, 4),
    "randomisation": (_randomisation, 12),
    "faithfulness": (_faithfulness, 29),
    "sensitivity": (_sensitivity, 12),
}


def is_slow(method: str) -> bool:
    """Whether a map takes many passes: left out unless asked for by name."""
    return METHODS[method].reports


def _maps(
    subject: Subject, methods: Sequence[str], baselines: Sequence[str] = tuple(BASELINES)
) -> Iterator[tuple[str, Importance | None, str]]:
    """Every method's map, or None and why there is none; then the baselines'."""
    for method in methods:
        try:
            yield method, subject.explain(method), ""
        except VizError as error:
            yield method, None, str(error)
    for name in baselines:
        yield name, subject.baseline(name), ""
