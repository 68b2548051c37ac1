"""A, M, E, C, P and K on arrays: planted values, and everything that must stay undefined."""

from __future__ import annotations

import numpy as np
import pytest
from planted import RNG, as_map, full_size, moving_square

from c3d_viz.errors import ShapeError
from c3d_viz.finding.measure import curves as m
from c3d_viz.finding.measure.contrasts import (
    contrast,
    parts,
)
from c3d_viz.finding.measure.stimulus import stimulus


def test_planted_maps_are_recovered() -> None:
    """A map made of S alone: A = 1-like and M = 0-like; made of D alone: the other way round."""
    s = stimulus(moving_square(1, 15))
    for source, high, low in ((s.S, "A", "M"), (s.D, "M", "A")):
        weight = np.zeros((16, 112, 112))
        weight[1:15] = full_size(source)
        c = m.curves(as_map(weight), s)
        assert np.nanmin(getattr(c, high)) > 0.85
        assert abs(np.nanmean(getattr(c, low))) < 0.45  # blur of the blocks leaves some
        assert np.nanmean(getattr(c, high)) > np.nanmean(getattr(c, low)) + 0.5


@pytest.mark.parametrize("motion_later", [True, False])
def test_positive_controls_have_the_right_sign(motion_later: bool) -> None:
    """An observer that sees structure, and the moving thing as soon as it moves: K has its sign."""
    first, last = (8, 15) if motion_later else (1, 7)
    signs = []
    for seed in range(3):
        s = stimulus(moving_square(first, last, seed))
        weight = np.zeros((16, 112, 112))
        weight[1:15] = full_size(s.S / s.S.mean() + 2 * s.D / s.D.mean())
        forward = contrast(m.curves(as_map(weight), s).delta)
        backward = contrast(m.curves(as_map(weight[::-1]), s.reversed()).delta)
        p, k = parts(forward, backward)
        assert p[0] == pytest.approx(0, abs=1e-9)  # this observer has no favourite position
        signs.append(k[0])
    assert all(k > 0.1 for k in signs) if motion_later else all(k < -0.1 for k in signs)


def test_positional_part_is_recovered() -> None:
    """An observer that looks at S in the first half and at D in the second, whatever is shown."""
    s = stimulus(moving_square(1, 15))
    for order in (s, s.reversed()):
        weight = np.zeros((16, 112, 112))
        weight[1:8], weight[8:15] = full_size(order.S[:7]), full_size(order.D[7:])
        c = contrast(m.curves(as_map(weight), order).delta)
        assert c[0] > 1.0
    p, k = parts([1.5], [1.1])
    assert p[0] == pytest.approx(1.3)
    assert k[0] == pytest.approx(0.2)


def test_energy_is_a_share() -> None:
    weight = np.zeros((16, 112, 112))
    weight[3], weight[9] = 1.0, 3.0
    c = m.curves(as_map(weight), stimulus(moving_square(1, 15)))
    assert c.E[0, 3] == pytest.approx(0.25)
    assert c.E[0, 9] == pytest.approx(0.75)
    assert c.E.sum() == pytest.approx(1.0)


def reasons(codes: np.ndarray) -> set[str]:
    return {m.REASONS[code] for code in codes[0, 1:15]}


def test_undefined_is_said() -> None:
    moving, noise = stimulus(moving_square(1, 15)), RNG(0).uniform(size=(16, 112, 112))
    black = stimulus(np.zeros((16, 112, 112, 3), np.uint8))
    frozen = stimulus(np.repeat(moving_square(1, 15)[:1], 16, axis=0))

    constant = m.curves(as_map(np.ones((16, 112, 112))), moving)
    assert reasons(constant.why_a) == reasons(constant.why_m) == {m.REASONS[m.NO_MAP]}
    assert np.isnan(constant.A).all()
    assert np.isnan(contrast(constant.delta)).all()

    zero = m.curves(as_map(np.zeros((16, 112, 112))), moving)
    assert reasons(zero.why_a) == {m.REASONS[m.NO_MAP]}
    assert np.isnan(zero.E).all()

    dark = m.curves(as_map(noise), black)
    assert reasons(dark.why_a) == {m.REASONS[m.NO_TEXTURE]}
    assert reasons(dark.why_m) == {m.REASONS[m.NO_MOTION]}
    assert np.isnan(dark.delta).all()

    still = m.curves(as_map(noise), frozen)
    assert reasons(still.why_a) == {"defined"}  # nothing to take off: plain Spearman
    assert reasons(still.why_m) == {m.REASONS[m.NO_MOTION]}
    assert np.isfinite(still.E).all()

    noise[4, 0, 0] = np.nan
    broken = m.curves(as_map(noise), moving)
    assert m.REASONS[broken.why_a[0, 4]] == m.REASONS[m.NOT_FINITE]
    assert np.isnan(broken.A[0, 4])
    assert np.isnan(broken.E).all()  # a share of what?
    assert np.isfinite(broken.A[0, 5])

    assert (still.why_a[0, [0, 15]] == m.BORDER).all()


def test_many_units_are_the_same_as_one_by_one() -> None:
    s = stimulus(moving_square(1, 15))
    maps = RNG(0).normal(size=(3, 3, 16, 112, 112)).astype(np.float32)
    together = m.curves(maps, s)
    for u in range(3):
        alone = m.curves(maps[u], s)
        np.testing.assert_array_equal(together.A[u], alone.A[0])
        np.testing.assert_array_equal(together.M[u], alone.M[0])


def test_wrong_sizes_are_refused() -> None:
    s = stimulus(moving_square(1, 15))
    with pytest.raises(ShapeError, match=r"must be \(units, 3, 16, 112, 112\)"):
        m.curves(np.zeros((1, 3, 8, 112, 112)), s)
    with pytest.raises(ShapeError, match="uint8"):
        stimulus(np.zeros((16, 112, 112, 3)))
    with pytest.raises(ShapeError, match="even number"):
        stimulus(np.zeros((7, 112, 112, 3), np.uint8))
