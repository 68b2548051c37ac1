"""Deletion and insertion of pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from c3d_viz import trust
from c3d_viz.engine import Unit
from c3d_viz.errors import ShapeError, VizError
from c3d_viz.methods import Attribution, attribute
from c3d_viz.nets import InputSpec
from c3d_viz.trust import CHECKS, Case
from c3d_viz.trust.subject import Subject


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


def test_fillings_by_hand() -> None:
    x = torch.arange(2 * 4 * 6 * 6, dtype=torch.float32).reshape(1, 2, 4, 6, 6)
    gone = torch.zeros(4, 6, 6, dtype=torch.bool)
    gone[1:3, 2, 3] = True
    gone[0, 0, 0] = True
    grey, blurred, neighbour = (
        trust.FILLINGS[name](x, gone) for name in ("grey", "blurred", "neighbour")
    )
    for filled in (grey, blurred, neighbour):
        assert torch.equal(filled[:, :, ~gone], x[:, :, ~gone])
    assert (grey[:, :, gone] == 0).all()
    # the frame before, itself filled; the first frame has none and stays
    assert torch.equal(neighbour[0, :, 1, 2, 3], x[0, :, 0, 2, 3])
    assert torch.equal(neighbour[0, :, 2, 2, 3], x[0, :, 0, 2, 3])
    assert torch.equal(neighbour[0, :, 0, 0, 0], x[0, :, 0, 0, 0])
    wholly = trust.FILLINGS["neighbour"](x, torch.ones(4, 6, 6, dtype=torch.bool))
    assert all(torch.equal(wholly[:, :, t], x[:, :, 0]) for t in range(4))
    assert float(blurred[0, 0, 1, 2, 3]) == pytest.approx(float(x[0, 0, 1].mean()), abs=0.5)
    with pytest.raises(VizError, match="fillings are grey, blurred, neighbour"):
        trust.faithfulness(torch.nn.Identity(), x, Unit("0", 0), np.ones((4, 6, 6)), filling="pink")


def test_a_check_measures_every_filling() -> None:
    """The numbers of the check are those of the filling that they are named by."""
    model = torch.nn.Sequential(
        torch.nn.Conv3d(3, 2, 3, padding=1), torch.nn.ReLU(),
        torch.nn.Conv3d(2, 2, 3, padding=1), torch.nn.ReLU(),
    ).eval()  # fmt: skip
    with torch.no_grad():
        for values in model.parameters():
            values.copy_(torch.rand(values.shape, generator=torch.Generator().manual_seed(2)))
    frames = np.random.default_rng(0).integers(0, 255, (4, 24, 24, 3), dtype=np.uint8)
    spec = InputSpec(resize=(24, 24), crop=(24, 24), frames=4, mean=(60.0,) * 3, scale=1 / 60)
    subject = Subject(model, spec, Case("a", "a", frames), Unit("3", 0, (1, 9, 9)), 4)
    numbers = {
        n.metric: n.value
        for n in CHECKS["faithfulness"][0](subject, ["gradient"])
        if n.method == "gradient"
    }
    for filling in trust.FILLINGS:
        known = trust.faithfulness(
            model, subject.x, subject.unit, subject.explain("gradient"), steps=5, filling=filling,
            within=subject.box,
        )  # fmt: skip
        assert numbers[f"deletion {filling}"] == known.deletion_area
        assert numbers[f"faithfulness {filling}"] == known.insertion_area - known.deletion_area
    assert len({numbers[f"deletion {filling}"] for filling in trust.FILLINGS}) == 3
