"""The caller's model is left as it was, and what cannot be walked is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from engines import one, point
from nets import (
    RULES,
    Normalised,
    Residual,
    clip,
    mini_c3d,
    state,
)
from torch import Tensor, nn

from c3d_viz.engine.general import backproject
from c3d_viz.engine.tracing import Unit
from c3d_viz.errors import LayerError, ShapeError, VizError

# ---- the model is left as it was


class Failing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 2, 3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        self.relu(self.conv(x))
        raise RuntimeError("broken on purpose")


def test_an_exception_leaves_no_trace() -> None:
    net = Failing().train()
    net.conv.bias.requires_grad_(False)
    before = state(net)
    for model in (net, net.eval()):
        before = state(model)
        with pytest.raises(VizError, match="RuntimeError: broken on purpose"):
            one(model, clip((1, 3, 4, 6, 6)), Unit("relu", 0), "guided")
        with pytest.raises(LayerError, match="channels 0-1, got 7"):
            one(nn.Sequential(net.conv), clip((1, 3, 4, 6, 6)), Unit("0", 7), "guided")
        assert state(model) == before
        assert F.relu(torch.tensor(-1.0, requires_grad=True)).grad_fn.name() == "ReluBackward0"


def test_training_mode_is_read_as_eval_and_never_changed() -> None:
    net, x = Normalised(), clip((1, 3, 4, 6, 6))
    unit = Unit("top", 1, (0, 1, 1))
    expected = one(net.eval(), x, unit, "guided")
    net.train()
    net.norm.eval()  # a mixture must come back as a mixture
    before = state(net)
    assert torch.equal(one(net, x, unit, "guided"), expected)
    assert state(net) == before


def test_inside_no_grad_and_inference_mode_and_without_gradients_left_behind() -> None:
    net, x = Residual().eval(), clip((1, 3, 4, 6, 6))
    unit = Unit("down", 0, (0, 1, 1))
    expected = one(net, x, unit, "deconvnet")
    with torch.no_grad():
        assert torch.equal(one(net, x, unit, "deconvnet"), expected)
    with torch.inference_mode():
        inside = clip((1, 3, 4, 6, 6))
        assert torch.equal(one(net, inside, unit, "deconvnet"), expected)
    asking = x.clone().requires_grad_()
    values = one(net, asking, unit, "deconvnet")
    assert torch.equal(values, expected)
    assert asking.grad is None
    assert not values.requires_grad
    assert all(p.grad is None for p in net.parameters())
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    assert torch.equal(one(net, x, unit, "deconvnet"), expected)


def test_the_callers_gradients_still_follow_autograd_between_two_results() -> None:
    """The engine is lazy; its rules must not be on while the caller has the turn."""
    net, x = Residual().eval(), clip((1, 3, 4, 6, 6))
    results = backproject(net, x, [Unit("down", 0), Unit("down", 1)], "deconvnet")
    next(results)
    probe = torch.tensor([-1.0], requires_grad=True)
    F.relu(probe).sum().backward()
    assert float(probe.grad) == 0.0  # deconvnet would have sent 1
    assert not torch.is_inference_mode_enabled()


def test_several_threads_on_one_model_get_the_serial_results() -> None:
    net, x = Residual().eval(), clip((1, 3, 4, 6, 6))
    jobs = [
        (rule, Unit("down", channel, (t, 1, 1)))
        for rule in RULES
        for channel in range(4)
        for t in range(2)
    ] * 3
    serial = [one(net, x, unit, rule) for rule, unit in jobs]
    before = state(net)
    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(lambda job: one(net, x, job[1], job[0]), jobs))
    assert all(torch.equal(a, b) for a, b in zip(serial, parallel, strict=True))
    assert state(net) == before


# ---- what is refused


class Cut(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.detach()).detach() if x.requires_grad else self.conv(x.detach())


def test_refusals_say_what_is_wrong() -> None:
    net, x = mini_c3d(), clip()
    with pytest.raises(VizError, match="no rule 'lrp'; there are gradient, deconvnet, guided"):
        one(net, x, Unit("relu5b", 0), "lrp")
    with pytest.raises(LayerError, match=r"positions \(0-1, 0-2, 0-2\), got \(0, 3, 0\)"):
        one(net, x, Unit("relu5b", 0, (0, 3, 0)), "guided")
    with pytest.raises(LayerError, match="no layer 'conv9'"):
        one(net, x, Unit("conv9", 0), "guided")
    with pytest.raises(ShapeError, match="one clip at a time"):
        one(net, x.expand(2, -1, -1, -1, -1), Unit("relu5b", 0), "guided")
    with pytest.raises(ShapeError, match="float64"):
        one(net, x.double(), Unit("relu5b", 0), "guided")
    for parameter in (cut := Cut()).parameters():
        parameter.requires_grad_(False)
    with pytest.raises(VizError, match="detaches"):
        one(cut.eval(), x, Unit("conv", 0), "guided")


def test_a_layer_that_does_not_see_the_clip_gets_zeros() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(1, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(torch.ones_like(x)) + x

    values = one(Constant().eval(), point(1, 2), Unit("conv", 0, (0, 0, 0)), "gradient")
    assert values.flatten().tolist() == [0, 0]
