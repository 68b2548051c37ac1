"""Ranks and partial correlations: scipy as oracle, cases by hand, what stays undefined."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import scipy.stats

from c3d_viz.stats import ranks as rankstats
from c3d_viz.stats.ranks import blur_and_sample

RNG = np.random.default_rng


def test_ranks_are_scipys() -> None:
    values = RNG(0).integers(0, 6, (3, 4, 50)).astype(float)
    expected = scipy.stats.rankdata(values, axis=-1) - 1
    np.testing.assert_array_equal(rankstats.ranks(values), expected)


def test_partial_spearman_by_regression() -> None:
    """Oracle: rank with scipy, regress out the third by least squares, correlate the residuals."""
    g = RNG(1)
    c = g.normal(size=(5, 200))
    a, b = c + g.normal(size=c.shape), -c + g.normal(size=c.shape)
    got = rankstats.partial_spearman(a, b, c)
    for row in range(5):
        ra, rb, rc = (scipy.stats.rankdata(v[row]) for v in (a, b, c))
        design = np.stack([rc, np.ones_like(rc)], 1)
        rest = [r - design @ np.linalg.lstsq(design, r, rcond=None)[0] for r in (ra, rb)]
        assert got[row] == pytest.approx(np.corrcoef(*rest)[0, 1], abs=1e-12)


def test_partial_spearman_by_hand() -> None:
    # ranks 1234, 1243, 2134: r_ab = 0.8, r_ac = 0.8, r_bc = 0.6
    got = rankstats.partial_spearman(
        np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 4, 3]), np.array([2.0, 1, 3, 4])
    )
    assert got == pytest.approx((0.8 - 0.8 * 0.6) / np.sqrt((1 - 0.64) * (1 - 0.36)))


def test_partial_spearman_with_a_constant_third_is_spearman() -> None:
    a, b = RNG(2).normal(size=(2, 100))
    expected = scipy.stats.spearmanr(a, b).statistic
    assert rankstats.partial_spearman(a, b, np.ones(100)) == pytest.approx(expected)


def test_partial_spearman_undefined() -> None:
    a, b = RNG(3).normal(size=(2, 60))
    broken = a.copy()
    broken[5] = np.nan
    for args in ((np.ones(60), b, a), (a, np.ones(60), b), (broken, b, a), (a, b, a)):
        assert np.isnan(rankstats.partial_spearman(*args))


def test_blur_and_sample_is_opencvs_blur() -> None:
    image = RNG(4).uniform(size=(112, 112))
    blurred = cv2.GaussianBlur(image, (17, 17), 2.0)[2::4, 2::4]
    got = blur_and_sample(image).reshape(28, 28)
    np.testing.assert_allclose(got[2:-2, 2:-2], blurred[2:-2, 2:-2], rtol=1e-6)
    np.testing.assert_allclose(blur_and_sample(np.full((112, 112), 3.0)), 3.0)
    assert (blur_and_sample(np.zeros((5, 112, 112))) == 0).all()
