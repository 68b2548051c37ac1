"""The three rules on numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from engines import one, point
from nets import RULES
from torch import Tensor, nn

from c3d_viz.engine.general import backproject
from c3d_viz.engine.tracing import Unit


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
    net = nn.Sequential(nn.ReLU(), nn.MaxPool3d((1, 1, 4)), mix([[2.0]]))
    for rule in RULES:
        values = one(net, point(1, 7, 7, 3), Unit("2", 0, (0, 0, 0)), rule)
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
        values = one(nn.Sequential(nn.ReLU(), pool, add), x, Unit("2", 0, (0, 0, 0)), rule)
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
    # at the ceiling itself it is shut, as at 0: only what arrives negative needs the forward pass
    positive = nn.Sequential(mix([[1.0]]), form, mix([[5.0]]))
    for edge in (0.0, top):
        found = [float(one(positive, point(edge), at, rule)) for rule in RULES]
        assert found == [0, 5, 0]


def test_other_activations_keep_their_gradient() -> None:
    top = (mix([[-3.0]]), nn.ReLU(), mix([[1.0]]))
    net = nn.Sequential(nn.LeakyReLU(0.5), *top)
    at = Unit("3", 0, (0, 0, 0))
    assert [float(one(net, point(-1.0), at, rule)) for rule in RULES] == [-1.5, -1.5, -1.5]
    clipped = nn.Hardtanh(-1, 1)  # not a ReLU: its floor is not 0
    net = nn.Sequential(clipped, *top)
    assert [float(one(net, point(-0.5), at, rule)) for rule in RULES] == [-3, -3, -3]


IN_PLACE = {
    "relu": lambda x: F.relu(x, True),
    "relu_": torch.relu_,
    "clamp_": lambda x: x.clamp_(0),
    "clamp_min_": lambda x: x.clamp_min_(0),
    "threshold": lambda x: F.threshold(x, 0, 0, True),
    "threshold by name": lambda x: F.threshold(x, threshold=0, value=0, inplace=True),
    "relu6": lambda x: F.relu6(x, True),
    "hardtanh": lambda x: F.hardtanh(x, 0.0, 9.0, True),
}


@pytest.mark.parametrize("form", list(IN_PLACE))
@pytest.mark.parametrize("rule", RULES)
def test_what_reads_a_tensor_after_a_relu_in_place_reads_what_it_left(form: str, rule: str) -> None:
    """Both ways from the tensor lead through the ReLU: by hand 2 g + 3 g where it let through."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.start = mix([[1.0, 0.0], [0.0, 1.0]])
            self.end = mix([[2.0, 2.0]])

        def forward(self, x: Tensor) -> Tensor:
            x = self.start(x)
            answer = IN_PLACE[form](x)
            return self.end(answer) + 3 * x.sum(1, keepdim=True)

    x = torch.tensor([4.0, -1.0]).view(1, 2, 1, 1, 1)
    found = next(backproject(nn.Sequential(Twice()), x, [Unit("0", 0, (0, 0, 0))], rule))
    assert found.activation == 2 * 4 + 3 * 4
    passed = [5.0, 5.0 if rule == "deconvnet" else 0.0]
    assert found.values.flatten().tolist() == passed
