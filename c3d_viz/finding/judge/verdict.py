"""From P per clip to an interval and a verdict (docs/finding.md, 2). Plain arrays, no network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ...stats import RESAMPLES, Interval, bootstrap, mean_of_clusters
from ..types import DECIDING, DELTA, Answer, Control, Effect, Status, Verdict


def effect(
    trained: npt.ArrayLike,
    reinit: npt.ArrayLike,
    clusters: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Effect:
    """T of one method. trained: (n,) P of every clip; reinit: (n, K)."""
    p, table = np.asarray(trained, np.float64), np.asarray(reinit, np.float64)
    defined = p[np.isfinite(p)]
    alarms = 0
    for k in range(table.shape[1] if table.shape[1] > 1 else 0):
        others = np.delete(table, k, 1)
        interval = bootstrap(table[:, k], clusters, baseline=others, seed=seed, resamples=2000)
        alarms += interval.low > 0
    return Effect(
        bootstrap(p, clusters, baseline=table, seed=seed, resamples=resamples),
        float((defined > 0).mean()) if defined.size else math.nan,
        tuple(mean_of_clusters(table[:, k], clusters) for k in range(table.shape[1])),
        mean_of_clusters(p, clusters),
        alarms,
    )


def flat(interval: Interval, margin: float = DELTA) -> Status:
    """Equivalence: right within +-margin, wrong off 0 and not within, undetermined otherwise."""
    if math.isnan(interval.low):
        return "undetermined"
    if -margin <= interval.low and interval.high <= margin:
        return "right"
    return "wrong" if interval.low > 0 or interval.high < 0 else "undetermined"


def worst(statuses: Sequence[Status]) -> Status:
    """wrong before undetermined before right; nothing at all is undetermined."""
    if not statuses or "undetermined" in statuses:
        return "wrong" if "wrong" in statuses else "undetermined"
    return "wrong" if "wrong" in statuses else "right"


def by_statistic(effects: Mapping[str, Effect]) -> Answer:
    """The answer of T alone, under both deciding methods, before the controls have a say."""
    both = [effects[name] for name in DECIDING]
    if all(e.T.low > 0 and e.share_positive > 0.5 and e.above_all for e in both):
        return "supported"
    if all(e.T.high <= 0 for e in both):
        return "refuted"
    return "inconclusive"


def decide(effects: Mapping[str, Effect], controls: Sequence[Control]) -> Verdict:
    """The verdict of docs/finding.md, section 2."""
    answer = by_statistic(effects)
    reasons = [_sentence(name, effects[name]) for name in DECIDING]
    wrong = [c for c in controls if c.status == "wrong"]
    unsettled = [c for c in controls if c.status == "undetermined"]
    reasons += [f"Control {c.name} came out wrong: {c.says}" for c in wrong]
    reasons += [f"Control {c.name} is undetermined: {c.says}" for c in unsettled]
    if wrong:
        names = ", ".join(c.name for c in wrong)
        count = "a control" if len(wrong) == 1 else f"{len(wrong)} controls"
        sentence = (
            f"Invalid: {count} came out wrong ({names}), so this run says nothing about "
            f'"appearance first, then motion"; T alone would have read {answer}.'
        )
        return Verdict("invalid", sentence, tuple(reasons))
    if unsettled and answer != "inconclusive":
        reasons.insert(0, f"T alone reads {answer}, but a control could not be settled.")
        answer = "inconclusive"
    return Verdict(answer, _answer_sentence(answer, effects), tuple(reasons))


def _answer_sentence(answer: Answer, effects: Mapping[str, Effect]) -> str:
    if answer == "supported":
        return (
            "Supported: by position in the clip, the trained network moves from appearance to "
            "motion more than every untrained network does, under gradient and guided backprop."
        )
    if answer == "refuted":
        return (
            "Refuted: the trained network does not move from appearance to motion by position in "
            "the clip more than untrained networks do, under gradient and guided backprop."
        )
    needed = max(effects[name].T.detectable for name in DECIDING)
    power = (
        "the sample is too small to say what it could have shown"
        if math.isnan(needed)
        else f"the smallest effect the sample could have shown is {needed:.3f}"
    )
    return (
        "Inconclusive: the data do not tell whether the trained network moves from appearance to "
        f"motion by position in the clip more than untrained ones; {power}."
    )


def _sentence(method: str, e: Effect) -> str:
    rank = sum(e.trained_mean <= m for m in e.reinit_means)
    return (
        f"{method}: T = {e.T.value:+z.3f} [{e.T.low:+z.3f}, {e.T.high:+z.3f}] over {e.T.clusters} "
        f"videos; P > 0 on {e.share_positive:.0%} of the clips; {rank} of "
        f"{len(e.reinit_means)} untrained networks have a P at least as large; smallest effect "
        f"that could have been shown {e.T.detectable:.3f}."
    )
