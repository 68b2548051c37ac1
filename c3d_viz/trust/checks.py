"""The checks by name: a subject and methods in, numbers out. One function and one line a check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from ..errors import VizError
from ..methods import METHODS
from ..nets import C3D, CONV_LAYERS
from ..stats import blur_and_sample, nanmean
from .baselines import BASELINES
from .cascade import alike, answering, randomised, steps_of, weight_layers
from .deletion import FILLINGS, average_drop, faithfulness
from .localisation import localisation
from .paths import path_counts
from .perturbation import little_changes, motion_specificity, stability
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
    given: dict[str, Importance] = {}
    for method in methods:
        try:
            given[method] = subject.explain(method)
        except VizError as error:
            yield Number(method, "cascade", float("nan"), str(error))
    ends = steps_of(len(layers))
    cascade = [layers[:end] for end in ends]
    alone = [[layers[end - 1]] for end in ends]
    found: dict[tuple[str, ...], dict[str, Importance]] = {}
    for names in map(tuple, [*cascade, *alone]):
        if names not in found:  # the first layer alone may be a step of both
            network = answering(subject.model, names, subject.x, subject.unit, subject.seed)
            asked = subject.asked(network)
            found[names] = {method: subject.explain_in(asked, method) for method in given}
    shared = _envelopes(subject, list(given), layers)
    for method, original in given.items():
        for number, chosen in enumerate(cascade):
            value = alike(original, found[tuple(chosen)][method])
            yield Number(method, f"cascade at {number}", value)
        numbers = map_similarity(
            original[None],
            found[tuple(layers)][method][None],
            blur_and_sample(shared[method]).reshape(-1),
        )
        for name, value in zip(("", " beyond paths", " ssim"), numbers, strict=True):
            yield Number(method, f"cascade{name}", value)
        each = [alike(original, found[tuple(chosen)][method]) for chosen in alone]
        yield Number(method, "one layer", float(nanmean(each)))


def _envelopes(
    subject: Subject, methods: Sequence[str], layers: Sequence[str]
) -> dict[str, npt.NDArray[np.float64]]:
    """What all networks of the shape share: paths of a C3D, elsewhere an estimate a method."""
    if isinstance(subject.model, C3D) and subject.unit.layer in CONV_LAYERS:
        return dict.fromkeys(methods, path_counts(subject.model, subject.unit))
    shared = {method: np.zeros(subject.x.shape[2:]) for method in methods}
    for i in range(_ENVELOPES):
        asked = subject.asked(randomised(subject.model, layers, subject.seed + 7 + i))
        for method in methods:
            shared[method] += subject.explain_in(asked, method) / _ENVELOPES
    return shared


def _faithfulness(subject: Subject, methods: Sequence[str]) -> Iterator[Number]:
    about = (subject.model, subject.x, subject.unit)
    asked = subject.asked()
    for name, importance, why in _maps(subject, methods, ("random", "frame difference")):
        if importance is None:
            yield Number(name, "faithfulness grey", float("nan"), why)
            continue
        for filling in FILLINGS:
            found = faithfulness(
                *about, importance, steps=STEPS, filling=filling, within=subject.box, asked=asked
            )
            yield Number(name, f"faithfulness {filling}", found.score)
            yield Number(name, f"deletion {filling}", found.deletion_area)
            yield Number(name, f"insertion {filling}", found.insertion_area)
        drop = average_drop(*about, importance, asked=asked)
        yield Number(name, "average drop", drop)


def _sensitivity(subject: Subject, methods: Sequence[str]) -> Iterator[Number]:
    x, unit, seed, asked = subject.x, subject.unit, subject.seed, subject.asked()
    for method in methods:
        explain = partial(subject.signed, asked, method)
        try:
            yield Number(method, "infidelity", infidelity(asked, x, unit, explain(x), seed))
            yield Number(method, "max-sensitivity", max_sensitivity(explain, x, seed))
        except VizError as error:
            yield Number(method, "infidelity", float("nan"), str(error))


def _localisation(subject: Subject, methods: Sequence[str]) -> Iterator[Number]:
    masks = subject.case.masks
    if masks is None or not masks.any():
        return
    small = int(subject.box.sum()) < int(masks.sum())  # all of any map would be chosen
    for name, importance, why in _maps(subject, methods):
        if importance is None:
            yield Number(name, "iou", float("nan"), why)
            continue
        found = localisation(importance, masks)
        yield Number(name, "share inside", found.share)
        yield Number(name, "pointing", found.pointing)
        if small:
            yield Number(
                name, "iou", float("nan"), "the unit sees less of the clip than its object"
            )
        else:
            yield Number(name, "iou", found.iou)


def _motion(subject: Subject, methods: Sequence[str]) -> Iterator[Number]:
    if not subject.case.synthetic or not subject.unit.at:
        return
    frames, unit, asked = subject.case.frames, subject.unit, subject.asked()
    for method in methods:
        explain = partial(subject.explain_by, asked, method)
        try:
            found = motion_specificity(explain, frames, unit, subject.steps)
        except VizError as error:
            yield Number(method, "motion specificity", float("nan"), str(error))
            continue
        yield Number(method, "motion specificity", found.score)
        yield Number(method, "change with direction", found.direction)
        yield Number(method, "change with colours", found.appearance)


def _stability(subject: Subject, methods: Sequence[str]) -> Iterator[Number]:
    frames, asked = subject.case.frames, subject.asked()
    changes = little_changes(frames, subject.seed)
    for method in methods:
        explain = partial(subject.explain_by, asked, method)
        try:
            found = stability(explain, frames, subject.unit, changes)
        except VizError as error:
            yield Number(method, "stability shift", float("nan"), str(error))
            continue
        for name, value in found.items():
            yield Number(method, f"stability {name}", value)


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
