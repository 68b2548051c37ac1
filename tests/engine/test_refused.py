"""What cannot be read or walked back is refused in one line, never answered with zeros or NaN."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from nets import PERTURBING, Residual, clip, mini_c3d
from torch import Tensor, nn

import c3d_viz as viz
from c3d_viz.engine import Unit
from c3d_viz.errors import LayerError, ShapeError, VizError
from c3d_viz.gradcam import grad_cam
from c3d_viz.methods import METHODS, Reading

WALKING = [method for method in METHODS if method not in PERTURBING]
X = clip((1, 3, 4, 6, 6))
UNIT = Unit("down", 1, (0, 1, 1))


@pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated")
@pytest.mark.filterwarnings("ignore:torch.(ao|quantize).*deprecated")
def test_scripted_traced_and_quantised_models_are_told_what_to_give() -> None:
    net = nn.Sequential(nn.Conv3d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)).eval()
    quantised = torch.ao.quantization.quantize_dynamic(copy.deepcopy(net), {nn.Linear})
    part = nn.Sequential(torch.jit.script(net), nn.Identity()).eval()
    for model, message in (
        (torch.jit.script(net), "it is a scripted or traced program"),
        (torch.jit.trace(net, X), "it is a scripted or traced program"),
        (part, "its layer 0 is a scripted or traced program"),
        (quantised, r"its layer 3 is quantised \(Linear\); give the floating-point model"),
        (lambda x: x, "must be a torch.nn.Module, got function"),
    ):
        for call in (
            lambda m: viz.trace(m, X),
            lambda m: viz.attribute(m, X, Unit("1", 0), "guided"),
            lambda m: viz.attribute(m, X, Unit("1", 0), "input_x_gradient"),
            lambda m: grad_cam(m, X, "0", Unit("3", 0)),
            lambda m: Reading(m, X),
        ):
            with pytest.raises(VizError, match=message):
                call(model)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([X, X], "one tensor .1, C, T, H, W., got list; say how a network"),
        (X.numpy(), "got ndarray"),
        (X.to_sparse(), r"dense tensor, got torch.sparse_coo; give x.to_dense\(\)"),
        (X[:, :, :0], "one clip at a time"),
    ],
)
def test_what_is_no_clip_is_refused(x: Any, message: str) -> None:
    net = Residual().eval()
    for call in (
        lambda: viz.trace(net, x),
        lambda: viz.attribute(net, x, UNIT),
        lambda: viz.attribute(net, x, UNIT, "integrated_gradients"),
        lambda: grad_cam(net, x, "second", UNIT),
    ):
        with pytest.raises(ShapeError, match=message):
            call()


@pytest.mark.parametrize(
    "parts",
    [
        ("conv3a", 0.5),
        ("conv3a", None),
        ("conv3a", 1, (0, 0.5, 1)),
        (3, 0),
        ("a", 0, 5),
        ("a", True),
    ],
)
def test_a_unit_is_a_name_and_whole_numbers(parts: tuple[Any, ...]) -> None:
    with pytest.raises(LayerError, match=r"Unit: (layer|channel|at) must be a"):
        Unit(*parts)


def test_whole_numbers_of_any_kind_make_the_same_unit() -> None:
    unit = Unit("conv3a", np.int64(1), [np.int32(0), 1, 2])  # type: ignore[arg-type]
    assert unit == Unit("conv3a", 1, (0, 1, 2))
    assert hash(unit) == hash(Unit("conv3a", 1, (0, 1, 2)))


def test_an_unknown_layer_gets_the_three_nearest() -> None:
    net = nn.Sequential(*(nn.Sequential(nn.Conv3d(3, 3, 1), nn.ReLU()) for _ in range(6))).eval()
    for name in ("conv3a#²", "relu#٣", "relu#" + "9" * 5000, "x" * 100_000):
        with pytest.raises(LayerError, match="this model has 18 layers, the nearest are"):
            viz.trace(net, X, name)
    with pytest.raises(LayerError, match=r"the nearest are 4\.1, .*, "):
        viz.attribute(net, X, Unit("4.11", 0))
    with pytest.raises(
        LayerError, match=r"stem, .*\(nearest: first, stem, second\)|nearest: first"
    ):
        viz.trace(Residual().eval(), X, "firts")


# ---- cut ways, and ways that were never there


class Cut(nn.Module):
    """``how`` stands between the clip and two layers."""

    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.how = how
        self.conv, self.relu, self.top = nn.Conv3d(3, 2, 1), nn.ReLU(), nn.Conv3d(2, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "no_grad":
            with torch.no_grad():
                return self.relu(self.top(self.relu(self.conv(x))))
        cut = {
            "detach": lambda x: x.detach(),
            "data": lambda x: x.data * 2,
            "numpy": lambda x: torch.from_numpy(x.detach().numpy().copy()),
            "steps": lambda x: (x > 0.5).float(),
            "alone": torch.ones_like,
        }[self.how](x)
        return self.relu(self.top(self.relu(self.conv(cut)))) + x.mean()


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("how", ["detach", "data", "numpy", "steps", "no_grad", "alone"])
def test_a_cut_way_is_an_error_and_a_layer_that_sees_no_clip_a_map_of_zeros(
    how: str, frozen: bool
) -> None:
    net = Cut(how).eval().requires_grad_(not frozen)
    for method in WALKING:
        unit = Unit("top", 1, (1, 2, 3))
        if how == "alone":
            att = viz.attribute(net, X, unit, method)
            assert att.values.shape[1:] == X.shape[2:]
            assert not att.values.any()
        else:
            with pytest.raises(VizError, match="the model detaches top from its input"):
                viz.attribute(net, X, unit, method)


def test_nan_weights_give_an_error_also_where_a_position_is_given() -> None:
    for spoil in (float("nan"), float("inf")):
        net, chain = Residual().eval(), mini_c3d()
        net.first.weight.data[0, 0, 1, 1, 1] = spoil
        chain.conv2a.weight.data[0, 0, 1, 1, 1] = spoil
        for model, x, unit in ((net, X, UNIT), (chain, clip(), Unit("relu3a", 1, (2, 3, 4)))):
            for method in WALKING:
                with pytest.raises(VizError, match="holds NaN or infinite"):
                    viz.attribute(model, x, unit, method)
        with pytest.raises(VizError, match="NaN"):
            grad_cam(net, X, "second", UNIT)
