"""Maps against masks, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from c3d_viz.errors import ShapeError
from c3d_viz.trust import localisation


def test_by_hand() -> None:
    masks = np.zeros((3, 20, 20), bool)
    masks[0, 2:6, 2:6] = True  # 16 pixels
    masks[1, 2:6, 2:6] = True  # the last frame has no object and does not count
    importance = np.zeros(masks.shape)
    importance[0, 2:6, 2:4] = 3.0  # half of the object: 24 of 32
    importance[0, 15, 8:16] = 1.0  # eight pixels elsewhere
    importance[1, 18, 18] = 1.0  # a miss
    importance[2] = 1.0
    found = localisation(importance, masks)
    assert found.share == pytest.approx((24 / 32 + 0) / 2)
    assert found.pointing == 0.5
    # 16 strongest of the first frame: 8 on the object, 8 off it; of the second: 1 marked at all
    assert found.iou == pytest.approx((8 / 24 + 0) / 2)
    assert found.area == pytest.approx(16 / 400)


def test_scale_changes_nothing_and_the_mask_itself_is_perfect() -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((2, 12, 12)) > 0.7
    importance = rng.random((2, 12, 12))
    assert localisation(importance, masks) == localisation(importance * 1024, masks)
    perfect = localisation(masks.astype(float), masks)
    assert (perfect.share, perfect.iou) == (1, 1)


def test_an_empty_frame_is_a_miss_without_a_share() -> None:
    masks = np.ones((2, 8, 8), bool)
    importance = np.zeros((2, 8, 8))
    importance[0, 3, 3] = 1.0
    found = localisation(importance, masks)
    assert (found.share, found.pointing) == (1.0, 0.5)
    assert np.isnan(localisation(importance * 0, masks).share)


def test_what_is_zero_is_not_marked_where_the_mask_has_more_pixels_than_the_map() -> None:
    masks = np.zeros((1, 8, 8), bool)
    masks[0, 0, :4] = True  # the first pixels, as zeros come in the order of their places
    importance = np.zeros((1, 8, 8))
    importance[0, 5, 5] = 1.0
    assert localisation(importance, masks).iou == 0
    importance[0, 0, 0] = 0.5
    assert localisation(importance, masks).iou == pytest.approx(1 / 5)


@pytest.mark.parametrize(
    ("importance", "masks"),
    [
        (np.ones((2, 4, 4)), np.ones((2, 4, 5), bool)),
        (-np.ones((2, 4, 4)), np.ones((2, 4, 4), bool)),
        (np.full((2, 4, 4), np.nan), np.ones((2, 4, 4), bool)),
        (np.ones((2, 4, 4)), np.zeros((2, 4, 4), bool)),
        (np.ones((4, 4)), np.ones((4, 4), bool)),
    ],
)
def test_what_cannot_be_compared(importance: np.ndarray, masks: np.ndarray) -> None:
    with pytest.raises(ShapeError):
        localisation(importance, masks)
