"""Page 3's numbers: the curves of one clip, as it is and altered, for this and other networks."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import c3d_viz as viz
from c3d_viz.finding import contrast, curves, stimulus
from c3d_viz.progress import Progress
from c3d_viz.stats import nanmean

from . import windows, work
from .windows import Prepared
from .work import CORES, Net, Spot

Floats = npt.NDArray[np.float64]
UNITS = 4  # as the test of docs/finding.md: the four strongest maps, chosen before looking
ALTERED = ("reversed", "frozen", "shuffled")
REINITIALISED = 3
STORED = Path(__file__).parent / "assets" / "finding-result.json"


@dataclass(frozen=True)
class Lines:
    """Curves of the strongest maps of a layer on one clip, averaged over those maps.

    Attributes:
        appearance, motion: (16,) A(t) and M(t), NaN where undefined.
        share: (16,) E(t), the share of the map in each frame; sums to 1.
        contrast: C, later minus earlier half; NaN where undefined.
        spots: the units.
    """

    appearance: Floats
    motion: Floats
    share: Floats
    contrast: float
    spots: tuple[Spot, ...]


def lines(
    net: Net, win: Prepared, layer: str, method: str, channels: tuple[int, ...] | None = None
) -> Lines:
    """A, M and E of the strongest maps, or of given channels at their strongest positions."""

    def make() -> Lines:
        spots = (
            work.strongest(net, win, layer, UNITS)
            if channels is None
            else [work.spot(net, win, layer, c, None) for c in channels]
        )
        units = [viz.Unit(s.layer, s.channel, s.at) for s in spots]
        read = work.reading(net, win, layer)
        with CORES:
            maps = [a.values for a in read.attribute_many(units, method)]
        found = curves(np.stack(maps), stimulus(win.frames))
        rows = (found.A, found.M, found.E, contrast(found.delta))
        a, m, e, c = (nanmean(values, 0) for values in rows)
        return Lines(a, m, e, float(c), tuple(spots))

    key = ("lines", net.key, win.key, layer, method, channels)
    return work.kept(key, make)


def altered(
    net: Net,
    win: Prepared,
    layer: str,
    method: str,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Lines]:
    """The clip as it is, reversed, frozen and shuffled: the same maps, positions found again.

    ``report`` hears how many are done and may raise to end the work.
    """
    base = lines(net, win, layer, method)
    channels = tuple(s.channel for s in base.spots)
    made = {"as it is": base}
    for how in ALTERED:
        report(len(made), 1 + len(ALTERED))
        made[how] = lines(net, windows.altered(net, win, how), layer, method, channels)
    return made


def other_networks(
    net: Net, win: Prepared, layer: str, method: str, twin: Net | None, report: Progress
) -> dict[str, list[Lines]]:
    """The same clip through re-initialised networks and the 2D twin, each with its own maps."""
    total = REINITIALISED + (twin is not None)
    made: dict[str, list[Lines]] = {"re-initialised": []}
    for seed in range(REINITIALISED):
        report(seed, total, f"random weights {seed + 1} of {REINITIALISED}")
        random = work.reinitialised(net, 1000 + seed)
        made["re-initialised"].append(lines(random, windows.on(random, win), layer, method))
    if twin is not None:
        report(REINITIALISED, total, "the 2D twin")
        made["2D twin"] = [lines(twin, windows.on(twin, win), layer, method)]
    report(total, total, "done")
    return made


def undefined(of: Lines) -> str:
    """Why there is no contrast between later and earlier frames; empty where there is one."""
    if np.isfinite(of.contrast):
        return ""
    if not np.isfinite(of.motion).any():
        return "nothing moves, so there is no motion to follow"
    if not np.isfinite(of.appearance).any():
        return "the maps are empty, or there is no texture to follow"
    return "too few frames of one half have both texture and motion"


def of_twin(base: Lines, twin: Lines, random: list[Lines]) -> str:
    """How near the curves of the 2D twin come to the network's, in words."""
    to_twin, to_random = apart(base, twin), nanmean(np.array([apart(base, r) for r in random]), 0)
    near = "nearly the same curve" if to_twin < 0.1 else "another curve"
    return (
        f"Look at the 2D twin: it sees each frame by itself and cannot follow motion, and it draws "
        f"{near}: {to_twin:.2f} from this network's on average, random weights {to_random:.2f}. "
        f"So far as the twin draws it, the curve comes from the video and not from filters over "
        f"time."
    )


def apart(one: Lines, other: Lines) -> float:
    """Mean distance of two networks' curves, over all frames where both are defined."""
    pairs = ((one.appearance, other.appearance), (one.motion, other.motion))
    return float(nanmean(np.abs(np.concatenate([a - b for a, b in pairs])), 0))


@dataclass(frozen=True)
class FullTest:
    """The verdict of the full test on the shipped network."""

    answer: str
    sentence: str
    weights: str
    windows: int
    videos: int
    effects: tuple[str, ...]  # of each method: T and its interval


@functools.cache
def stored_result(path: Path = STORED) -> FullTest | None:
    """What ``c3d-viz finding test`` wrote for the shipped network; None where it is not stored.

    The file is the part of that command's result.json that is shown.
    """
    if not path.is_file():
        return None
    data = json.loads(path.read_text())
    real = [w for w in data["windows"] if w["kind"] == "real"]
    return FullTest(
        data["verdict"]["answer"],
        data["verdict"]["sentence"],
        data["model"]["weights"],
        len(real),
        len({w["video"] for w in real}),
        tuple(reason.split(" over ")[0] for reason in data["verdict"]["reasons"]),
    )


def relative(share: Floats) -> list[float]:
    """Shares with the largest as 1; zeros for a map that is empty."""
    whole = np.nan_to_num(share)
    return (whole / max(float(whole.max()), 1e-12)).tolist()
