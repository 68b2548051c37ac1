"""From measured arrays to result.json: P and K, T, controls, verdict. No network in here."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .. import __version__
from ..models import CONV_LAYERS
from ..rankstats import Floats, nanmean
from . import controls as c
from .measures import REASONS, contrast, parts
from .networks import TRAINED, TWIN
from .probe import LAYER, Arrays
from .sharing import shares
from .statistics import DECIDING, DELTA, LEVEL, RESAMPLES, Control, Effect, Verdict, decide, effect
from .windows import Window

if TYPE_CHECKING:
    from .study import Study

SCHEMA = 1
DIRECTIONS = ("forward", "reversed")


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
        "effects": {m: _effect(e) for m, e in effects.items()},
        "controls": [asdict(control) for control in found],
        "control_intervals": {
            name: {m: asdict(cast(Any, i)) for m, i in by.items()} for name, by in intervals.items()
        },
        "does_not_vote": {
            "synthetic": synthetic,
            "deconvnet": _deconvnet(study),
            "curves": _mean_curves(study, names["reinit"]),
            "mean_A_and_M": _levels(study),
            "mirrored_seed_time": _mirrored(study),
            "similarity_by_depth": _depths(study),
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
        "windows": [_window(w) for w in (*windows, *study.synthetic)],
        "per_clip": {
            net.name: {w.name: _clip(study.main(net.name, w), net.kind) for w in windows}
            for net in study.networks
        },
        "versions": _versions(),
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
            m: _effect(
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


def _deconvnet(study: Study) -> dict[str, object]:
    """P and K of the trained network under deconvnet, per clip and in the mean."""
    number = len(DECIDING)
    p, k = [], []
    for window in study.windows:
        arrays = study.main(TRAINED, window)
        value = contrast(np.float64(arrays["M"][:, number]) - arrays["A"][:, number])
        both = parts(value[0], value[1])
        p.append(float(nanmean(both[0])))
        k.append(float(nanmean(both[1])))
    return {"P": p, "K": k, "mean_P": float(nanmean(p)), "mean_K": float(nanmean(k))}


def stacked(study: Study, names: Sequence[str], key: str, method: int) -> Floats:
    """(networks, windows, T) forward curves of ``key``, mean over units."""
    return np.stack(
        [
            [nanmean(study.main(n, w)[key][0, method].astype(np.float64), 0) for w in study.windows]
            for n in names
        ]
    )


def _mean_curves(study: Study, reinits: Sequence[str]) -> dict[str, object]:
    """Mean A(t), M(t), E(t) over clips (and networks), forward; frozen E(t) of the trained net."""
    groups = {"trained": [TRAINED], "re-initialised": list(reinits)}
    if any(net.name == TWIN for net in study.networks):
        groups["2D twin"] = [TWIN]
    out: dict[str, object] = {}
    for number, method in enumerate(DECIDING):
        out[method] = {
            group: {
                key: nanmean(stacked(study, names, key, number), (0, 1)) for key in ("A", "M", "E")
            }
            for group, names in groups.items()
            if names
        }
    frozen = [a["E"][0].astype(np.float64) for a in study.some("frozen--")]  # (m, U, T)
    if frozen:
        mean = nanmean(np.stack(frozen), (0, 2))
        out["E_frozen"] = {m: mean[i] for i, m in enumerate(DECIDING)}
    return out


def _levels(study: Study) -> dict[str, object]:
    """Mean A and M over interior frames, units and clips, by network: what maps follow at all."""
    out: dict[str, object] = {}
    for net in study.networks:
        out[net.name] = {
            method: {
                key: float(nanmean(stacked(study, [net.name], key, number), (0, 1, 2)))
                for key in ("A", "M")
            }
            for number, method in enumerate(DECIDING)
        }
    return out


def _mirrored(study: Study) -> dict[str, float]:
    """Share of units whose time cell on the reversed clip is the mirror of that on the clip."""
    from ..models import INPUT_SHAPE

    cells = INPUT_SHAPE[1] // 8  # conv5b has two time cells
    out = {}
    for net in study.networks:
        at = np.stack([study.main(net.name, w)["at"] for w in study.windows])  # (n, G, U, 3)
        out[net.name] = float((at[:, 1, :, 0] == cells - 1 - at[:, 0, :, 0]).mean())
    return out


def _depths(study: Study) -> dict[str, object]:
    layers = ["none", *CONV_LAYERS[CONV_LAYERS.index(LAYER) :: -1]]
    out: dict[str, object] = {"layers": layers}
    for number, method in enumerate(DECIDING):
        out[method] = {
            key: nanmean(
                np.stack(
                    [study.measured[f"randomised--{w.name}"][key][number] for w in study.windows]
                ),
                0,
            )
            for key in ("spearman", "beyond_paths", "ssim")
        }
    return out


def _effect(e: Effect) -> dict[str, object]:
    return {
        **asdict(e.T),
        "smallest_detectable": e.T.detectable,
        "share_of_clips_above_0": e.share_positive,
        "mean_P_trained": e.trained_mean,
        "mean_P_reinitialised": e.reinit_means,
        "above_every_reinitialised": e.above_all,
        "reinitialised_with_interval_above_0": e.false_alarms,
    }


def _window(window: Window) -> dict[str, object]:
    s = window.stimulus
    return {
        "name": window.name,
        "video": window.cluster,
        "kind": window.kind,
        "source": window.source,
        "start": window.start,
        "sha256_of_frames": window.sha256,
        "lag": s.lag,
        "duplicate_frames": s.duplicates,
        "mean_camera_shift_px": float(s.camera.mean()),
        "mean_difference": float(s.D[s.valid].mean()) if s.valid.any() else None,
    }


def _clip(arrays: Arrays, kind: str) -> dict[str, object]:
    methods = (*DECIDING, "deconvnet")[: arrays["A"].shape[1]]
    out: dict[str, object] = {
        "channels": arrays["channels"],
        "at": {d: arrays["at"][i] for i, d in enumerate(DIRECTIONS)},
        "activation": {d: arrays["activation"][i] for i, d in enumerate(DIRECTIONS)},
    }
    for number, method in enumerate(methods):
        value = contrast(np.float64(arrays["M"][:, number]) - arrays["A"][:, number])  # (G, U)
        p, k = parts(value[0], value[1])
        out[method] = {
            "C": {d: value[i] for i, d in enumerate(DIRECTIONS)},
            "P": p,
            "K": k,
            "undefined": _undefined(arrays, number),
        }
    return out


def _undefined(arrays: Arrays, number: int) -> dict[str, int]:
    """How many interior values of A or M are undefined, by reason."""
    codes = np.concatenate(
        [arrays[key][:, number, :, 1:-1].reshape(-1) for key in ("why_a", "why_m")]
    )
    return {
        REASONS[code]: int((codes == code).sum())
        for code in range(1, len(REASONS))
        if (codes == code).any()
    }


def _versions() -> dict[str, str]:
    import cv2
    import torch

    return {
        "c3d_viz": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": str(torch.__version__),
        "opencv": cv2.__version__,
    }
