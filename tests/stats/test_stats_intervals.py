"""Intervals: hand-computed cases, scipy as oracle."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from c3d_viz import stats as st
from c3d_viz.stats import bootstrap

VIDEOS = [f"v{i}" for i in range(20)]


@pytest.mark.parametrize("freedom", [4, 5, 9, 19, 60])
def test_student_quantile_is_scipys(freedom: int) -> None:
    for p in (0.9, 0.95, 0.975):
        expected = scipy.stats.t.ppf(p, freedom)
        assert st.student_quantile(p, freedom) == pytest.approx(expected, rel=0.01)


def test_expanded_level_by_hand() -> None:
    # n = 2: t(0.975, 1) = 12.7 is far out of the series; n = 10 by the formula with scipy's t
    t = scipy.stats.t.ppf(0.975, 9)
    assert st.expanded_level(10) == pytest.approx(
        scipy.stats.norm.cdf(-math.sqrt(10 / 9) * t), rel=0.02
    )
    assert st.expanded_level(10**6) == pytest.approx(0.025, rel=1e-3)
    assert math.isnan(st.expanded_level(1))


def test_cluster_means_weigh_every_video_the_same() -> None:
    means, names, clips = st.cluster_means([1, 3, 10, np.nan, np.nan], ["a", "a", "b", "b", "c"])
    assert names == ("a", "b")
    assert means.tolist() == [2, 10]
    assert clips == 3


def test_bootstrap_agrees_with_scipy() -> None:
    values = np.random.default_rng(3).gamma(2.0, size=25)
    ours = bootstrap(values, [str(i) for i in range(25)], seed=1)
    tail = st.expanded_level(25)
    theirs = scipy.stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=20_000,
        confidence_level=1 - 2 * tail,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    assert ours.value == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.02)
    assert ours.error == pytest.approx(values.std() / 5, rel=0.05)
    assert ours.detectable == pytest.approx(2.8016 * ours.error, rel=1e-4)


def test_bootstrap_of_two_clusters_by_hand() -> None:
    # the resampled mean is 0, 1 or 2 with chances 1/4, 1/2, 1/4
    got = bootstrap([0.0, 2.0], ["a", "b"])
    assert (got.value, got.low, got.high) == (1.0, 0.0, 2.0)
    assert got.error == pytest.approx(math.sqrt(0.5), rel=0.03)


def test_windows_of_one_video_are_not_independent() -> None:
    videos = np.random.default_rng(0).normal(size=8)
    once = bootstrap(videos, VIDEOS[:8])
    often = bootstrap(np.repeat(videos, 10), list(np.repeat(VIDEOS[:8], 10)))
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
    assert often.clips == 80
    assert often.clusters == 8


def test_baseline_is_paired_and_its_networks_are_resampled() -> None:
    clip = np.random.default_rng(0).normal(0, 1, 20)
    table = np.stack([clip + 0.1, clip - 0.1], 1)  # two networks, both follow the clip
    got = bootstrap(clip + 0.5, VIDEOS, baseline=table)
    assert got.value == pytest.approx(0.5)
    # clips cancel exactly; what is left is the draw of networks: -0.1, 0 or 0.1
    assert (got.low, got.high) == pytest.approx((0.4, 0.6))


def test_undefined_clips_drop_out_and_gaps_in_the_baseline_are_filled() -> None:
    table = np.array([[1.0, np.nan], [np.nan, np.nan], [2.0, 4.0], [0.0, 0.0]])
    got = bootstrap([2.0, 9.0, 4.0, np.nan], list("abcd"), baseline=table)
    assert got.clusters == 2
    assert got.value == pytest.approx(1.0)  # (2 - 1 + 4 - 3) / 2
    nothing = bootstrap([np.nan], ["a"])
    assert math.isnan(nothing.value)
    assert nothing.clusters == 0
    assert math.isnan(bootstrap([1.0], ["a"]).low)


def test_same_seed_same_interval() -> None:
    values = np.random.default_rng(0).normal(size=20)
    assert bootstrap(values, VIDEOS, seed=5) == bootstrap(values, VIDEOS, seed=5)
    assert bootstrap(values, VIDEOS, seed=5) != bootstrap(values, VIDEOS, seed=6)
