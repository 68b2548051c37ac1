"""Measures on arrays: scipy as oracle, planted values, and everything that must stay undefined."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import scipy.stats

from c3d_viz.errors import ShapeError
from c3d_viz.finding import measures as m
from c3d_viz.finding.stimulus import camera_motion, duplicate_pairs, stimulus
from c3d_viz.stats import ranks as rankstats
from c3d_viz.stats.ranks import blur_and_sample

RNG = np.random.default_rng


def texture(height: int = 200, width: int = 200, seed: int = 0) -> np.ndarray:
    """Smooth coloured noise, uint8."""
    noise = RNG(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 2.0)
    soft = (soft - soft.mean()) / soft.std() * 45 + 120
    return np.clip(soft, 0, 255).astype(np.uint8)


def moving_square(first: int, last: int, seed: int = 0, noise: float = 2.0) -> np.ndarray:
    """(16, 112, 112, 3): a textured square that moves 3 px a frame during frames first..last."""
    back, thing = texture(112, 112, seed), texture(30, 30, seed + 1)
    g = RNG(seed + 2)
    frames, x = [], 20
    for t in range(16):
        x += 3 if first <= t <= last else 0
        frame = back.copy()
        frame[40:70, x : x + 30] = thing
        frames.append(np.clip(frame + g.normal(0, noise, frame.shape), 0, 255))
    return np.stack(frames).astype(np.uint8)


def as_map(weight: np.ndarray) -> np.ndarray:
    """(T, H, W) magnitudes as a signed back-projection (1, 3, T, H, W)."""
    signs = np.array([1, -1, 1], np.float32)[:, None, None, None]
    return (weight[None] * signs / 3)[None].astype(np.float32)


def full_size(sampled: np.ndarray) -> np.ndarray:
    """(F, 784) sample points as (F, 112, 112) blocks: a map that follows them."""
    return np.kron(sampled.reshape(-1, 28, 28), np.ones((1, 4, 4)))


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


def test_camera_motion_recovers_a_known_similarity() -> None:
    big = cv2.cvtColor(texture(), cv2.COLOR_RGB2GRAY)
    angle, zoom = np.radians(3.0), 1.03
    a = zoom * np.exp(1j * angle)
    centre = 55.5 + 55.5j
    b = centre + (2.5 - 1.5j) - a * centre
    first = big[44:156, 44:156].copy()
    # second(z) = first at the place that moved to z: sample big at 44 + (z - b) / a
    y, x = np.mgrid[:112, :112]
    place = (x + 1j * y - b) / a + 44 + 44j
    second = cv2.remap(big, place.real.astype("f4"), place.imag.astype("f4"), cv2.INTER_LINEAR)
    got_a, got_b = camera_motion(first, second)
    for corner in (0j, 111 + 0j, 111j, 111 + 111j):
        assert abs(got_a * corner + got_b - (a * corner + b)) < 0.3
    assert camera_motion(first, first) == (1, 0)
    blank = np.zeros((112, 112), np.uint8)
    assert camera_motion(blank, blank) == (1, 0)


def test_panning_over_a_still_scene_leaves_little_motion() -> None:
    scene = texture(160, 220)
    pan = np.stack([scene[20:132, 10 + 3 * t : 122 + 3 * t] for t in range(16)])
    still = stimulus(pan)
    assert still.camera == pytest.approx(np.full(15, 3.0), abs=0.1)
    raw = np.abs(pan[2].astype(float) - pan[0]).sum(-1).mean()
    assert still.D[still.valid].mean() < 0.05 * raw
    assert 0.9 < still.valid.mean() < 1  # the uncovered edge is left out


def test_motion_is_where_the_object_is_and_only_while_it_moves() -> None:
    s = stimulus(moving_square(8, 15))
    assert s.frames == tuple(range(1, 15))
    d = s.D.reshape(14, 28, 28)
    inside, outside = d[:, 11:16].mean((1, 2)), d[:, 22:].mean((1, 2))
    assert (inside[7:] > 5 * outside[7:]).all()  # frames 8..14
    assert (inside[:6] < 1.2 * outside[:6]).all()  # frames 1..6: noise alone
    assert (s.camera == 0).all()


def test_reversed_clip_mirrors_texture_and_motion() -> None:
    pan = np.stack([texture(160, 220)[20:132, 10 + 2 * t : 122 + 2 * t] for t in range(16)])
    pan[:, 40:70, 40:70] = texture(30, 30, 5)  # an object that keeps its place
    once, again = stimulus(pan).reversed(), stimulus(pan[::-1].copy())
    np.testing.assert_allclose(again.D, once.D, atol=1e-3 * once.D.max())
    np.testing.assert_array_equal(again.S, once.S)
    np.testing.assert_array_equal(again.valid, once.valid)


def test_duplicate_frames_make_the_lag_two() -> None:
    clip = moving_square(1, 15, noise=1.0)
    assert not duplicate_pairs(clip).any()
    assert stimulus(clip).lag == 1
    clip[5], clip[11] = clip[4], clip[10]
    assert duplicate_pairs(clip).nonzero()[0].tolist() == [4, 10]
    twice = stimulus(clip)
    assert (twice.lag, twice.duplicates, twice.frames) == (2, 2, tuple(range(2, 14)))


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
        forward = m.contrast(m.curves(as_map(weight), s).delta)
        backward = m.contrast(m.curves(as_map(weight[::-1]), s.reversed()).delta)
        p, k = m.parts(forward, backward)
        assert p[0] == pytest.approx(0, abs=1e-9)  # this observer has no favourite position
        signs.append(k[0])
    assert all(k > 0.1 for k in signs) if motion_later else all(k < -0.1 for k in signs)


def test_positional_part_is_recovered() -> None:
    """An observer that looks at S in the first half and at D in the second, whatever is shown."""
    s = stimulus(moving_square(1, 15))
    for order in (s, s.reversed()):
        weight = np.zeros((16, 112, 112))
        weight[1:8], weight[8:15] = full_size(order.S[:7]), full_size(order.D[7:])
        c = m.contrast(m.curves(as_map(weight), order).delta)
        assert c[0] > 1.0
    p, k = m.parts([1.5], [1.1])
    assert p[0] == pytest.approx(1.3)
    assert k[0] == pytest.approx(0.2)


def test_contrast_by_hand() -> None:
    delta = np.full(16, np.nan)
    delta[1:8], delta[8:15] = 0.1, 0.4
    assert m.contrast(delta) == pytest.approx(0.3)
    delta[1:4] = np.nan
    assert m.contrast(delta) == pytest.approx(0.3)  # four values left
    delta[4] = np.nan
    assert np.isnan(m.contrast(delta))
    delta[[0, 15]] = 9.0  # border frames never count
    assert np.isnan(m.contrast(delta))


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
    assert np.isnan(m.contrast(constant.delta)).all()

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
