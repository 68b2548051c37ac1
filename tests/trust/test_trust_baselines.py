"""Maps that no network made."""

from __future__ import annotations

import numpy as np

from c3d_viz.trust import BASELINES


def scene(pan: int) -> np.ndarray:
    """A square that moves right by 3 pixels a frame over a textured scene that pans."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(40, 200, (34, 34, 3)).astype(np.uint8)
    wide = np.kron(coarse, np.ones((4, 4, 1), np.uint8))  # 136 x 136
    frames = np.stack([wide[10:106, 10 + pan * t : 106 + pan * t] for t in range(8)])
    for t in range(8):
        frames[t, 40:52, 20 + 3 * t : 32 + 3 * t] = 255
    return frames


def test_the_moving_square_is_found_and_the_camera_is_not() -> None:
    masks = np.zeros((8, 96, 96), bool)
    for t in range(8):
        masks[t, 36:56, 14 + 3 * t : 38 + 3 * t] = True  # the square and where it was and will be
    for pan in (0, 2):
        frames = scene(pan)
        for name, least in (("frame difference", 0.5), ("optical flow", 0.3)):
            importance = BASELINES[name](frames, 0)
            assert importance.shape == (8, 96, 96)
            assert importance.min() >= 0
            inner = np.s_[:, 8:-8, 8:-8]  # what comes into the picture at its edge is new
            share = importance[inner][masks[inner]].sum() / importance[inner].sum()
            assert share > least, (pan, name, share)


def test_what_comes_into_the_picture_does_not_count_as_moved() -> None:
    frames = scene(2)
    frames[:] = np.stack([np.roll(scene(0)[0], -2 * t, axis=1) for t in range(8)])
    moved = BASELINES["frame difference"](frames, 0)
    # each of these columns was out of sight in one neighbour, and is the same in the other
    assert moved[1:-1, :, :2].mean() < 0.1 * np.abs(np.diff(frames.astype(float), axis=0)).mean()


def test_a_still_clip_has_no_motion() -> None:
    frames = np.repeat(scene(0)[:1], 6, 0)
    assert BASELINES["frame difference"](frames, 0).max() == 0
    assert BASELINES["optical flow"](frames, 0).mean() < 0.05  # the flow is wrong at edges


def test_the_others() -> None:
    frames = scene(0)
    noise = BASELINES["random"](frames, 3)
    assert np.array_equal(noise, BASELINES["random"](frames, 3))
    assert not np.array_equal(noise, BASELINES["random"](frames, 4))
    middle = BASELINES["centre"](frames, 0)
    assert np.unravel_index(middle[0].argmax(), (96, 96)) in {(47, 47), (47, 48), (48, 47)}
    assert np.array_equal(middle[0], middle[7])
    assert np.allclose(middle[0][48 - 24 - 1, 47] / middle[0].max(), np.exp(-0.5), atol=0.02)
    ramp = np.repeat(np.arange(0, 96, dtype=np.uint8)[None, None, :, None], 3, 3)
    ramp = np.repeat(np.repeat(ramp, 96, 1), 2, 0)
    assert np.allclose(BASELINES["edges"](ramp, 0), 1.0)
