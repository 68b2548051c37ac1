"""Deletion and insertion of pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from c3d_viz import trust
from c3d_viz.engine import Unit
from c3d_viz.errors import ShapeError
from c3d_viz.methods import Attribution, attribute


def test_deletion_and_insertion_of_a_unit_that_sees_one_corner() -> None:
    """A linear unit whose whole answer comes from 1 % of the pixels: gone at the first step."""
    model = torch.nn.Sequential(torch.nn.Conv3d(3, 1, 1, bias=False), torch.nn.ReLU())
    torch.nn.init.ones_(model[0].weight)
    x = torch.ones(1, 3, 4, 10, 10)
    values = np.zeros((3, 4, 10, 10), np.float32)
    values[:, 1, 2, 3] = 1.0
    att = Attribution(values, Unit("1", 0, (1, 2, 3)), "gradient", 3.0)
    got = trust.deletion_insertion(model, x, att, steps=10)
    assert got.share.tolist() == pytest.approx([i / 10 for i in range(11)])
    assert got.deletion.tolist() == [1.0] + [0.0] * 10
    assert got.insertion.tolist() == [0.0] + [1.0] * 10
    assert got.deletion_area == pytest.approx(0.05)
    assert got.insertion_area == pytest.approx(0.95)
    # what speaks against the unit counts as much as what speaks for it
    other = Attribution(-values, Unit("1", 0, (1, 2, 3)), "gradient", 3.0)
    assert (
        trust.deletion_insertion(model, x, other, steps=10).deletion.tolist() == [1.0] + [0.0] * 10
    )
    exact = attribute(model, x, Unit("1", 0, (1, 2, 3)), "gradient")
    assert trust.deletion_insertion(model, x, exact).deletion_area == pytest.approx(0.05)
    with pytest.raises(ShapeError):
        trust.deletion_insertion(model, x[:, :, :2], att)
