"""The three rules, proved against an independent walk and captum."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from engines import one
from nets import (
    FORMS,
    RULES,
    Residual,
    clip,
    mini_c3d,
    relative,
    rule_at,
    state,
    walk_back,
)
from torch import Tensor, nn

from c3d_viz.engine.general import backproject
from c3d_viz.engine.tracing import Unit
from c3d_viz.errors import LayerError

# ---- against the explicit walk


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("pool5", ["ceil", "padded"])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_agrees_with_an_explicit_walk(
    rule: str, pool5: str, dtype: torch.dtype, bound: float
) -> None:
    net, x = mini_c3d(pool5).to(dtype), clip(dtype=dtype)
    units = [
        Unit("conv2a", 1, (3, 9, 27)),  # here, in a plain Sequential: before its ReLU
        Unit("relu5b", 3, (0, 1, 2)),
        Unit("pool5", 2, (0, 1, 1)),
        Unit("relu6", 0, ()),
        Unit("fc7", 4, ()),
    ]
    for back in backproject(net, x, units, rule):
        unit = back.unit
        expected = walk_back(net, x, unit.layer, unit.channel, unit.at, rule)
        assert back.values.dtype == dtype
        if back.activation > 0 or rule == "deconvnet":
            assert relative(back.values, expected) <= bound, unit
        else:
            assert torch.equal(back.values, expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", RULES)
def test_every_form_of_relu_in_a_residual_net(form: str, rule: str) -> None:
    net, x = Residual(form).eval(), clip((1, 3, 4, 6, 6))
    before = state(net)
    unit = Unit("down", 5, (1, 0, 2))  # the convolution's output, which is then overwritten
    back = next(backproject(net, x, [unit], rule))
    assert relative(back.values, net.walk_back(x, 5, (1, 0, 2), rule)) <= 1e-5
    with torch.no_grad():
        a = F.relu(net.stem(x))
        answer = net.down(F.relu(net.second(F.relu(net.first(a))) + a))
    assert back.activation == pytest.approx(float(answer[0, 5, 1, 0, 2]), rel=1e-5)
    assert state(net) == before


class Reused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.one = nn.Conv3d(2, 3, 3, padding=1)
        self.two = nn.Conv3d(3, 3, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.two(self.relu(self.one(x))))


@pytest.mark.parametrize("rule", RULES)
def test_a_reused_relu(rule: str) -> None:
    net, x = Reused().eval(), clip((1, 2, 3, 5, 5))
    a = net.one(x).detach()
    b = net.two(a.relu()).detach()
    first = int(a[0].flatten().argmax()), int(b[0].flatten().argmax())
    units = []
    for name, values, index in (("relu#0", a, first[0]), ("relu", b, first[1])):
        c, t, h, w = (int(i) for i in torch.unravel_index(torch.tensor(index), values[0].shape))
        units.append(Unit(name, c, (t, h, w)))
    found = [back.values for back in backproject(net, x, units, rule)]

    def back(signal: Tensor, conv: nn.Conv3d) -> Tensor:
        return F.conv_transpose3d(signal, conv.weight, padding=1)

    seeds = []
    for unit, values in zip(units, (a, b), strict=True):
        seed = torch.zeros_like(values)
        seed[(0, unit.channel, *unit.at)] = 1
        seeds.append(seed)
    expected = [
        back(rule_at(rule, seeds[0], a), net.one)[0],
        back(rule_at(rule, back(rule_at(rule, seeds[1], b), net.two), a), net.one)[0],
    ]
    assert relative(found[0], expected[0]) <= 1e-5
    assert relative(found[1], expected[1]) <= 1e-5
    again = one(net, x, Unit("relu#1", units[1].channel, units[1].at), rule)
    assert torch.equal(again, found[1])  # the plain name is the last call
    with pytest.raises(LayerError, match="relu#2"):
        one(net, x, Unit("relu#2", 0), rule)


# ---- against captum


@pytest.mark.parametrize("pool5", ["ceil", "padded"])
def test_agrees_with_captum(pool5: str) -> None:
    from captum.attr import NeuronDeconvolution, NeuronGradient, NeuronGuidedBackprop

    net, x = mini_c3d(pool5), clip()
    judges = {
        "gradient": NeuronGradient,
        "deconvnet": NeuronDeconvolution,
        "guided": NeuronGuidedBackprop,
    }
    for rule, judge in judges.items():
        for back in backproject(
            net, x, [Unit("relu5b", 1), Unit("relu3b", 2), Unit("fc7", 0)], rule
        ):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # captum announces its hooks
                method = judge(net, net.get_submodule(back.unit.layer))
                cell = (back.unit.channel, *back.unit.at)
                expected = method.attribute(x.clone().requires_grad_(), cell)[0].detach()
            assert relative(back.values, expected) <= 1e-5, (rule, back.unit)
