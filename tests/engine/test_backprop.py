"""The three rules, proved against an independent walk, captum and numbers worked out by hand."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from nets import (
    FORMS,
    RULES,
    Normalised,
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
from c3d_viz.errors import LayerError, ShapeError, VizError


def one(model: nn.Module, x: Tensor, unit: Unit, rule: str) -> Tensor:
    return next(backproject(model, x, [unit], rule)).values


# ---- by hand


def point(*values: float) -> Tensor:
    """A clip of one pixel row: (1, 1, 1, 1, n)."""
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, 1, -1)


def mix(weights: list[list[float]]) -> nn.Conv3d:
    """A 1 x 1 x 1 convolution without bias; rows are outputs."""
    conv = nn.Conv3d(len(weights[0]), len(weights), 1, bias=False)
    conv.weight.data = torch.tensor(weights)[:, :, None, None, None]
    return conv


def test_three_rules_on_one_pixel() -> None:
    """x = 1; hidden 2x, -x, x; out = 3 h0 + 4 h1 - h2.

    Signals at the hidden ReLUs are 3, 4, -1; h1 is off in the forward pass. gradient keeps 3 and
    -1: 3*2 - 1*1 = 5. deconvnet keeps 3 and 4: 3*2 - 4*1 = 2. guided keeps 3: 6.
    """
    net = nn.Sequential(mix([[2.0], [-1.0], [1.0]]), nn.ReLU(), mix([[3.0, 4.0, -1.0]]), nn.ReLU())
    answers = {rule: float(one(net, point(1.0), Unit("3", 0, (0, 0, 0)), rule)) for rule in RULES}
    assert answers == {"gradient": 5.0, "deconvnet": 2.0, "guided": 6.0}
    back = next(backproject(net, point(1.0), [Unit("3", 0)], "guided"))
    assert back.activation == 3 * 2 - 1  # h1 is off, h2 = 1
    assert back.unit == Unit("3", 0, (0, 0, 0))


def test_rule_applies_at_the_units_own_relu() -> None:
    """Out = relu(-x) at x = 1 is dead: gradient and guided say 0, deconvnet sends -1 back."""
    net = nn.Sequential(mix([[-1.0]]), nn.ReLU())
    unit = Unit("1", 0, (0, 0, 0))
    answers = {rule: float(one(net, point(1.0), unit, rule)) for rule in RULES}
    assert answers == {"gradient": 0.0, "deconvnet": -1.0, "guided": 0.0}
    assert next(backproject(net, point(1.0), [unit], "guided")).activation == 0.0


def test_zero_counts_as_blocked() -> None:
    net = nn.Sequential(nn.ReLU(), mix([[1.0]]))
    unit = Unit("1", 0, (0, 0, 0))
    assert [float(one(net, point(0.0), unit, rule)) for rule in RULES] == [0.0, 1.0, 0.0]


def test_pooling_sends_the_signal_to_the_first_of_equal_maxima() -> None:
    net = nn.Sequential(nn.MaxPool3d((1, 1, 4)), mix([[2.0]]))
    for rule in RULES:
        values = one(net, point(1, 7, 7, 3), Unit("1", 0, (0, 0, 0)), rule)
        assert values.flatten().tolist() == [0, 2, 0, 0]


def test_overlapping_pools_sum_where_unpooling_overwrites() -> None:
    """Windows {0,1,2} and {2,3,4} both take cell 2; a convolution adds the two outputs up.

    Autograd, and with it this package, sends 1 + 1 to the cell. Unpooling by switches writes 1
    twice. docs/backprop.md says so.
    """
    pool = nn.MaxPool3d((1, 1, 3), stride=(1, 1, 2))
    add = nn.Conv3d(1, 1, (1, 1, 2), bias=False)
    add.weight.data.fill_(1.0)
    x = point(0, 1, 9, 1, 0)
    for rule in RULES:
        values = one(nn.Sequential(pool, add), x, Unit("1", 0, (0, 0, 0)), rule)
        assert values.flatten().tolist() == [0, 0, 2, 0, 0]
    _, switches = F.max_pool3d(x, (1, 1, 3), (1, 1, 2), return_indices=True)
    written = F.max_unpool3d(
        torch.ones(1, 1, 1, 1, 2), switches, (1, 1, 3), (1, 1, 2), output_size=x.shape[2:]
    )
    assert written.flatten().tolist() == [0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("top", "form"),
    [(6.0, nn.ReLU6()), (2.0, nn.Hardtanh(0, 2)), (2.0, nn.Hardtanh(0, 2, inplace=True))],
)
def test_a_relu_with_a_ceiling_also_blocks_above_it(top: float, form: nn.Module) -> None:
    net = nn.Sequential(mix([[1.0]]), form, mix([[-5.0]]))
    inside, above = point(top / 2), point(top + 1)
    at = Unit("2", 0, (0, 0, 0))
    assert [float(one(net, inside, at, rule)) for rule in RULES] == [-5, 0, 0]
    assert [float(one(net, above, at, rule)) for rule in RULES] == [0, 0, 0]


def test_other_activations_keep_their_gradient() -> None:
    net = nn.Sequential(nn.LeakyReLU(0.5), mix([[-3.0]]))
    at = Unit("1", 0, (0, 0, 0))
    assert [float(one(net, point(-1.0), at, rule)) for rule in RULES] == [-1.5, -1.5, -1.5]
    clipped = nn.Hardtanh(-1, 1)  # not a ReLU: its floor is not 0
    net = nn.Sequential(clipped, mix([[-3.0]]))
    assert [float(one(net, point(-0.5), at, rule)) for rule in RULES] == [-3, -3, -3]


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
        with pytest.raises(RuntimeError, match="on purpose"):
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
