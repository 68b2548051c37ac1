"""From measured arrays to result.json: P and K, T, controls, verdict. No network in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ...stats import LEVEL, RESAMPLES, Floats, Interval, nanmean
from ...units import shares
from ..measure.contrasts import paired_positional, perturbation_parts, positional
from ..measure.study import Study
from ..measure.windows import ClipWindow
from ..types import DECIDING, DELTA, LAYER, TRAINED, TWIN, Control, Effect, Verdict
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
from .verdict import decide, effect

SCHEMA = 1
Parts = dict[str, dict[str, Floats]]  # P or K by network name and method: (windows,)


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
    p: Parts
    k: Parts


def analyse(study: Study, about: dict[str, object]) -> Analysis:
    """Everything that follows from the measurements; deterministic for the run's seed."""
    windows, seed = study.windows, study.settings.seed
    clusters = [window.cluster for window in windows]
    p, k = _parts(study, windows, [net.name for net in study.networks])
    reinits = study.names("reinit")
    reinit = _tables(p, reinits, len(windows))
    effects = {m: effect(p[TRAINED][m], reinit[m], clusters, seed=seed) for m in DECIDING}
    on_synthetic = [TRAINED, *reinits[: study.settings.synthetic_reinit]]
    synthetic_p, synthetic_k = _parts(study, study.synthetic, on_synthetic)
    outcomes = _controls(study, p, reinit, synthetic_k[TRAINED], clusters, effects)
    controls = tuple(control for control, _ in outcomes)
    verdict = decide(effects, controls)
    shared = {net: study.shared(net) for net in (TRAINED, TWIN)}
    data: dict[str, object] = {
        "schema": SCHEMA,
        "verdict": asdict(verdict),
        "effects": {m: effect_record(e) for m, e in effects.items()},
        "controls": [asdict(control) for control in controls],
        "control_intervals": {
            control.name: {m: asdict(interval) for m, interval in intervals.items()}
            for control, intervals in outcomes
            if intervals is not None
        },
        "does_not_vote": {
            "synthetic": _synthetic(study, synthetic_p, synthetic_k[TRAINED]),
            "deconvnet": deconvnet(study),
            "curves": mean_curves(study, reinits),
            "mean_A_and_M": levels(study),
            "mirrored_seed_time": mirrored(study),
            "similarity_by_depth": depths(study),
            "units_by_layer": {n: shares(a) for n, a in shared.items() if a is not None},
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
            net.name: {w.name: clip_record(study.curves(net.name, w)) for w in windows}
            for net in study.networks
        },
        "versions": versions(),
    }
    return Analysis(data, effects, controls, verdict, p, k)


def _parts(
    study: Study, windows: Sequence[ClipWindow], names: Sequence[str]
) -> tuple[Parts, Parts]:
    """P and K."""
    p: Parts = {}
    k: Parts = {}
    for name in names:
        rows = [positional(study.curves(name, window)) for window in windows]
        p[name] = {m: np.array([row[m][0] for row in rows]) for m in DECIDING}
        k[name] = {m: np.array([row[m][1] for row in rows]) for m in DECIDING}
    return p, k


def _tables(p: Parts, names: Sequence[str], windows: int) -> dict[str, Floats]:
    """Per method (windows, networks)."""
    empty = np.full((windows, 0), np.nan)
    return {m: np.stack([p[n][m] for n in names], 1) if names else empty for m in DECIDING}


def _controls(
    study: Study,
    p: Parts,
    reinit: c.Table,
    synthetic_k: c.Table,
    clusters: Sequence[str],
    effects: Mapping[str, Effect],
) -> list[tuple[Control, Mapping[str, Interval] | None]]:
    """In the order of docs/finding.md, with the intervals of those that rest on one."""
    windows, seed, reinits = study.windows, study.settings.seed, study.names("reinit")
    twin = None
    if TWIN in p:
        rows = [paired_positional(study.curves(TWIN, w)) for w in windows]
        twin = {m: np.array([row[m] for row in rows]) for m in DECIDING}
    similar = [study.randomised(window)["beyond_paths"] for window in windows]  # (methods, depths)
    deepest = {m: np.array([by[i, -1] for by in similar]) for i, m in enumerate(DECIDING)}
    return [
        (c.frozen_control(study.frozen()), None),
        c.shuffled_control(
            _shuffled(study, [TRAINED]), _shuffled(study, reinits), clusters, seed=seed
        ),
        (c.reversed_control(windows), None),
        c.positive_control(synthetic_k, [window.kind for window in study.synthetic], seed=seed),
        (c.reinit_control(reinit), None),
        c.permutation_control(
            _tables(p, study.names("permuted"), len(windows)), reinit, clusters, seed=seed
        ),
        c.twin_control(twin, clusters, seed=seed),
        c.randomisation_control(deepest, clusters, seed=seed),
        c.perturbation_control(*_perturbed(study, reinits), effects, seed=seed),
    ]


def _shuffled(study: Study, names: Sequence[str]) -> dict[str, Floats]:
    """Per method (windows,): mean C over the permutations of all the networks named."""
    rows = []
    for window in study.windows:
        turns = [a["C"] for name in names if (a := study.shuffled(name, window)) is not None]
        rows.append(nanmean(np.concatenate(turns), 0) if turns else np.full(len(DECIDING), np.nan))
    return {m: np.stack(rows)[:, i] for i, m in enumerate(DECIDING)}


def _perturbed(study: Study, reinits: Sequence[str]) -> tuple[Floats, Floats, list[str]]:
    """P of the perturbation curves: the trained network's, the re-initialised one's, the video."""
    windows = study.windows[:: study.settings.perturbed_every]

    def p(names: Sequence[str], window: ClipWindow) -> float:
        runs = [a for name in names if (a := study.perturbed(name, window)) is not None]
        return float(nanmean([perturbation_parts(arrays)[0] for arrays in runs]))

    trained, reinit = (
        np.array([p(names, window) for window in windows]) for names in ([TRAINED], reinits)
    )
    return trained, reinit, [window.cluster for window in windows]


def _synthetic(study: Study, p: Parts, k: c.Table) -> dict[str, object]:
    """T on the synthetic clips, and K there, with and without back-projection."""
    clusters = [window.cluster for window in study.synthetic]
    kinds = np.array([window.kind for window in study.synthetic])
    reinit = _tables(p, [name for name in p if name != TRAINED], len(clusters))
    perturbed = [study.perturbed(TRAINED, window) for window in study.synthetic]
    by_hand = np.array([perturbation_parts(a)[1] for a in perturbed if a is not None])
    effects = {
        m: effect(p[TRAINED][m], reinit[m], clusters, seed=study.settings.seed) for m in DECIDING
    }
    return {
        "T": {m: effect_record(e) for m, e in effects.items()},
        "P": p[TRAINED],
        "K": k,
        "K_without_backprojection": by_hand,
        "mean_K_without_backprojection": {
            kind: float(nanmean(by_hand[kinds == kind])) for kind in dict.fromkeys(kinds.tolist())
        },
        "kinds": kinds.tolist(),
    }
