"""Class activation maps: against captum, by their formulas done anew, and on their own grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import Residual, clip, mini_c3d, state
from torch import nn

from c3d_viz.engine import Unit
from c3d_viz.errors import LayerError
from c3d_viz.methods import METHODS, attribute
from c3d_viz.methods.cam import cam_layers, check_cam, on_clip, weighable
from c3d_viz.methods.gradcam_pp import weighed_pp

CAMS = ("gradcam", "gradcam_time", "gradcam_pp", "layercam")
UNIT = Unit("fc7", 3, ())


def relu5b_and_slope() -> tuple[torch.Tensor, torch.Tensor]:
    """The activation (16, 2, 3, 3) below fc7 and fc7's slope there, without the package."""
    net, x = mini_c3d(), clip()
    names = [name for name, _ in net.named_children()]
    cut = names.index("relu5b") + 1
    below = net[:cut](x).detach().requires_grad_()
    (slope,) = torch.autograd.grad(net[cut:](below)[0, 3], below)
    return below[0].detach(), slope[0]


def test_grad_cam_is_captums() -> None:
    from captum.attr import LayerGradCam

    net, x = mini_c3d(), clip()
    expected = LayerGradCam(net, net.relu5b).attribute(x, target=3, relu_attributions=True)
    att = attribute(net, x, UNIT, "gradcam")
    assert att.native_layer == "relu5b"
    np.testing.assert_allclose(att.native, expected[0, 0].detach().numpy(), rtol=1e-4, atol=1e-6)


def test_layer_cam_and_the_mean_per_step_by_their_formulas() -> None:
    a, g = relu5b_and_slope()
    net, x = mini_c3d(), clip()
    by_cell = sum(torch.relu(torch.relu(g[c]) * a[c]) for c in range(len(a)))
    np.testing.assert_allclose(
        attribute(net, x, UNIT, "layercam").native, by_cell.numpy(), rtol=1e-4, atol=1e-7
    )
    steps = [
        torch.relu(sum(g[c, t].mean() * a[c, t] for c in range(len(a)))) for t in range(a.shape[1])
    ]
    np.testing.assert_allclose(
        attribute(net, x, UNIT, "gradcam_time").native, torch.stack(steps), rtol=1e-4, atol=1e-7
    )


def test_grad_cam_pp_by_derivatives_of_the_exponential() -> None:
    """With a linear layer above, the paper's derivatives of exp(f) are taken cell by cell."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv3d(1, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)).double()
    x = torch.rand(1, 1, 2, 2, 2, dtype=torch.float64)
    seen = weighable(net.eval(), x, Unit("3", 1, ()), "1")
    flat = seen.activation.reshape(-1)
    line, weights = net[3], torch.zeros(2, dtype=torch.float64)
    for cell in range(16):

        def score(value: torch.Tensor, cell: int = cell) -> torch.Tensor:
            changed = torch.cat([flat[:cell], value.reshape(1), flat[cell + 1 :]])
            return torch.exp(line(changed[None])[0, 1])

        at = flat[cell].clone().requires_grad_()
        order, derivatives = score(at), []
        for _ in range(3):
            (order,) = torch.autograd.grad(order, at, create_graph=True)
            derivatives.append(order.detach())
        first, second, third = derivatives
        channel = cell // 8
        share = second / (2 * second + flat[8 * channel : 8 * channel + 8].sum() * third)
        weights[channel] += share * torch.relu(first / torch.exp(line(flat[None])[0, 1]))
    expected = torch.relu((weights[:, None] * flat.reshape(2, 8)).sum(0))
    assert expected.max() > 0
    torch.testing.assert_close(weighed_pp(seen).reshape(-1), expected)


def test_guided_grad_cam_is_the_product_at_the_pixels() -> None:
    net, x = mini_c3d(), clip()
    product = attribute(net, x, UNIT, "guided").values * attribute(net, x, UNIT, "gradcam").values
    found = attribute(net, x, UNIT, "guided_gradcam")
    assert found.values.shape == (3, 16, 56, 56)
    np.testing.assert_allclose(found.values, product, atol=1e-6 * np.abs(product).max())
    assert found.native is not None


@pytest.mark.parametrize("method", CAMS)
def test_a_map_keeps_its_layers_grid_and_no_time_is_made_up(method: str) -> None:
    net, x = mini_c3d(), clip()
    before = state(net)
    att = attribute(net, x, UNIT, method)
    assert att.values.shape == (1, 16, 56, 56)
    assert att.native.shape == (2, 3, 3)
    assert att.native.dtype == np.float32
    assert len(np.unique(att.values[0], axis=0)) <= 2
    np.testing.assert_array_equal(att.values[0, 0], att.values[0, 7])
    np.testing.assert_array_equal(att.values[0, 8], att.values[0, 15])
    assert np.isclose(att.values[0, 0].mean(), att.native[0].mean(), rtol=0.2)
    assert att.notes == (
        "the class activation map has 2 time steps of 3 x 3 cells (layer relu5b), stretched to 16 "
        "frames of 56 x 56; nothing between them was measured",
    )
    lower = attribute(net, x, UNIT, method, settings={"layer": "relu3b"})
    assert (lower.native.shape, lower.native_layer) == ((8, 14, 14), "relu3b")
    assert lower.settings.to_json() == {"layer": "relu3b"}
    assert state(net) == before


def test_frames_get_the_step_they_lie_in() -> None:
    net, x = mini_c3d(), clip()
    seen = weighable(net, x, UNIT, "relu5b")
    native = torch.tensor([1.0, 2.0, 3.0])[:, None, None].expand(3, 2, 2)
    for frames, steps in {3: [1, 2, 3], 7: [1, 1, 2, 2, 2, 3, 3], 1: [2], 2: [1, 3]}.items():
        drawn = on_clip(seen, native, torch.zeros(1, 3, frames, 4, 4))
        assert drawn.values[0, 0, :, 0, 0].tolist() == steps


def test_the_layer_below_is_the_last_that_convolves() -> None:
    net, x = mini_c3d(), clip()
    found = cam_layers(net, x, ["fc7", "pool5", "relu5b", "conv5b", "pool4", "relu2a", "relu1a"])
    nothing = found.pop("relu1a")
    assert found == {
        "fc7": "relu5b", "pool5": "relu5a", "relu5b": "relu5a", "conv5b": "relu5a",
        "pool4": "relu4a", "relu2a": "relu1a",
    }  # fmt: skip
    assert "no convolutional layer lies below relu1a" in str(nothing)
    assert list(check_cam(net, x, ["relu1a", "fc7"], METHODS["gradcam"].settings())) == ["relu1a"]
    net, x = Residual().eval(), clip((1, 3, 4, 6, 6))
    assert cam_layers(net, x, ["down", "second"]) == {"down": "second", "second": "first"}
    assert "down does not depend on down" not in str(cam_layers(net, x, ["down"], "stem"))
    assert "stem does not depend on down" in str(cam_layers(net, x, ["stem"], "down")["stem"])


def test_a_block_is_taken_whole_and_its_own_convolution_is_no_layer_below() -> None:
    class Block(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.one = nn.Conv3d(channels, 4, 3, padding=1)
            self.two = nn.Conv3d(4, 4, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.two(torch.relu(self.one(x))) + 1)

    net = nn.Sequential()
    net.add_module("low", Block(3))
    net.add_module("high", Block(4))
    net.add_module("mean", nn.AdaptiveAvgPool3d(1))
    net.add_module("flat", nn.Flatten())
    net.add_module("top", nn.Linear(4, 2))
    x = clip((1, 3, 4, 6, 6))
    found = cam_layers(net.eval(), x, ["top", "high", "low", "low.one"])
    assert isinstance(found.pop("low.one"), LayerError)
    assert found == {"top": "high", "high": "high.one", "low": "low.one"}


def test_no_map_where_nothing_lies_below() -> None:
    net, x = mini_c3d(), clip()
    for method in (*CAMS, "guided_gradcam"):
        with pytest.raises(LayerError, match="no convolutional layer lies below relu1a"):
            attribute(net, x, Unit("relu1a", 0), method)
    with pytest.raises(LayerError, match="no layer 'relu9'"):
        attribute(net, x, UNIT, "gradcam", settings={"layer": "relu9"})
    with pytest.raises(LayerError, match=r"fc6 has no \(T, H, W\) grid"):
        attribute(net, x, UNIT, "gradcam", settings={"layer": "fc6"})
