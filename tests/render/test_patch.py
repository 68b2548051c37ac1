"""Receptive fields cut out of a clip: where they lie, what is in them, and the strongest places."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import c3d_viz as viz
from c3d_viz.nets import ReceptiveField
from c3d_viz.render import Patch, cut, cut_throughout, patch_of, places

CLIP = (16, 112, 112)


@pytest.mark.parametrize("layer", ["conv1a", "conv3b"])
@pytest.mark.parametrize("at", [(0, 0, 0), (3, 9, 20), (7, 27, 27)])
def test_a_unit_sees_its_patch_and_nothing_else(layer: str, at: tuple[int, int, int]) -> None:
    compact, _ = viz.load_model("compact")
    x = torch.randn(1, 3, *CLIP, generator=torch.Generator().manual_seed(0))
    values = viz.attribute(compact, x, viz.Unit(layer, 3, at), "deconvnet").values
    patch = patch_of(viz.receptive_field(compact, layer), at, CLIP)
    left, top, wide, tall = (round(112 * share) for share in patch.box)
    inside = values[:, patch.frames, top : top + tall, left : left + wide]
    seen = np.abs(values).sum((0, 1)) > 0
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    assert [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1] == pytest.approx(
        [top, left, top + tall, left + wide], abs=2
    )
    assert np.abs(inside).sum() == pytest.approx(np.abs(values).sum(), rel=1e-6)
    assert patch.is_small


def test_a_patch_is_cut_at_its_place_and_grey_beyond_the_border() -> None:
    frames = np.zeros((4, 12, 20, 3), np.uint8)
    frames[2, 0:2, 18:20] = 200
    patch = Patch((1, -2, 16), (2, 4, 4), (4, 12, 20))
    out = cut(frames, patch, 8, smooth=False)
    assert out.shape == (2, 8, 8, 3)
    assert (out[:, :4] == 128).all()  # above the picture
    assert (out[1, 4:, 4:] == 200).all()
    assert (out[1, 4:, :4] == 0).all()
    assert (out[0, 4:] == 0).all()
    assert patch.box == (0.8, 0.0, 0.2, 2 / 12)
    larger = cut(frames.repeat(3, 1).repeat(3, 2), patch, 12, smooth=False)
    assert (larger[1, 6:, 6:] == 200).all()  # the same part of a larger drawing
    assert list(Patch((-1, 0, 0), (3, 2, 2), (4, 9, 9)).frames) == [0, 1]
    assert not Patch((0, 0, 0), (1, 6, 2), (4, 12, 20)).is_small


def test_throughout_the_clip_it_is_darker_where_the_unit_does_not_see() -> None:
    frames = np.full((4, 12, 20, 3), 200, np.uint8)
    frames[:, 4:6, 16:20] = [[[[10 * t] * 3] for _ in range(2)] for t in range(4)]
    patch = Patch((1, 4, 16), (2, 2, 4), (4, 12, 20))
    out = cut_throughout(frames, patch, 4, smooth=False, dim=True)
    assert out.shape == (4, 4, 8, 3)
    assert [np.unique(frame).tolist() for frame in out] == [[0], [10], [20], [9]]
    assert np.unique(cut_throughout(frames, patch, 4, smooth=False)[3]).tolist() == [30]


def test_the_strongest_places_lie_apart() -> None:
    field = ReceptiveField((2, 8, 8), (2, 4, 4), (0, 0, 0))  # half overlaps at one step
    values = np.zeros((2, 6, 6), np.float32)
    values[0, 2, 2], values[0, 2, 3], values[1, 2, 2], values[0, 5, 5] = 5, 4.9, 3, 2
    assert places(values, field) == [(0, 2, 2), (0, 2, 3), (1, 2, 2), (0, 5, 5)]
    wide = ReceptiveField((2, 12, 12), (2, 4, 4), (0, 0, 0))
    assert places(values, wide) == [(0, 2, 2), (1, 2, 2), (0, 5, 5)]
    assert places(values, wide, 2) == [(0, 2, 2), (1, 2, 2)]
    assert places(np.zeros((1, 3, 3), np.float32), field) == []
    whole = ReceptiveField((2, 9, 9), (0, 0, 0), (0, 0, 0))  # every cell sees all there is
    assert places(values, whole) == [(0, 2, 2)]
