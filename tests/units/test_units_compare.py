"""The rule against planted networks: more selective, less, alike."""

from __future__ import annotations

import numpy as np
import pytest

from c3d_viz.units import compare


def controls(n: int = 10, channels: int = 64) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.beta(2, 4, channels) for _ in range(n)]


def test_alike_is_not_told_apart() -> None:
    rng = np.random.default_rng(5)
    answers = [compare(rng.beta(2, 4, 64), controls()).answer for _ in range(6)]
    assert answers.count("not told apart") >= 5


def test_more_and_less() -> None:
    rng = np.random.default_rng(2)
    more = compare(rng.beta(5, 3, 64), controls())
    assert (more.answer, more.channels) == ("more", 64)
    assert more.low > 0.05
    assert more.low < more.share < more.high
    assert more.difference_low < more.difference < more.difference_high
    assert more.share > max(more.control_shares)
    assert np.mean(more.control_shares) == pytest.approx(0.05, abs=0.03)
    assert len(more.control_shares) == len(more.control_medians) == 10
    less = compare(rng.beta(2, 12, 64), controls())
    assert less.answer == "less"
    assert less.difference_high < 0


def test_threshold_and_share_by_hand() -> None:
    others = [np.arange(0, 50) / 100, np.arange(50, 101) / 100]
    row = compare(np.array([0.1, 0.96, 0.94, 0.99, np.nan]), others)
    assert row.threshold == pytest.approx(0.95)
    assert row.share == pytest.approx(2 / 4)
    assert row.channels == 4
    assert row.median == pytest.approx(0.95)
    assert row.control_medians == pytest.approx((0.245, 0.75))
    assert row.control_shares == (0.0, 1.0)


def test_one_wild_untrained_network_forbids_the_verdict() -> None:
    own = np.r_[np.full(44, 0.3), np.full(20, 0.99)]
    assert compare(own, controls()).answer == "more"
    # four in ten of its channels lie beyond the others' 95 %, three in ten here
    wild = [*controls()[:-1], np.r_[np.full(38, 0.3), np.full(26, 0.9)]]
    row = compare(own, wild)
    assert row.low > 0.05
    assert max(row.control_shares) > row.share
    assert row.answer == "not told apart"


def test_silent_layers_are_undefined() -> None:
    silent = np.full(8, np.nan)
    assert compare(silent, controls()).answer == "undefined"
    assert compare(np.ones(8), [silent, controls()[0]]).answer == "undefined"
    assert compare(np.ones(8), []).answer == "undefined"


def test_the_same_seed_gives_the_same_interval() -> None:
    own = np.random.default_rng(3).beta(3, 3, 32)
    assert compare(own, controls()) == compare(own, controls())
    assert compare(own, controls()) != compare(own, controls(), seed=1)
