"""Every spelling of a ReLU goes back by the rule, and nothing that merely looks like one does."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from nets import RULES, clip, relative, state, walk_back
from torch import Tensor, nn

from c3d_viz.engine import Unit, backproject

UNIT = Unit("top", 1, (1, 3, 2))
Activation = Callable[[Tensor], Tensor]


class Spelled(nn.Module):
    """Two convolutions with an activation of one's own behind each, and a third on top."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        torch.manual_seed(11)
        self.first = nn.Conv3d(3, 4, 3, padding=1)
        self.second = nn.Conv3d(4, 4, 3, padding=1)
        self.top = nn.Conv3d(4, 2, 3, padding=1)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.first(x))
        return self.top(self.activation(self.second(x)))

    def chain(self) -> nn.Sequential:
        """The same with ReLUs, for the way back by hand."""
        net = nn.Sequential()
        for name, module in (
            ("first", self.first), ("relu1", nn.ReLU()), ("second", self.second),
            ("relu2", nn.ReLU()), ("top", self.top),
        ):  # fmt: skip
            net.add_module(name, module)
        return net.eval()


def multiplied(x: Tensor) -> Tensor:
    x *= x > 0
    return x


def emptied(x: Tensor) -> Tensor:
    x[x < 0] = 0
    return x


def added(x: Tensor) -> Tensor:
    x += torch.relu(-x)
    return x


def subtracted(x: Tensor) -> Tensor:
    z = -x
    y = z.relu()
    y -= z
    return y


def turned_round(x: Tensor) -> Tensor:
    before = x.clone()
    return before + F.relu(x.mul_(-1), inplace=True)


FORMS: dict[str, Activation] = {
    "maximum": lambda x: torch.maximum(x, torch.zeros_like(x)),
    "maximum of a number": lambda x: torch.maximum(torch.tensor(0.0), x),
    "max": lambda x: torch.max(x, torch.zeros(1)),
    "max by name": lambda x: torch.max(input=x, other=torch.zeros(1)),
    "fmax": lambda x: x.fmax(torch.zeros(())),
    "where": lambda x: torch.where(x > 0, x, 0),
    "where with zeros": lambda x: torch.where(x >= 0, x, torch.zeros_like(x)),
    "where not": lambda x: torch.where(x <= 0, 0.0, x),
    "where ~": lambda x: torch.where(~(x > 0), 0.0, x),
    "Tensor.where": lambda x: x.where(x > 0, torch.zeros(())),
    "product": lambda x: x * (x > 0),
    "product of floats": lambda x: (x > 0).float() * x,
    "product of its type": lambda x: x * torch.gt(x, 0).to(x.dtype),
    "product, 0 < x": lambda x: x.mul((0 < x).type_as(x)),  # noqa: SIM300
    "product in place": multiplied,
    "masked_fill": lambda x: x.masked_fill(x < 0, 0),
    "masked_fill_": lambda x: x.masked_fill_(x <= 0, 0.0),
    "x[x < 0] = 0": emptied,
    "clamp of a tensor": lambda x: x.clamp(min=torch.zeros(())),
    "F.threshold": lambda x: F.threshold(x, 0.0, 0.0),
    "leaky of slope 0": lambda x: F.leaky_relu(x, 0.0),
    "a copy emptied": lambda x: x.clone().masked_fill_(x <= 0, 0),
    "a copy's sign": lambda x: x * (x.clone() > 0),
    "a detached sign": lambda x: x * (x.detach() > 0).float(),
    "the sign of the data": lambda x: x * (x.data > 0),
    "a copy times the sign": lambda x: x.clone().mul_(x > 0),
    "a product with heaviside": lambda x: x * torch.heaviside(x, torch.tensor(0.5)),
    "x + relu(-x)": lambda x: x + torch.relu(-x),
    "relu(-x) + x, of a copy": lambda x: F.relu(x.neg(), inplace=True) + x.clone(),
    "x += relu(-x)": added,
    "x + relu(-1 * x)": lambda x: x + torch.relu(-1 * x),
    "x + relu(x * -1)": lambda x: x + torch.relu(torch.mul(x, torch.tensor(-1.0))),
    "x + relu(x / -1)": lambda x: x + torch.relu(x / -1),
    "x + relu(0 - x)": lambda x: x + torch.relu(0 - x),
    "x + relu(zeros - x)": lambda x: x + torch.relu(torch.sub(torch.zeros_like(x), x)),
    "x + relu of a copy times -1": lambda x: x + torch.relu(x.clone().mul_(-1)),
    "x + relu of a copy's neg_": lambda x: torch.relu(x.clone().neg_()) + x,
    "x + relu of a copy over -1": lambda x: x + torch.relu(x.clone().div_(-1)),
    "a copy + relu(x *= -1)": turned_round,
    "torch.add": lambda x: torch.add(x, (-x).clamp(min=0)),
    "relu(z) - z": lambda x: (lambda z: torch.relu(z) - z)(-x),
    "relu(z) - z of another z": lambda x: torch.relu(-x) - (-x),
    "relu(z) - z by name": lambda x: (lambda z: torch.sub(z.clamp(min=0), other=z))(0 - x),
    "relu(z) + (-z)": lambda x: (lambda z: torch.relu(z) + z.neg())(-x),
    "-z + relu(z)": lambda x: (lambda z: (-z).add_(torch.relu(z)))(-x),
    "relu(z) added to z, alpha -1": lambda x: (lambda z: torch.add(z.relu(), z, alpha=-1))(-x),
    "z taken off relu(z)": lambda x: (lambda z: torch.rsub(z, z.relu()))(-x),
    "relu(z) -= z": subtracted,
    "aten": lambda x: torch.ops.aten.relu.default(x),
}


def one(net: nn.Module, x: Tensor, rule: str) -> Tensor:
    return next(backproject(net, x, [UNIT], rule)).values


@pytest.mark.parametrize("form", FORMS)
def test_a_spelled_out_relu_is_a_relu(form: str) -> None:
    net, x = Spelled(FORMS[form]).eval(), clip((1, 3, 4, 6, 6))
    before = state(net)
    for rule in RULES:
        expected = walk_back(net.chain(), x, "top", 1, UNIT.at, rule)
        back = next(backproject(net, x, [UNIT], rule))
        assert relative(back.values, expected) < 1e-5
        assert back.report is None if rule == "gradient" else back.report.relus == 2
    with torch.no_grad():
        assert back.activation == pytest.approx(float(net(x)[(0, 1, *UNIT.at)]), rel=1e-5)
    assert state(net) == before


def test_a_ceiling_closes_the_relu_above_it() -> None:
    capped, known = Spelled(lambda x: x.clamp(0, 0.4)), Spelled(F.relu6)
    module = Spelled(nn.Hardtanh(0.0, 0.4))
    x = clip((1, 3, 4, 6, 6))
    for rule in RULES:
        values = one(capped.eval(), x, rule)
        assert torch.equal(values, one(module.eval(), x, rule))
        other = one(known.eval(), x, rule)  # closes above 6; deconvnet does not ask
        assert torch.equal(values, other) == (rule == "deconvnet")


MASK = torch.rand(1, 4, 4, 6, 6, generator=torch.Generator().manual_seed(2)) > 0.5
NO_RELUS: dict[str, Activation] = {
    "another's sign": lambda x: x * (x.roll(1, 1) > 0),
    "a mask": lambda x: x * MASK,
    "chosen by a mask": lambda x: torch.where(MASK, x, 0),
    "a threshold that is not 0": lambda x: x * (x > 0.1),
    "filled with 1": lambda x: x.masked_fill(x < 0, 1.0),
    "the negative half": lambda x: x * (x < 0),
    "a maximum that is not 0": lambda x: torch.maximum(x, torch.full_like(x, 0.1)),
    "a sign from before it was changed": lambda x: (lambda m: x.add_(0.3) * m)(x > 0),
    "not 0": lambda x: x * (x != 0),
    "the sign of a copy from before": lambda x: (lambda y: x.add_(0.3) * (y > 0))(x.clone()),
    "a copy that was changed": lambda x: x.clone().add_(0.3) * (x > 0),
    "a negative of another": lambda x: x + x.detach().neg().relu(),
    "a negative of what it was": lambda x: (lambda y: x.add_(0.3) + y.neg().exp())(x.clone()),
    "added twice": lambda x: torch.add(x, torch.tanh(-x), alpha=2),
    "all of it, which is positive": lambda x: x.exp() * (torch.ones_like(x) > 0),
}


@pytest.mark.parametrize("form", NO_RELUS)
def test_what_only_looks_like_a_relu_keeps_its_gradient(form: str) -> None:
    """Behind a true ReLU, so that the rule holds somewhere: that one alone is changed."""
    net, x = Spelled(NO_RELUS[form]).eval(), clip((1, 3, 4, 6, 6))
    back = next(backproject(nn.Sequential(nn.ReLU(), net).eval(), x, [Unit("1.top", 1, UNIT.at)],
                            "guided"))  # fmt: skip
    leaf = x.relu().requires_grad_()
    (slope,) = torch.autograd.grad(net(leaf * 1)[(0, 1, *UNIT.at)], leaf)
    expected = slope[0].clamp_min(0) * (x[0] > 0)
    assert relative(back.values, expected) < 1e-5
    assert back.report.relus == 1


@pytest.mark.parametrize("rule", RULES)
def test_what_a_relu_gave_may_be_added_to_in_place(rule: str) -> None:
    """``x = F.relu(x); x += shortcut``, as networks with shortcuts write it."""

    class Added(Spelled):
        in_place = True

        def forward(self, x: Tensor) -> Tensor:
            x = F.relu(self.first(x))
            y = F.relu(self.second(x))
            if self.in_place:
                y += x
            else:
                y = y + x
            return self.top(y)

    net = Added(F.relu).eval()
    (found,) = backproject(net, clip((1, 3, 4, 8, 8)), [UNIT], rule)
    net.in_place = False
    (expected,) = backproject(net, clip((1, 3, 4, 8, 8)), [UNIT], rule)
    assert torch.equal(found.values, expected.values)
    assert found.values.any()


def test_threads_with_different_rules_stay_apart() -> None:
    """Also with masks on the way, and while one of them walks back."""
    net, x = Spelled(FORMS["product"]).eval(), clip((1, 3, 4, 6, 6))
    serial = {rule: one(net, x, rule) for rule in RULES}
    jobs = [rule for rule in RULES for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        for rule, values in zip(jobs, pool.map(lambda r: one(net, x, r), jobs), strict=True):
            assert torch.equal(values, serial[rule])
