"""What is there and what moves: known camera motions, planted objects, duplicate frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from planted import moving_square, texture

from c3d_viz.clips import camera_motion
from c3d_viz.finding.measure.stimulus import duplicate_pairs, stimulus


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
