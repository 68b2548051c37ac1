"""A clip read once gives the maps that ``attribute`` gives with a forward pass each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import c3d_viz as viz
from c3d_viz.errors import LayerError, VizError
from c3d_viz.methods.reading import Reading
from c3d_viz.nets.c3d import C3D

RULES = ("deconvnet", "guided", "gradient")


@pytest.fixture(scope="module")
def clip() -> Any:
    return torch.randn((1, 3, 16, 112, 112), generator=torch.Generator().manual_seed(3)) * 40


@pytest.fixture(scope="module", params=["ceil", "padded"])
def reading(request: Any, clip: Any) -> tuple[C3D, Reading]:
    model, _ = viz.load_model("compact", weights="random", seed=5, pool5=request.param)
    return model, Reading(model, clip)


def close(one: viz.Attribution, other: viz.Attribution) -> None:
    assert one.unit == other.unit
    assert one.method == other.method
    assert one.activation == pytest.approx(other.activation, rel=1e-5)
    np.testing.assert_allclose(
        one.values, other.values, rtol=0, atol=1e-5 * np.abs(other.values).max()
    )


@pytest.mark.parametrize("method", RULES)
@pytest.mark.parametrize("layer", ["conv1a", "conv3a", "conv3b", "conv5b", "fc6", "fc8"])
def test_maps_are_those_of_attribute(
    reading: tuple[C3D, Reading], clip: Any, layer: str, method: str
) -> None:
    model, read = reading
    unit = viz.top_units(read.trace, layer, 1)[0]
    close(read.attribute(unit, method), viz.attribute(model, clip, unit, method))


def test_many_in_order_and_the_position_found(reading: tuple[C3D, Reading], clip: Any) -> None:
    model, read = reading
    units = [viz.Unit("conv4a", 3), viz.Unit("conv2a", 7, (15, 0, 55)), viz.Unit("conv4a", 0)]
    for one, other in zip(
        read.attribute_many(units, "guided"),
        viz.attribute_many(model, clip, units, "guided"),
        strict=True,
    ):
        close(one, other)


def test_other_methods_and_other_networks_are_asked_anew(clip: Any) -> None:
    model, _ = viz.load_model("compact", weights="random", seed=5)
    unit = viz.Unit("conv2a", 1, (3, 9, 9))
    read = Reading(model, clip)
    close(
        read.attribute(unit, "input_x_gradient"),
        viz.attribute(model, clip, unit, "input_x_gradient"),
    )
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.Conv3d(4, 2, 3), nn.ReLU()).eval()
    x = torch.randn(1, 3, 6, 9, 9)
    unit = viz.Unit("3", 1)
    close(Reading(net, x).attribute(unit, "guided"), viz.attribute(net, x, unit, "guided"))


def test_wrong_questions_are_refused(reading: tuple[C3D, Reading]) -> None:
    _, read = reading
    with pytest.raises(LayerError, match="channels 0-"):
        read.attribute(viz.Unit("conv1a", 999))
    with pytest.raises(VizError, match="no method"):
        read.attribute(viz.Unit("conv1a", 0), "nonsense")


def test_it_says_how_large_it_is(reading: tuple[C3D, Reading]) -> None:
    _, read = reading
    assert read.nbytes == sum(4 * v.numel() for v in read.trace.activations.values())
