"""A study made by hand: every network, method, clip and control has numbers of its own, all known.

No two of them are alike, so that whatever is mixed up comes out as another number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from c3d_viz.finding.measure.stimulus import Stimulus, stimulus
from c3d_viz.finding.measure.study import Study
from c3d_viz.finding.measure.windows import ClipWindow
from c3d_viz.finding.types import DECIDING, TRAINED, TWIN, Arrays, Recipe, StudySettings
from c3d_viz.nets import CONV_LAYERS

SEED = 3
METHODS = (*DECIDING, "deconvnet")
VIDEOS = ("a", "b", "b", "c", "d", "e", "f", "g", "h")  # nine windows of eight videos
DEPTHS = 9

#: Means by method. The last one of P and K is deconvnet's.
LEVELS: dict[str, tuple[float, ...]] = {
    "P trained": (0.30, 0.26, 0.51),
    "K trained": (0.07, -0.09, 0.13),
    "P reinit": (0.020, 0.031),
    "P permuted": (0.033, 0.021),
    "P twin": (0.004, -0.024),
    "C shuffled trained": (0.110, 0.140),
    "C shuffled reinit": (0.101, 0.157),
    "P synthetic": (0.061, 0.083),
    "P synthetic reinit": (0.012, 0.043),
    "K appearance first": (0.45, 0.53),
    "K motion first": (-0.35, -0.29),
    "beyond paths": (0.21, 0.34),
    "P perturbed trained": (0.17,),
    "P perturbed reinit": (0.05,),
    "K perturbed": (0.38,),
}


@dataclass(frozen=True)
class Made:
    """The study, and the numbers it was made of.

    Attributes:
        P, K: by network and method (windows,). Those on synthetic clips begin with "synthetic ".
        C: of shuffled frames, by "trained" and "reinit" and method: (windows, permutations).
        deep: beyond paths at full depth, by method (windows,).
        perturbed_p, perturbed_k: by network and window (P, K) of the perturbation curves.
    """

    study: Study
    P: dict[str, dict[str, np.ndarray]]
    K: dict[str, dict[str, np.ndarray]]
    C: dict[str, dict[str, np.ndarray]]
    deep: dict[str, np.ndarray]
    perturbed: dict[str, tuple[float, float]]


def curves(p: list[float], k: list[float], number: int) -> Arrays:
    """What ``measure`` gives, of a clip with these P and K by method; three units, one undefined.

    A is above 0 in the early half, M in the late half; ``number`` tells A and E of networks apart.
    """
    m, a = np.full((2, 2, len(p), 3, 16), np.nan)
    early, spread = 0.05 + 0.001 * number, np.array([0.03, -0.03, np.nan])
    for direction, sign in enumerate((1, -1)):
        c = (np.array(p) + sign * np.array(k))[:, None] + spread  # (methods, units)
        m[direction, ..., 1:8], m[direction, ..., 8:15] = 0.0, (c - early)[..., None]
        a[direction, ..., 1:8], a[direction, ..., 8:15] = early, 0.0
    m[..., 2, :], a[..., 2, :] = np.nan, np.nan
    e = np.full((2, len(p), 3, 16), 0.05)
    e[0, ..., 0], e[0, ..., 15] = 0.2 + 0.001 * number, 0.1 - 0.001 * number
    e[0, ..., 7] += 0.01 * np.arange(len(p))[:, None]  # by method
    why = np.where(np.isnan(m), 1, 0).astype(np.int8)
    at = np.zeros((2, 3, 3), np.int32)
    at[1, :2, 0] = 1  # the time cells of two units of three mirror on the reversed clip
    return {
        "A": a, "M": m, "E": e, "why_a": why, "why_m": why, "at": at,
        "channels": np.array([5, 7, 9], np.int32), "activation": np.full((2, 3), 2.0),
    }  # fmt: skip


def blind(p: list[float], number: int) -> Arrays:
    """What ``measure`` gives for the twin: each unit sees one half, so only pairing gives P."""
    arrays = curves(p, [0.0] * len(p), number)
    arrays["M"][:] = arrays["A"][:] = np.nan
    arrays["M"][0, ..., 1:8] = -2 * np.array(p)[:, None, None]
    arrays["M"][1, ..., 8:15] = arrays["A"][0, ..., 1:8] = arrays["A"][1, ..., 8:15] = 0.0
    return arrays


def perturbed(p: float, k: float) -> Arrays:
    """What ``perturb`` gives, of curves with these P and K; texture matters the same throughout."""
    motion, texture = np.full((2, 2, 2, 16), np.nan)
    for direction, c in enumerate((p + k, p - k)):
        motion[direction, :, 1:8], motion[direction, :, 8:15] = 1 - c / 2, 1 + c / 2
    texture[..., 1:15] = 0.4
    return {"motion": motion, "texture": texture}


def answers(shared: dict[str, int], generator: np.random.Generator) -> Arrays:
    """What ``sharing.answers`` gives: 12 channels, so many dynamic, static and joint ones."""
    out: Arrays = {}
    base, *other = generator.normal(size=(3, 40, 12))
    for layer in CONV_LAYERS:
        moves, looks = other[0].copy(), other[1].copy()
        moves[:, : shared["dynamic"] + shared["joint"]] = base[
            :, : shared["dynamic"] + shared["joint"]
        ]
        first, last = shared["dynamic"], shared["dynamic"] + shared["joint"] + shared["static"]
        looks[:, first:last] = base[:, first:last]
        for role, values in (("base", base), ("dynamics", moves), ("appearance", looks)):
            out[f"{role}.{layer}"] = values
    return out


def mirrored_clip(
    name: str, video: str, kind: str, seed: int, right: bool, size: int = 24
) -> ClipWindow:
    """A window of noise; its S and D are those of other frames unless ``right``."""
    frames = np.random.default_rng(seed).integers(0, 255, (16, size, size, 3), np.uint8)
    window = ClipWindow(name, video, frames, f"{video}.mp4", 10 + seed, kind)
    if not right:
        shifted: Stimulus = stimulus(np.roll(frames, 3, axis=0))
        window.__dict__["stimulus"] = shifted
    return window


def made_study(
    *, reinits: int = 10, twin: bool = True, mirrors: bool = True, frozen_m: float = np.nan,
    **levels: tuple[float, ...],
) -> Made:  # fmt: skip
    """The study; keyword arguments replace LEVELS, with underscores for spaces."""
    level = LEVELS | {key.replace("_", " "): value for key, value in levels.items()}
    g = np.random.default_rng(0)

    def table(name: str, count: int, scale: float = 0.004) -> dict[str, np.ndarray]:
        values = level[name]
        return {m: v + g.normal(0, scale, count) for m, v in zip(METHODS, values, strict=False)}

    n, settings = len(VIDEOS), StudySettings(seed=SEED, reinit=reinits, shuffles=13)
    windows = [
        mirrored_clip(f"{v}@{i}", v, "real", i, mirrors or i > 0) for i, v in enumerate(VIDEOS)
    ]
    kinds = ["appearance first"] * 4 + ["motion first"] * 3
    synthetic = [
        mirrored_clip(f"s{i}", f"s{i}", kind, 50 + i, False) for i, kind in enumerate(kinds)
    ]
    nets = [Recipe(TRAINED, "trained")]
    nets += [Recipe(f"reinit-{i:02d}", "reinit", 1000 + i) for i in range(reinits)]
    nets += [Recipe(f"permuted-{i}", "permuted", 2000 + i) for i in range(2)]
    nets += [Recipe(TWIN, "twin")] * twin
    p, k, measured = {}, {}, {}
    for number, net in enumerate(nets):
        p[net.name] = table(f"P {net.kind}", n, 0.02 if net.kind == "trained" else 0.004)
        k[net.name] = table("K trained", n) if net.kind == "trained" else {
            m: g.normal(0, 0.1, n) for m in DECIDING
        }  # fmt: skip
        for i, window in enumerate(windows):
            methods = METHODS[: len(p[net.name])]
            both = [[values[net.name][m][i] for m in methods] for values in (p, k)]
            arrays = blind(both[0], number) if net.kind == "twin" else curves(*both, number)
            measured[f"{net.name}--{window.name}"] = arrays
    for number, name in enumerate([TRAINED, *(x.name for x in nets if x.kind == "reinit")][:5]):
        here = f"synthetic {name}"
        p[here] = table("P synthetic" if name == TRAINED else "P synthetic reinit", len(kinds))
        k[here] = {m: np.zeros(len(kinds)) for m in DECIDING}
        for i, (window, kind) in enumerate(zip(synthetic, kinds, strict=True)):
            for m, value in table(f"K {kind}", 1).items():
                k[here][m][i] = value[0] if name == TRAINED else -value[0]
            both = [[values[here][m][i] for m in DECIDING] for values in (p, k)]
            measured[f"{name}--{window.name}"] = curves(*both, number)
    c: dict[str, dict[str, np.ndarray]] = {}
    for kind in ("trained", "reinit"):
        names = [net.name for net in nets if net.kind == kind]
        c[kind] = {m: np.zeros((n, settings.shuffles)) for m in DECIDING}
        for i, window in enumerate(windows):
            drawn = table(f"C shuffled {kind}", settings.shuffles, 0.03)
            for m in DECIDING:
                c[kind][m][i] = drawn[m]
            for j, name in enumerate(names):  # the networks take turns, so some have one more
                turns = range(j, settings.shuffles, len(names))
                values = np.array([[drawn[m][t] for m in DECIDING] for t in turns])
                measured[f"shuffled-{name}--{window.name}"] = {
                    "C": values,
                    "turns": np.array(turns),
                }
    deep = table("beyond paths", n, 0.02)
    for i, window in enumerate(windows):
        shallow = {key: np.full((2, DEPTHS), v) for key, v in (("spearman", 0.91), ("ssim", 0.77))}
        beyond = np.linspace(1, 0.6, DEPTHS) * np.ones((2, 1))
        beyond[:, -1] = [deep[m][i] for m in DECIDING]
        measured[f"randomised--{window.name}"] = {**shallow, "beyond_paths": beyond}
        still = curves([0.9] * 2, [0.8] * 2, 40)
        still["M"][:] = np.nan
        still["M"][0, 0, 0, 5] = frozen_m
        measured[f"frozen--{window.name}"] = still
    parts: dict[str, tuple[float, float]] = {}
    every = windows[:: settings.perturbed_every]
    wanted = [(TRAINED, w) for w in (*every, *synthetic)]
    wanted += [(f"reinit-{i % reinits:02d}", w) for i, w in enumerate(every)]
    for name, window in wanted:
        kind = "trained" if name == TRAINED else "reinit"
        value = level[f"P perturbed {kind}"][0] + g.normal(0, 0.02)
        other = level["K perturbed"][0] + g.normal(0, 0.02)
        parts[f"{name}--{window.name}"] = value, other
        measured[f"perturbed-{name}--{window.name}"] = perturbed(value, other)
    measured[f"shared-{TRAINED}"] = answers({"dynamic": 6, "joint": 1, "static": 2}, g)
    if twin:
        measured[f"shared-{TWIN}"] = answers({"dynamic": 3, "joint": 2, "static": 4}, g)
    study = Study(settings, tuple(windows), tuple(synthetic), tuple(nets), measured)
    return Made(study, p, k, c, deep, parts)
