"""From P per clip to an interval and a verdict (docs/finding.md, 2). Plain arrays, no network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..stats import Floats, nanmean

Answer = Literal["supported", "refuted", "inconclusive", "invalid"]
Status = Literal["right", "wrong", "undetermined"]

RESAMPLES = 10_000
LEVEL = 0.95
DELTA = 0.05  # smallest effect of interest, in units of Delta = M - A
MIN_REINIT = 10
DECIDING = ("gradient", "guided")


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % cluster bootstrap interval. Numbers are NaN when there is no data.

    Attributes:
        value: mean over videos of the videos' means.
        low, high: ends of the interval.
        error: standard error, the spread of the resampled means.
        clusters: number of source videos with a defined value.
        clips: number of clips with a defined value.
    """

    value: float
    low: float
    high: float
    error: float
    clusters: int
    clips: int

    @property
    def detectable(self) -> float:
        """Smallest effect the sample could show with 80 % power at the 5 % level."""
        return (NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)) * self.error


@dataclass(frozen=True)
class Effect:
    """T under one method.

    Attributes:
        T: P(trained) - mean P(re-initialised), with its interval.
        share_positive: share of clips whose P (trained) is above 0.
        reinit_means: mean P of every re-initialised network.
        trained_mean: mean P of the trained network.
        false_alarms: how many re-initialised networks, each taken for the trained one against
            the others, have an interval above 0.
    """

    T: Interval
    share_positive: float
    reinit_means: tuple[float, ...]
    trained_mean: float
    false_alarms: int

    @property
    def above_all(self) -> bool:
        """The trained network's mean P is larger than that of every re-initialised one."""
        return all(self.trained_mean > mean for mean in self.reinit_means)


@dataclass(frozen=True)
class Control:
    """One control and how it came out."""

    name: str
    status: Status
    says: str  # one sentence with the numbers


@dataclass(frozen=True)
class Verdict:
    """The answer, the sentence for people, and the reasons one by one."""

    answer: Answer
    sentence: str
    reasons: tuple[str, ...]


def student_quantile(p: float, freedom: int) -> float:
    """Quantile of Student's t by the Cornish-Fisher series; within 1 % from 4 degrees on."""
    z, v = NormalDist().inv_cdf(p), freedom
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + first / v + second / v**2 + third / v**3 + fourth / v**4


def expanded_level(clusters: int, level: float = LEVEL) -> float:
    """Lower percentile (0-1) that gives ``level`` coverage with few clusters.

    Hesterberg 2015: Phi(-sqrt(n / (n - 1)) t), because bootstrap means spread too little by
    sqrt((n - 1) / n) and have normal, not Student tails.
    """
    if clusters < 2:
        return math.nan
    t = student_quantile(1 - (1 - level) / 2, clusters - 1)
    return NormalDist().cdf(-math.sqrt(clusters / (clusters - 1)) * t)


def cluster_means(
    values: npt.ArrayLike, clusters: Sequence[str]
) -> tuple[Floats, tuple[str, ...], int]:
    """Mean of every cluster's defined values: (n, ...) -> (clusters, ...).

    Clips with an undefined value drop out; clusters without a defined one too.

    Returns:
        means, names of the clusters in order of appearance, number of clips that counted.
    """
    array = np.asarray(values, np.float64)
    defined = np.asarray(np.isfinite(array).reshape(len(array), -1).all(1))
    names = tuple(dict.fromkeys(n for n, ok in zip(clusters, defined, strict=True) if ok))
    label = np.asarray(clusters)
    means = [array[(label == name) & defined].mean(0) for name in names]
    return np.asarray(means).reshape(len(names), *array.shape[1:]), names, int(defined.sum())


def draws(n: int, resamples: int, generator: np.random.Generator) -> Floats:
    """(resamples, n): how often each of n things is drawn, divided by n."""
    picked = generator.integers(0, n, (resamples, n))
    flat = picked + n * np.arange(resamples)[:, None]
    return np.bincount(flat.ravel(), minlength=resamples * n).reshape(resamples, n) / n


def bootstrap(
    values: npt.ArrayLike,
    clusters: Sequence[str],
    *,
    baseline: npt.ArrayLike | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Mean over clusters with its cluster bootstrap interval.

    Args:
        values: (n,) one number a clip, NaN where undefined.
        clusters: n names, the source video of every clip.
        baseline: (n, K) the same number under K baseline networks. Their mean is taken off, clip
            by clip; clips and networks are resampled. An undefined entry is replaced by the mean
            of the clip's others; a clip without any drops out.
        seed: of the resampling.
    """
    own = np.asarray(values, np.float64)[:, None]
    table = own if baseline is None else np.concatenate([own, _filled(baseline)], 1)
    means, names, clips = cluster_means(table, clusters)
    n = len(names)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, math.nan, 0, 0)
    value = float(means[:, 0].mean() - (means[:, 1:].mean() if baseline is not None else 0.0))
    if n == 1:
        return Interval(value, math.nan, math.nan, math.nan, 1, clips)
    generator = np.random.default_rng(seed)
    per_video = draws(n, resamples, generator) @ means  # (resamples, 1 + K)
    resampled = per_video[:, 0]
    if baseline is not None:
        weights = draws(means.shape[1] - 1, resamples, generator)
        resampled = resampled - (per_video[:, 1:] * weights).sum(1)
    tail = expanded_level(n)
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(value, float(low), float(high), float(resampled.std(ddof=1)), n, clips)


def _filled(baseline: npt.ArrayLike) -> Floats:
    table = np.asarray(baseline, np.float64)
    return np.where(np.isfinite(table), table, nanmean(table)[:, None])


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
        one = bootstrap(table[:, k], clusters, baseline=others, seed=seed, resamples=2000)
        alarms += one.low > 0
    return Effect(
        bootstrap(p, clusters, baseline=table, seed=seed, resamples=resamples),
        float((defined > 0).mean()) if defined.size else math.nan,
        tuple(_mean_of_clusters(table[:, k], clusters) for k in range(table.shape[1])),
        _mean_of_clusters(p, clusters),
        alarms,
    )


def _mean_of_clusters(values: Floats, clusters: Sequence[str]) -> float:
    means, names, _ = cluster_means(values, clusters)
    return float(means.mean()) if names else math.nan


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
    open_ = [c for c in controls if c.status == "undetermined"]
    reasons += [f"Control {c.name} came out wrong: {c.says}" for c in wrong]
    reasons += [f"Control {c.name} is undetermined: {c.says}" for c in open_]
    if wrong:
        names = ", ".join(c.name for c in wrong)
        count = "a control" if len(wrong) == 1 else f"{len(wrong)} controls"
        sentence = (
            f"Invalid: {count} came out wrong ({names}), so this run says nothing about "
            f'"appearance first, then motion"; T alone would have read {answer}.'
        )
        return Verdict("invalid", sentence, tuple(reasons))
    if open_ and answer != "inconclusive":
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
        f"{method}: T = {e.T.value:+.3f} [{e.T.low:+.3f}, {e.T.high:+.3f}] over {e.T.clusters} "
        f"videos; P > 0 on {e.share_positive:.0%} of the clips; {rank} of "
        f"{len(e.reinit_means)} untrained networks have a P at least as large; smallest effect "
        f"that could have been shown {e.T.detectable:.3f}."
    )
