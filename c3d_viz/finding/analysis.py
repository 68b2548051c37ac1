"""From measured arrays to result.json: P and K, T, controls, verdict. No network in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np

from ..stats import Floats, nanmean
from . import controls as c
from .description import (
    clip_record,
    deconvnet,
    depths,
    effect_record,
    levels,
    mean_curves,
    mirrored,
    versions,
    window_record,
)  # fmt: skip
from .networks import TRAINED, TWIN
from .probe import LAYER
from .sharing import shares
from .statistics import DECIDING, DELTA, LEVEL, RESAMPLES, Control, Effect, Verdict, decide, effect
from .types import Study
from .windows import Window

SCHEMA = 1


@dataclass(frozen=True)
class Analysis:
    """What the report is written from.

    Attributes:
        data: result.json.
        effects: T by deciding method.
        controls: in the order of docs/finding.md.
        verdict: the answer.
        p, k: per network name and method, (windows,) P and K.
    """

    data: dict[str, object]
    effects: dict[str, Effect]
    controls: tuple[Control, ...]
    verdict: Verdict
    p: dict[str, dict[str, Floats]]
    k: dict[str, dict[str, Floats]]


def analyse(study: Study, about: dict[str, object]) -> Analysis:
    """Everything that follows from the measurements; deterministic for the run's seed."""
    windows, seed = study.windows, study.settings.seed
    clusters = [window.cluster for window in windows]
    names = {kind: _names(study, kind) for kind in ("reinit", "permuted")}
    p, k = _parts(study, windows, [net.name for net in study.networks])
    reinit = {m: _table(p, names["reinit"], m, len(windows)) for m in DECIDING}
    effects = c.effects_of(p[TRAINED], reinit, clusters, seed=seed)
    found, intervals = _controls(study, p, reinit, names, clusters, effects)
    verdict = decide(effects, found)
    synthetic = _synthetic(study, names["reinit"])
    data: dict[str, object] = {
        "schema": SCHEMA,
        "verdict": asdict(verdict),
        "effects": {m: effect_record(e) for m, e in effects.items()},
        "controls": [asdict(control) for control in found],
        "control_intervals": {
            name: {m: asdict(cast(Any, i)) for m, i in by.items()} for name, by in intervals.items()
        },
        "does_not_vote": {
            "synthetic": synthetic,
            "deconvnet": deconvnet(study),
            "curves": mean_curves(study, names["reinit"]),
            "mean_A_and_M": levels(study),
            "mirrored_seed_time": mirrored(study),
            "similarity_by_depth": depths(study),
            "units_by_layer": {
                net: shares(study.measured[f"shared-{net}"])
                for net in (TRAINED, TWIN)
                if f"shared-{net}" in study.measured
            },
        },
        "rule": {
            "layer": LAYER,
            "methods": DECIDING,
            "resamples": RESAMPLES,
            "level": LEVEL,
            "delta": DELTA,
        },
        "networks": [asdict(net) for net in study.networks],
        **about,
        "windows": [window_record(w) for w in (*windows, *study.synthetic)],
        "per_clip": {
            net.name: {w.name: clip_record(study.main(net.name, w)) for w in windows}
            for net in study.networks
        },
        "versions": versions(),
    }
    return Analysis(data, effects, tuple(found), verdict, p, k)


def _names(study: Study, kind: str) -> list[str]:
    return [net.name for net in study.networks if net.kind == kind]


def _table(p: dict[str, dict[str, Floats]], names: Sequence[str], method: str, n: int) -> Floats:
    """(windows, networks)."""
    if not names:
        return np.full((n, 0), np.nan)
    return np.stack([p[name][method] for name in names], 1)


def _parts(
    study: Study, windows: Sequence[Window], names: Sequence[str]
) -> tuple[dict[str, dict[str, Floats]], dict[str, dict[str, Floats]]]:
    p: dict[str, dict[str, Floats]] = {}
    k: dict[str, dict[str, Floats]] = {}
    for name in names:
        rows = [c.positional(study.main(name, window)) for window in windows]
        p[name] = {m: np.array([row[m][0] for row in rows]) for m in DECIDING}
        k[name] = {m: np.array([row[m][1] for row in rows]) for m in DECIDING}
    return p, k


def _controls(
    study: Study,
    p: dict[str, dict[str, Floats]],
    reinit: dict[str, Floats],
    names: dict[str, list[str]],
    clusters: Sequence[str],
    effects: dict[str, Effect],
) -> tuple[list[Control], dict[str, dict[str, object]]]:
    windows, seed = study.windows, study.settings.seed
    n = len(windows)
    found = [c.frozen_control(study.some("frozen--"))]
    intervals: dict[str, dict[str, object]] = {}

    def add(control: Control, by_method: dict[str, object]) -> None:
        found.append(control)
        intervals[control.name] = by_method

    trained_c = _shuffled(study, [TRAINED])
    reinit_c = _shuffled(study, names["reinit"])
    control, by = c.shuffled_control(trained_c, reinit_c, clusters, seed=seed)
    add(control, dict(by))
    found.append(c.reversed_control(windows))
    _, k = _parts(study, study.synthetic, [TRAINED])
    kinds = [window.kind for window in study.synthetic]
    control, by = c.positive_control(k[TRAINED], kinds, seed=seed)
    add(control, dict(by))
    found.append(c.reinit_control(reinit))
    permuted = {m: _table(p, names["permuted"], m, n) for m in DECIDING}
    control, by = c.permutation_control(permuted, reinit, clusters, seed=seed)
    add(control, dict(by))
    twin = None
    if TWIN in p:
        rows = [c.paired_positional(study.main(TWIN, w)) for w in windows]
        twin = {m: np.array([row[m] for row in rows]) for m in DECIDING}
    control, by = c.twin_control(twin, clusters, seed=seed)
    add(control, dict(by))
    pieces = [study.measured[f"randomised--{w.name}"]["beyond_paths"] for w in windows]
    deep = {m: np.array([piece[i, -1] for piece in pieces]) for i, m in enumerate(DECIDING)}
    control, by = c.randomisation_control(deep, clusters, seed=seed)
    add(control, dict(by))
    own, other, videos = _perturbed(study, names["reinit"])
    control, interval = c.perturbation_control(own, other, videos, effects, seed=seed)
    add(control, {"no back-projection": interval})
    return found, intervals


def _shuffled(study: Study, names: Sequence[str]) -> dict[str, Floats]:
    """Per method (windows,): mean C over the permutations of all the networks named."""
    rows = []
    for window in study.windows:
        pieces = [study.measured.get(f"shuffled-{name}--{window.name}") for name in names]
        measured = [piece["C"] for piece in pieces if piece is not None]
        together = np.concatenate(measured) if measured else np.full((1, len(DECIDING)), np.nan)
        rows.append(nanmean(together, 0))
    return {m: np.stack(rows)[:, i] for i, m in enumerate(DECIDING)}


def _perturbed(study: Study, reinits: Sequence[str]) -> tuple[Floats, Floats, list[str]]:
    own, other, videos = [], [], []
    for window in study.windows[:: study.settings.perturbed_every]:
        names = [n for n in reinits if f"perturbed-{n}--{window.name}" in study.measured]
        trained = study.measured[f"perturbed-{TRAINED}--{window.name}"]
        own.append(c.perturbation_parts(trained)[0])
        values = [
            c.perturbation_parts(study.measured[f"perturbed-{n}--{window.name}"])[0] for n in names
        ]
        other.append(float(nanmean(values)) if values else np.nan)
        videos.append(window.cluster)
    return np.array(own), np.array(other), videos


def _synthetic(study: Study, reinits: Sequence[str]) -> dict[str, object]:
    """T on the synthetic clips, and K there, with and without back-projection."""
    names = [TRAINED, *reinits[: study.settings.synthetic_reinit]]
    p, k = _parts(study, study.synthetic, names)
    clusters = [window.cluster for window in study.synthetic]
    kinds = np.array([window.kind for window in study.synthetic])
    by_hand = np.array(
        [
            c.perturbation_parts(study.measured[f"perturbed-{TRAINED}--{w.name}"])[1]
            for w in study.synthetic
        ]
    )
    return {
        "T": {
            m: effect_record(
                effect(
                    p[TRAINED][m],
                    _table(p, names[1:], m, len(clusters)),
                    clusters,
                    seed=study.settings.seed,
                )
            )
            for m in DECIDING
        },
        "P": {m: p[TRAINED][m] for m in DECIDING},
        "K": {m: k[TRAINED][m] for m in DECIDING},
        "K_without_backprojection": by_hand,
        "mean_K_without_backprojection": {
            kind: float(nanmean(by_hand[kinds == kind])) for kind in dict.fromkeys(kinds.tolist())
        },
        "kinds": kinds.tolist(),
    }
