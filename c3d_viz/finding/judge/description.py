"""What result.json says beside the answer: mean curves, levels, depths, windows, clips.

Nothing in here votes; analysis.py decides.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from ... import __version__
from ...nets import CONV_LAYERS, INPUT_SHAPE
from ...stats import Floats, nanmean
from ..measure.contrasts import contrast, parts
from ..measure.curves import REASONS
from ..measure.study import Study
from ..measure.windows import ClipWindow
from ..types import DECIDING, LAYER, TRAINED, TWIN, Arrays, Effect

DIRECTIONS = ("forward", "reversed")


def deconvnet(study: Study) -> dict[str, object]:
    """P and K of the trained network under deconvnet, per clip and in the mean."""
    number = len(DECIDING)
    p, k = [], []
    for window in study.windows:
        arrays = study.curves(TRAINED, window)
        value = contrast(np.float64(arrays["M"][:, number]) - arrays["A"][:, number])
        both = parts(value[0], value[1])
        p.append(float(nanmean(both[0])))
        k.append(float(nanmean(both[1])))
    return {"P": p, "K": k, "mean_P": float(nanmean(p)), "mean_K": float(nanmean(k))}


def stacked(study: Study, names: Sequence[str], key: str, method: int) -> Floats:
    """(networks, windows, T) forward curves of ``key``, mean over units."""

    def row(window: ClipWindow, name: str) -> Floats:
        return nanmean(study.curves(name, window)[key][0, method].astype(np.float64), 0)

    return np.stack([[row(window, name) for window in study.windows] for name in names])


def mean_curves(study: Study, reinits: Sequence[str]) -> dict[str, object]:
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
    frozen = [a["E"][0].astype(np.float64) for a in study.frozen()]  # (m, U, T)
    if frozen:
        mean = nanmean(np.stack(frozen), (0, 2))
        out["E_frozen"] = {m: mean[i] for i, m in enumerate(DECIDING)}
    return out


def levels(study: Study) -> dict[str, object]:
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


def mirrored(study: Study) -> dict[str, float]:
    """Share of units whose time cell on the reversed clip is the mirror of that on the clip."""
    cells = INPUT_SHAPE[1] // 8  # conv5b has two time cells
    out = {}
    for net in study.networks:
        at = np.stack([study.curves(net.name, w)["at"] for w in study.windows])  # (n, G, U, 3)
        out[net.name] = float((at[:, 1, :, 0] == cells - 1 - at[:, 0, :, 0]).mean())
    return out


def depths(study: Study) -> dict[str, object]:
    """Mean similarity to the map of the whole trained net, by the last layer re-initialised: (9,)
    each of Spearman's rho, rho beyond that of the paths alone, and SSIM, per deciding method.
    """
    layers = ["none", *CONV_LAYERS[CONV_LAYERS.index(LAYER) :: -1]]
    out: dict[str, object] = {"layers": layers}
    for number, method in enumerate(DECIDING):
        out[method] = {
            key: nanmean(
                np.stack([study.randomised(w)[key][number] for w in study.windows]),
                0,
            )
            for key in ("spearman", "beyond_paths", "ssim")
        }
    return out


def effect_record(e: Effect) -> dict[str, object]:
    """T with its interval, and the means it is the difference of."""
    return {
        **asdict(e.T),
        "smallest_detectable": e.T.detectable,
        "share_of_clips_above_0": e.share_positive,
        "mean_P_trained": e.trained_mean,
        "mean_P_reinitialised": e.reinit_means,
        "above_every_reinitialised": e.above_all,
        "reinitialised_with_interval_above_0": e.false_alarms,
    }


def window_record(window: ClipWindow) -> dict[str, object]:
    """Where a window comes from and how much moves in it (pixels, grey levels 0-255)."""
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


def clip_record(arrays: Arrays) -> dict[str, object]:
    """Per unit of one network on one window: C by direction, P, K, what is undefined and why."""
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


def versions() -> dict[str, str]:
    """Versions of what computed the result."""
    import cv2
    import torch

    return {
        "c3d_viz": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": str(torch.__version__),
        "opencv": cv2.__version__,
    }
