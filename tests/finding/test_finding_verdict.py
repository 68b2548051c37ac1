"""Effects and verdicts: simulated data sets."""

from __future__ import annotations

import math

import numpy as np
import pytest

from c3d_viz.finding.judge import verdict as v
from c3d_viz.finding.judge.verdict import decide, effect
from c3d_viz.finding.types import DECIDING, Control, Effect
from c3d_viz.stats import Interval

VIDEOS = [f"v{i}" for i in range(20)]


def simulated(seed: int, shift: float, agree: bool = True) -> dict[str, Effect]:
    """P of 20 clips under two methods: clip noise, network offsets, and a planted shift."""
    g = np.random.default_rng(seed)
    noise, nets = g.normal(0, 0.05, (20, 11)), g.normal(0, 0.005, 11)
    out = {}
    for method in DECIDING:
        own = g.normal(0, 0.005 if agree else 0.05, (20, 11))
        p = noise + nets + own
        out[method] = effect(p[:, 0] + shift, p[:, 1:], VIDEOS, seed=seed, resamples=1000)
    return out


RIGHT = [Control("frozen", "right", "M is undefined.")]


def test_planted_effect_is_supported_and_its_reverse_refuted() -> None:
    for seed in range(20):
        assert decide(simulated(seed, 0.2), RIGHT).answer == "supported"
        assert decide(simulated(seed, -0.2), RIGHT).answer == "refuted"


def test_noise_is_inconclusive_at_about_the_nominal_rate() -> None:
    """The two methods see nearly the same noise here, so 95 % is the rate of one interval."""
    sets = [simulated(seed, 0.0) for seed in range(200)]
    inside = np.mean([s["gradient"].T.low <= 0 <= s["gradient"].T.high for s in sets])
    assert 0.90 <= inside <= 0.99  # 95 % +- 3 standard errors of 200 draws
    answers = [decide(s, RIGHT).answer for s in sets]
    assert np.mean([a == "inconclusive" for a in answers]) >= 0.93
    assert np.mean([a == "supported" for a in answers]) <= 0.05


def test_the_rank_condition_stops_a_lucky_network() -> None:
    """Networks differ, clips do not: an interval over clips alone would always exclude 0."""
    g = np.random.default_rng(0)
    supported = 0
    for seed in range(40):
        nets = g.normal(0, 0.05, 11)
        p = nets + g.normal(0, 0.002, (20, 11))
        e = effect(p[:, 0] + 0.0, p[:, 1:], VIDEOS, seed=seed, resamples=500)
        supported += decide({m: e for m in DECIDING}, RIGHT).answer == "supported"
    assert supported <= 10  # 1 in 11 expected; without the condition about 30 %


def test_false_alarms_are_the_networks_whose_interval_lies_above_the_others() -> None:
    g = np.random.default_rng(3)
    alike = g.normal(0, 0.05, (20, 4))
    assert effect(alike.mean(1), alike, VIDEOS, resamples=200).false_alarms == 0
    alike[:, 2] += 1.0
    assert effect(alike.mean(1), alike, VIDEOS, resamples=200).false_alarms == 1
    assert effect(alike[:, 0], alike[:, :1], VIDEOS, resamples=200).false_alarms == 0


def test_both_methods_must_agree() -> None:
    good, bad = simulated(0, 0.2)["gradient"], simulated(0, -0.2)["guided"]
    assert decide({"gradient": good, "guided": bad}, RIGHT).answer == "inconclusive"


def test_more_than_half_of_the_clips_must_be_positive() -> None:
    for positive, answer in ((8, "inconclusive"), (10, "inconclusive"), (11, "supported")):
        p = np.full(20, -0.01)
        p[:positive] = 1.0
        e = effect(p, np.full((20, 10), -0.5), VIDEOS)
        assert e.T.low > 0
        assert e.share_positive == pytest.approx(positive / 20)
        assert decide({m: e for m in DECIDING}, RIGHT).answer == answer


def test_a_wrong_control_invalidates_whatever_the_statistic_says() -> None:
    wrong = [*RIGHT, Control("2D twin", "wrong", "P = 0.3.")]
    for shift in (0.2, 0.0, -0.2):
        verdict = decide(simulated(1, shift), wrong)
        assert verdict.answer == "invalid"
        assert "2D twin" in verdict.sentence
        assert any("P = 0.3" in reason for reason in verdict.reasons)


def test_an_undetermined_control_leaves_inconclusive() -> None:
    verdict = decide(simulated(1, 0.2), [Control("shuffled", "undetermined", "Too few clips.")])
    assert verdict.answer == "inconclusive"
    assert "supported" in verdict.reasons[0]


def test_an_inconclusive_verdict_names_the_smallest_effect() -> None:
    sets = simulated(2, 0.0)
    needed = max(e.T.detectable for e in sets.values())
    assert f"{needed:.3f}" in decide(sets, RIGHT).sentence


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [
        (-0.01, 0.02, "right"),
        (0.01, 0.02, "right"),  # off 0, but too small to matter
        (-0.1, 0.02, "undetermined"),
        (0.01, 0.2, "wrong"),
        (-0.2, -0.01, "wrong"),
        (math.nan, math.nan, "undetermined"),
    ],
)
def test_flat(low: float, high: float, status: str) -> None:
    assert v.flat(Interval(0.0, low, high, 0.01, 20, 20)) == status


def test_worst() -> None:
    assert v.worst(["right", "undetermined", "wrong"]) == "wrong"
    assert v.worst(["right", "undetermined"]) == "undetermined"
    assert v.worst(["right", "right"]) == "right"
    assert v.worst([]) == "undetermined"
