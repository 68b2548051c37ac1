"""What must come out right before T means anything (docs/finding.md, 3): one function a control.

Every function takes measured arrays and returns a :class:`Control` with its numbers in a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ...stats import Floats, Interval, bootstrap, nanmean
from ..measure.contrasts import positional
from ..measure.stimulus import stimulus
from ..measure.windows import ClipWindow
from ..types import DECIDING, DELTA, MIN_REINIT, Arrays, Control, Effect, Status
from .verdict import by_statistic, flat, worst

MIRROR_TOLERANCE = 1e-3
MAX_SIMILARITY = 0.5
MIN_DEFINED = 0.8
Table = Mapping[str, Floats]  # per deciding method
Outcome = tuple[Control, Mapping[str, Interval]]  # intervals by method


def _by_method(
    name: str,
    what: str,
    intervals: dict[str, Interval],
    judge: Callable[[str, Interval], Status] = lambda _, interval: flat(interval),
    notes: Mapping[str, str] | None = None,
) -> Outcome:
    """As its worst method, which ``judge`` knows by name; ``notes`` follow their intervals."""
    text = [f"{m} {interval}{(notes or {}).get(m, '')}" for m, interval in intervals.items()]
    status = worst([judge(m, interval) for m, interval in intervals.items()])
    return Control(name, status, f"{what}: {'; '.join(text)}."), intervals


def frozen_control(measured: Sequence[Arrays]) -> Control:
    """M, C, P and K must be undefined everywhere on a clip of one repeated frame."""
    if not measured:
        return Control("frozen", "undetermined", "No frozen clip was measured.")
    defined = sum(int(np.isfinite(a["M"]).sum()) for a in measured)
    numbers = sum(
        int(np.isfinite(v).sum()) for a in measured for v in positional(a).values()
    )  # P and K together
    total = sum(a["M"].size for a in measured)
    status: Status = "right" if defined == numbers == 0 else "wrong"
    return Control(
        "frozen",
        status,
        f"M is defined on {defined} of {total} frames, P or K {numbers} times, over "
        f"{len(measured)} frozen clips; all must be undefined.",
    )


def shuffled_control(
    trained: Table, reinit: Table, clusters: Sequence[str], *, seed: int
) -> Outcome:
    """C on shuffled frames, trained minus re-initialised, must be flat.

    Args:
        trained, reinit: per method (n,), mean over permutations (and re-initialised networks).
    """
    what = f"C of shuffled clips, trained minus re-initialised, must lie within +-{DELTA}"
    apart = {m: trained[m] - reinit[m] for m in DECIDING}
    intervals = {m: bootstrap(apart[m], clusters, seed=seed) for m in DECIDING}
    return _by_method("shuffled", what, intervals)


def reversed_control(windows: Sequence[ClipWindow]) -> Control:
    """S and D of the reversed clip are those of the clip, mirrored."""
    apart = 0.0
    for window in windows:
        mirror, again = window.stimulus.reversed(), stimulus(window.frames[::-1].copy())
        if again.frames != mirror.frames or (again.valid != mirror.valid).mean() > 0.01:
            apart = math.inf
            continue
        both = again.valid & mirror.valid
        for got, expected in ((again.S, mirror.S), (again.D, mirror.D)):
            top = float(np.abs(expected).max())
            if top > 0:
                apart = max(apart, float(np.abs(got - expected)[both].max(initial=0.0)) / top)
    status: Status = "right" if apart <= MIRROR_TOLERANCE else "wrong"
    return Control(
        "reversed",
        status,
        f"S and D of the reversed clips differ from the mirrored ones by at most {apart:.1e} of "
        f"their maximum; {MIRROR_TOLERANCE:.0e} is allowed.",
    )


def positive_control(k: Table, kinds: Sequence[str], *, seed: int) -> Outcome:
    """K has the known sign on synthetic clips of both orders.

    Args:
        k: per method (n,), K of every synthetic clip.
        kinds: n times "appearance first" (K > 0) or "motion first" (K < 0).
    """
    sign = np.array([1.0 if kind == "appearance first" else -1.0 for kind in kinds])
    names = [str(i) for i in range(len(kinds))]
    means = {m: [float(nanmean(k[m][sign == s])) for s in (1.0, -1.0)] for m in DECIDING}
    intervals = {m: bootstrap(k[m] * sign, names, seed=seed) for m in DECIDING}

    def judge(method: str, interval: Interval) -> Status:
        if interval.low > 0 and means[method][0] > 0 > means[method][1]:
            return "right"
        return "wrong" if interval.high < 0 else "undetermined"

    notes = {
        m: f" (appearance first {first:+z.3f}, motion first {second:+z.3f})"
        for m, (first, second) in means.items()
    }
    what = "K in the known direction must be above 0"
    return _by_method("positive", what, intervals, judge, notes)


def reinit_control(reinit: Table) -> Control:
    """Enough re-initialised networks, with a P on most clips."""
    count = min(table.shape[1] for table in reinit.values())
    share = min(float(np.isfinite(t).mean()) if t.size else 0.0 for t in reinit.values())
    status: Status = "right" if count >= MIN_REINIT and share >= MIN_DEFINED else "undetermined"
    return Control(
        "re-initialised",
        status,
        f"{count} networks ({MIN_REINIT} needed), P is defined on {share:.0%} of their clips "
        f"({MIN_DEFINED:.0%} needed).",
    )


def permutation_control(
    permuted: Table, reinit: Table, clusters: Sequence[str], *, seed: int
) -> Outcome:
    """P of nets with permuted weights must be that of re-initialised ones.

    Args:
        permuted: per method (n, number of permuted nets). reinit: per method (n, K).
    """
    what = f"P(permuted weights) minus P(re-initialised) must lie within +-{DELTA}"
    mean = {m: nanmean(permuted[m]) for m in DECIDING}
    intervals = {m: bootstrap(mean[m], clusters, baseline=reinit[m], seed=seed) for m in DECIDING}
    return _by_method("weight permutation", what, intervals)


def twin_control(p: Table | None, clusters: Sequence[str], *, seed: int) -> Outcome:
    """The depth-1 twin has no temporal convolution and must have no positional part."""
    if p is None:
        return Control("2D twin", "undetermined", "No twin was given."), {}
    intervals = {m: bootstrap(p[m], clusters, seed=seed) for m in DECIDING}
    return _by_method("2D twin", f"P of the twin must lie within +-{DELTA}", intervals)


def randomisation_control(similarity: Table, clusters: Sequence[str], *, seed: int) -> Outcome:
    """With all layers random the map must have changed.

    Args:
        similarity: per method (n,), to the original at full depth, paths taken off.
    """

    def judge(_: str, interval: Interval) -> Status:
        if interval.high < MAX_SIMILARITY:
            return "right"
        return "wrong" if interval.low > MAX_SIMILARITY else "undetermined"

    what = f"similarity beyond paths, with every layer random, must be below {MAX_SIMILARITY}"
    intervals = {m: bootstrap(similarity[m], clusters, seed=seed) for m in DECIDING}
    return _by_method("weight randomisation", what, intervals, judge)


def perturbation_control(
    trained: npt.ArrayLike,
    reinit: npt.ArrayLike,
    clusters: Sequence[str],
    effects: Mapping[str, Effect],
    *,
    seed: int,
) -> Outcome:
    """P without any back-projection must not contradict T.

    Args:
        trained, reinit: (n,) P of the perturbation curves; n windows.
    """
    difference = np.asarray(trained, np.float64) - np.asarray(reinit, np.float64)
    interval = bootstrap(difference, clusters, seed=seed)
    says = by_statistic(effects)
    status: Status = "right"
    if math.isnan(interval.low):
        status = "undetermined"
    elif (says == "supported" and interval.high < 0) or (says == "refuted" and interval.low > 0):
        status = "wrong"
    control = Control(
        "perturbation",
        status,
        f"P without back-projection, trained minus re-initialised: {interval}; T alone reads "
        f"{says}, which it must not contradict.",
    )
    return control, {"no back-projection": interval}
