"""A map that would be the plain gradient is refused, and one that is so in part says it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from nets import Residual, clip, mini_c3d
from torch import Tensor, nn

import c3d_viz as viz
from c3d_viz.engine import RuleReport, Unit, backproject
from c3d_viz.errors import VizError

X = clip((1, 3, 4, 6, 6))
AT = (1, 3, 2)


def net_of(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(5)
    between = [m for layer in layers for m in (layer, nn.Conv3d(4, 4, 3, padding=1))]
    return nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), *between).eval()


class Functional(nn.Module):
    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def rectified(x: Tensor) -> Tensor:
    return torch.relu(x * 1.0)


class Squashed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, g):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return g * torch.sigmoid(x)


OTHERS: list[tuple[nn.Module, str]] = [
    (nn.SiLU(), "SiLU"),
    (nn.SiLU(inplace=True), "SiLU"),
    (nn.GELU(), "GELU"),
    (nn.ELU(), "ELU"),
    (nn.SELU(), "SELU"),
    (nn.CELU(), "CELU"),
    (nn.LeakyReLU(), "LeakyReLU"),
    (nn.PReLU(4), "PReLU"),
    (nn.RReLU(), "RReLU"),
    (nn.Hardswish(), "Hardswish"),
    (nn.Hardsigmoid(), "Hardsigmoid"),
    (nn.Sigmoid(), "Sigmoid"),
    (nn.Tanh(), "Tanh"),
    (nn.Softplus(), "Softplus"),
    (nn.Mish(), "Mish"),
    (nn.Hardtanh(), "Hardtanh"),
    (nn.Threshold(0.1, 0.0), "Threshold"),
    (Functional(F.silu), "SiLU"),
    (Functional(F.gelu), "GELU"),
    (Functional(lambda x: x * torch.sigmoid(x)), "Sigmoid, product of activations"),
    (Functional(lambda x: (x + x.abs()) / 2), "abs"),
    (Functional(lambda x: torch.maximum(x, -x)), "maximum"),
    (Functional(lambda x: x * (x > 0.1)), "comparison"),
    (Functional(lambda x: x * (x.detach() > 0.1).float().mul(2)), "comparison"),
    (Functional(lambda x: x * (x.roll(1, 1) > 0)), "comparison"),
    (Functional(lambda x: x * x.sign()), "sign"),
    (Functional(lambda x: x.clone().masked_fill_(x < 0.1, 0)), "masked_fill"),
    (Functional(Squashed.apply), "Squashed (an autograd function of its own)"),
]


@pytest.mark.parametrize(("other", "name"), OTHERS, ids=lambda v: v if isinstance(v, str) else "")
def test_activations_that_no_rule_changes_are_named(other: nn.Module, name: str) -> None:
    alone, unit = net_of(other), Unit("2", 1, AT)
    for rule in ("deconvnet", "guided"):
        with pytest.raises(VizError) as refused:
            viz.attribute(alone, X, unit, rule)
        said = str(refused.value)
        assert said == (
            f"{rule} changes ReLUs only, and the way from 2 to the clip has none (only {name}): "
            f"the map would be the plain gradient; ask for method 'gradient'"
        )
    assert viz.attribute(alone, X, unit, "gradient").notes == ()
    mixed = net_of(other, nn.ReLU(), nn.ReLU())
    att = viz.attribute(mixed, X, Unit("6", 1, AT), "guided")
    assert att.report == RuleReport(2, tuple(name.split(", ")))
    assert att.notes == (
        f"guided holds at ReLUs only: 2 ReLUs on this unit's way; {name} there kept the ordinary "
        f"gradient.",
    )
    assert viz.attribute(mixed, X, Unit("6", 1, AT), "gradient").notes == ()
    assert viz.attribute(mixed, X, Unit("6", 1, AT), "input_x_gradient").notes == ()


def test_an_operation_without_gradient_is_a_step_to_the_rules_and_refused_elsewhere() -> None:
    step = Functional(lambda x: x + torch.heaviside(x, torch.zeros(1)))
    net, unit = net_of(step, nn.ReLU()), Unit("4", 1, AT)
    att = viz.attribute(net, X, unit, "guided")
    assert att.report == RuleReport(1, ("comparison",))
    plain = viz.attribute(net_of(nn.Identity(), nn.ReLU()), X, unit, "gradient")
    assert not (plain.values == viz.attribute(net, X, unit, "gradient").values).all()
    for method in ("input_x_gradient", "integrated_gradients"):
        with pytest.raises(VizError, match="an operation for which PyTorch has no gradient"):
            viz.attribute(net, X, unit, method)


def test_a_way_without_any_activation_is_refused_by_both_engines() -> None:
    chain = mini_c3d()
    linear = nn.Sequential(nn.Conv3d(3, 2, 3), nn.AvgPool3d(2)).eval()
    for net, x, layer in ((chain, clip(), "conv1a"), (linear, X, "1")):
        for rule in ("deconvnet", "guided"):
            with pytest.raises(VizError, match=f"from {layer} to the clip has none .nor any"):
                viz.attribute(net, x, Unit(layer, 0), rule)
        assert viz.attribute(net, x, Unit(layer, 0), "gradient").values.any()


def test_only_what_lies_between_the_unit_and_the_clip_counts() -> None:
    """ReLUs above the unit, beside its way, or of a weight: none of them is on the way."""

    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.first, self.above = nn.Conv3d(3, 2, 1), nn.Conv3d(2, 2, 1)
            self.gate = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            aside = F.relu(x).mean()
            x = self.first(x) * torch.sigmoid(self.gate).relu()
            return self.above(F.silu(x)) + aside

    net = Beside().eval()
    with pytest.raises(VizError, match=r"from first to the clip has none \(nor any"):
        next(backproject(net, X, [Unit("first", 0)], "guided"))
    with pytest.raises(VizError, match=r"from above to the clip has none \(only SiLU\)"):
        next(backproject(net, X, [Unit("above", 0)], "guided"))


def test_a_unit_whose_own_way_has_no_relu_is_refused_though_its_layer_has_some() -> None:
    """Channels 0-1 come through a ReLU, 2-3 through a SiLU, side by side in one layer."""

    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.conv, self.join = nn.Conv3d(3, 2, 1), nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return self.join(torch.cat([F.relu(x), F.silu(x)], dim=1))

    net = Halves().eval()
    back = next(backproject(net, X, [Unit("join", 0)], "guided"))
    assert back.report == RuleReport(1, ("SiLU",))
    with pytest.raises(VizError, match=r"only SiLU"):
        next(backproject(net, X, [Unit("join", 2)], "guided"))


def test_a_dead_unit_is_no_unit_without_relus() -> None:
    net = net_of(nn.ReLU())
    net[0].weight.data.zero_()
    net[0].bias.data.fill_(-1)
    net[2].weight.data.zero_()
    att = viz.attribute(net, X, Unit("2", 1, AT), "guided")
    assert not att.values.any()
    assert att.report == RuleReport(1)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_a_relu_that_no_rule_can_reach_is_not_called_one() -> None:
    net = net_of(Functional(torch.jit.script(rectified)))
    with pytest.raises(VizError, match="has none"):
        viz.attribute(net, X, Unit("2", 1, AT), "guided")


def test_both_engines_count_alike() -> None:
    """C3D as a chain is walked, and by autograd once somebody's hook hangs on it."""
    net, x = mini_c3d(), clip()
    for layer, relus in (("relu1a", 1), ("relu3b", 4), ("conv4b", 5), ("fc6", 8), ("fc7", 9)):
        walked = viz.attribute(net, x, Unit(layer, 1), "deconvnet")
        (back,) = backproject(net, x, [walked.unit], "deconvnet")
        assert walked.report == back.report == RuleReport(relus)
        assert walked.notes == ()
    assert viz.attribute(net, x, Unit("relu3b", 1), "gradient").report is None
    residual = viz.attribute(Residual().eval(), X, Unit("down", 0), "guided")
    assert residual.report == RuleReport(3)


@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * x.sign().clamp(min=0),
        lambda x: x * torch.relu(x.sign()),
        lambda x: x * torch.relu(2 * x.sgn()),
        lambda x: x * torch.relu(x.floor() + x.ceil() + x.round() + x.trunc()),
    ],
)
def test_a_relu_that_no_gradient_crosses_is_none(
    function: Callable[[Tensor], Tensor], rule: str
) -> None:
    unit = Unit("2", 1, AT)
    with pytest.raises(VizError, match=r"to the clip has none \(only "):
        list(backproject(net_of(Functional(function)), X, [unit], rule))
    with_relu = net_of(Functional(lambda x: function(x) + torch.relu(x)))
    (back,) = backproject(with_relu, X, [unit], rule)
    assert back.report is not None
    assert back.report.relus == 1


@pytest.mark.parametrize(
    "function",
    [torch.relu, nn.ReLU(inplace=True), lambda x: x.clamp(min=0), lambda x: x * (x > 0),
     lambda x: torch.maximum(x, torch.zeros(()))],
)  # fmt: skip
def test_a_relu_inside_vmap_is_refused_and_has_its_gradient(
    function: Callable[[Tensor], Tensor],
) -> None:
    unit = Unit("4", 1, AT)
    net = net_of(nn.ReLU(), Functional(torch.vmap(function)))
    for rule in ("guided", "deconvnet"):
        with pytest.raises(VizError, match=r"inside torch\.vmap or another transform"):
            list(backproject(net, X, [unit], rule))
    (back,) = backproject(net, X, [unit], "gradient")
    (plain,) = backproject(net_of(nn.ReLU(), nn.ReLU()), X, [unit], "gradient")
    assert back.values.any()
    assert torch.equal(back.values, plain.values)
    twice = Functional(torch.vmap(lambda x: 2 * x))
    (back,) = backproject(net_of(nn.ReLU(), twice), X, [unit], "guided")
    assert back.report is not None
    assert back.report.relus == 1


def test_what_is_overwritten_is_no_part_of_the_way() -> None:
    class Overwritten(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.silu(x + 1).copy_(torch.relu(x))

    (found,) = backproject(net_of(Overwritten()), X, [Unit("2", 1, AT)], "guided")
    (plain,) = backproject(net_of(nn.ReLU()), X, [Unit("2", 1, AT)], "guided")
    assert found.report == RuleReport(1)
    assert torch.equal(found.values, plain.values)
