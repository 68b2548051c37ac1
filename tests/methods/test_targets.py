"""Whole channels, classes and functions of the output, asked about as units are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import Residual, clip, mini_c3d, state
from quick import QUICK
from torch import Tensor, nn

import c3d_viz as viz
from c3d_viz.engine import Unit
from c3d_viz.errors import LayerError, ShapeError, VizError
from c3d_viz.methods import METHODS, Channel, Output, Reading, attribute, attribute_many
from c3d_viz.nets.c3d import C3D
from c3d_viz.render import contact_sheet, filmstrip

X = clip((1, 3, 4, 6, 6))


def with_mean() -> nn.Sequential:
    """``Residual`` with the mean of every channel of its output as a layer of its own."""
    net = nn.Sequential()
    net.add_module("net", Residual())
    net.add_module("mean", nn.AdaptiveAvgPool3d(1))
    net.add_module("flat", nn.Flatten())
    return net.eval()


@pytest.mark.parametrize("method", METHODS)
def test_a_channels_mean_is_that_of_a_layer_that_takes_it(method: str) -> None:
    settings = QUICK.get(method)
    expected = attribute(with_mean(), X, Unit("flat", 2, ()), method, settings=settings)
    # the output of Residual is its last ReLU's
    net = nn.Sequential()
    net.add_module("net", Residual())
    found = attribute(net.eval(), X, Channel("net", 2), method, settings=settings)
    assert found.values.any()
    np.testing.assert_allclose(
        found.values, expected.values, atol=1e-5 * np.abs(expected.values).max()
    )
    assert found.activation == pytest.approx(expected.activation, rel=1e-5)
    assert found.native_layer == expected.native_layer
    assert found.unit == Unit("net", 2, ())
    assert found.target == Channel("net", 2)
    assert found.notes == expected.notes


def test_a_channels_sum_is_the_sum_over_its_units_under_the_gradient() -> None:
    net = Residual().eval()
    cells = [Unit("down", 1, (t, h, w)) for t in range(2) for h in range(3) for w in range(3)]
    alone = sum(att.values for att in attribute_many(net, X, cells, "gradient"))
    whole = attribute(net, X, Channel("down", 1, "sum"), "gradient")
    np.testing.assert_allclose(whole.values, alone, atol=1e-5 * np.abs(alone).max())
    mean = attribute(net, X, Channel("down", 1), "gradient")
    np.testing.assert_allclose(18 * mean.values, whole.values, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("method", ["deconvnet", "gradcam", "smoothgrad"])
def test_a_class_is_the_last_layers_unit(method: str) -> None:
    net, x = mini_c3d(), clip()
    before = state(net)
    expected = attribute(net, x, Unit("fc7", 3), method, settings=QUICK.get(method))
    found = attribute(net, x, Output(3, "walk"), method, settings=QUICK.get(method))
    top = np.abs(expected.values).max()
    np.testing.assert_allclose(found.values, expected.values, atol=1e-5 * top)
    assert found.activation == pytest.approx(expected.activation, rel=1e-5)
    assert (found.unit, found.native_layer) == (Unit("output", 3, ()), expected.native_layer)
    assert state(net) == before


def test_a_function_of_the_output_is_one_number() -> None:
    net, x = mini_c3d(), clip()

    def margin(output: Tensor) -> Tensor:
        return output[:, 1] - output[:, 2]

    one, two = (attribute(net, x, Unit("fc7", c), "gradient") for c in (1, 2))
    found = attribute(net, x, Output(margin, "1 over 2"), "gradient")
    top = np.abs(one.values).max()
    np.testing.assert_allclose(found.values, one.values - two.values, atol=1e-5 * top)
    assert found.activation == pytest.approx(one.activation - two.activation, rel=1e-4)
    assert found.about == "output · 1 over 2"


def test_units_and_targets_in_order_with_passes_of_all() -> None:
    net, x = mini_c3d(), clip()
    asked = [Unit("relu2a", 0), Channel("relu2a", 1), Output(0)]
    heard: list[tuple[int, int]] = []
    made = list(
        attribute_many(
            net, x, asked, "smoothgrad", settings={"samples": 2},
            progress=lambda *at: heard.append(at),
        )
    )  # fmt: skip
    assert [att.unit.layer for att in made] == ["relu2a", "relu2a", "output"]
    assert [att.target for att in made] == [None, *asked[1:]]
    assert heard == [(n, 6) for n in range(6)]
    read = Reading(net, x).attribute(Channel("relu2a", 1), "smoothgrad", settings={"samples": 2})
    np.testing.assert_array_equal(read.values, made[1].values)


def test_layers_of_a_c3d_keep_their_names(tiny_c3d: C3D) -> None:
    x = clip((1, 3, 16, 112, 112))
    before = state(tiny_c3d)
    att = attribute(tiny_c3d, x, Output(1), "gradcam")
    assert (att.native_layer, att.native.shape) == ("conv5b", (2, 7, 7))
    lower = attribute(tiny_c3d, x, Channel("conv4b", 1), "layercam", settings={"layer": "conv3b"})
    assert lower.native_layer == "conv3b"
    answers = viz.trace(tiny_c3d, x, ["conv4b"]).activations["conv4b"][1]
    assert lower.activation == pytest.approx(float(answers.mean()), rel=1e-5)
    assert state(tiny_c3d) == before


def test_a_picture_says_what_was_asked() -> None:
    net = Residual().eval()
    att = attribute(net, X, Channel("down", 1, "sum"), "gradient")
    assert att.about == "down · channel 1, sum over its cells"
    assert str(Output(4)) == "output · class 4"
    assert attribute(net, X, Unit("down", 1)).about == "down · channel 1"
    frames = np.zeros((4, 6, 6, 3), np.uint8)
    plain = attribute(net, X, Unit("down", 1), "gradient")
    for draw in (lambda a: filmstrip(frames, a), lambda a: contact_sheet(frames, [a])):
        assert draw(att).shape[2] == 3
        assert not np.array_equal(draw(att), draw(plain))


def test_what_is_not_there_is_refused() -> None:
    net, x = mini_c3d(), clip()
    for target, error, message in (
        (Output(9), LayerError, "the output has classes 0-4, got 9"),
        (Channel("relu2a", 99), LayerError, "relu2a has channels 0-3, got 99"),
        (Channel("conv9", 0), LayerError, "no layer 'conv9'"),
        (Output(lambda output: output), ShapeError, r"gives one number a clip, \(N,\), got shape"),
        (Output(lambda output: 3.0), ShapeError, r"one number a clip, \(N,\), got float"),
    ):
        with pytest.raises(error, match=message):
            attribute(net, x, target, "gradient")
    with pytest.raises(ShapeError, match=r"the network returns \(1, 6, 2, 3, 3\), not"):
        attribute(Residual().eval(), X, Output(0), "gradient")
    with pytest.raises(VizError, match="reduce must be one of mean, sum, got 'max'"):
        Channel("relu2a", 1, "max")
    torch.manual_seed(0)
