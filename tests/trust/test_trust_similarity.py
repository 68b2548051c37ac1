"""Similarity of two maps: rank correlation, SSIM, and the paths that every network shares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import tiny

from c3d_viz import trust
from c3d_viz.engine import Unit
from c3d_viz.errors import ShapeError


def test_path_counts_are_the_gradient_of_a_net_of_ones() -> None:
    """Oracle: average pooling times its size sends one path per cell, so a linear net counts."""
    unit = Unit("conv3b", 0, (2, 5, 9))
    ones = torch.zeros(1, 1, 16, 112, 112, requires_grad=True)
    x, kernel = ones, torch.ones(1, 1, 3, 3, 3)
    for step in ("conv", (1, 2, 2), "conv", (2, 2, 2), "conv", "conv"):
        if step == "conv":
            x = torch.nn.functional.conv3d(x, kernel, padding=1)
        else:
            x = torch.nn.functional.avg_pool3d(x, step) * float(np.prod(step))
    x[0, 0, 2, 5, 9].backward()
    counts = trust.path_counts(tiny(), unit)
    np.testing.assert_allclose(counts, ones.grad[0, 0].numpy())


def test_ssim_and_map_similarity() -> None:
    rng = np.random.default_rng(0)
    a = rng.uniform(size=(2, 40, 40)).astype(np.float32)
    assert trust.ssim(a, a) == pytest.approx(1.0)
    assert trust.ssim(a, 1 - a) < 0
    maps = rng.normal(size=(3, 4, 40, 40)).astype(np.float32)
    assert trust.map_similarity(maps, -2 * maps) == pytest.approx((1, 1, 1))
    other = rng.normal(size=maps.shape).astype(np.float32)
    assert abs(trust.map_similarity(maps, other)[0]) < 0.2
    assert np.isnan(trust.map_similarity(maps, maps * 0)).all()
    with pytest.raises(ShapeError):
        trust.map_similarity(maps, maps[:, :2])
