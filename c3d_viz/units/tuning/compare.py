"""A trained network's indices against those of untrained ones: docs/units.md has the rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Answer = Literal["more", "less", "not told apart", "undefined"]

PERCENTILE = 95.0
CHANCE = 1 - PERCENTILE / 100
RESAMPLES = 2_000


@dataclass(frozen=True)
class Comparison:
    """One index of one layer. Numbers are NaN where nothing answers.

    Attributes:
        median: of the trained network's channels that are not silent; channels: how many.
        control_medians: of each untrained network.
        threshold: 95th percentile over the channels of all untrained networks.
        share: of the trained channels above it; low, high: its 95 % interval.
        control_shares: each untrained network's share against the others.
        difference: of medians, trained less untrained; difference_low, difference_high: interval.
        answer: "more", "less" or "not told apart", by the rule.
    """

    median: float
    channels: int
    control_medians: tuple[float, ...]
    threshold: float
    share: float
    low: float
    high: float
    control_shares: tuple[float, ...]
    difference: float
    difference_low: float
    difference_high: float
    answer: Answer


def compare(trained: Floats, controls: Sequence[Floats], *, seed: int = 0) -> Comparison:
    """Hold the values of an index (N,), NaN for silent channels, against the controls'.

    Args:
        controls: one array a network, at least two of them with channels that answer.
        seed: of the resampling.
    """
    own = trained[np.isfinite(trained)]
    others = [values[np.isfinite(values)] for values in controls]
    others = [values for values in others if values.size]
    medians = tuple(float(np.median(values)) for values in others)
    nan = math.nan
    if own.size == 0 or len(others) < 2:
        median = float(np.median(own)) if own.size else nan
        return Comparison(
            median, own.size, medians, nan, nan, nan, nan, (), nan, nan, nan, "undefined"
        )
    pooled = np.concatenate(others)
    threshold = float(np.percentile(pooled, PERCENTILE))
    share = float((own > threshold).mean())
    alone = tuple(
        float(
            (
                values > np.percentile(np.concatenate([*others[:k], *others[k + 1 :]]), PERCENTILE)
            ).mean()
        )
        for k, values in enumerate(others)
    )
    generator = np.random.default_rng(seed)
    shares, differences = np.empty(RESAMPLES), np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        drawn = own[generator.integers(0, own.size, own.size)]
        picked = np.concatenate(
            [others[k] for k in generator.integers(0, len(others), len(others))]
        )
        shares[i] = (drawn > np.percentile(picked, PERCENTILE)).mean()
        differences[i] = np.median(drawn) - np.median(picked)
    low, high = (float(v) for v in np.quantile(shares, [0.025, 0.975]))
    least, most = (float(v) for v in np.quantile(differences, [0.025, 0.975]))
    answer: Answer = "not told apart"
    if low > CHANCE and share > max(alone):
        answer = "more"
    elif most < 0:
        answer = "less"
    difference = float(np.median(own) - np.median(pooled))
    return Comparison(
        float(np.median(own)), own.size, medians, threshold, share, low, high, alone,
        difference, least, most, answer,
    )  # fmt: skip
