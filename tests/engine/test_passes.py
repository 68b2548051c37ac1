"""One pass serves all who ask: the same bits whatever else is asked for, and no pass too many."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from nets import MINI_INPUT, RULES, Residual, clip, mini_c3d
from torch import Tensor, nn

from c3d_viz.engine import passes
from c3d_viz.engine.general import backproject
from c3d_viz.engine.graph import walk
from c3d_viz.engine.passes import Pass
from c3d_viz.engine.tracing import activation, peak, trace
from c3d_viz.engine.units import Unit
from c3d_viz.errors import LayerError
from c3d_viz.nets.c3d import C3D, initialise


@pytest.fixture(scope="module")
def c3d() -> tuple[C3D, Tensor]:
    model = C3D(5, width=16, fc=32).eval()
    initialise(model, 3)
    return model, clip((1, 3, 16, 112, 112)) * 50


def forbidden(*_: Any, **__: Any) -> None:
    pytest.fail("another forward pass")


def test_an_activation_has_the_models_own_bits_whatever_else_is_asked_for(
    c3d: tuple[C3D, Tensor],
) -> None:
    model, x = c3d
    seen = trace(model, x)
    units = [peak(seen, layer, 1) for layer in seen.activations]
    units += [Unit("conv1a", 3, (4, 9, 9)), Unit("conv3b", 2, (0, 27, 3)), Unit("conv5b", 0)]
    expected = [activation(seen, unit) for unit in units]
    together = list(Pass(model, x).back(units, "guided"))
    assert [back.activation for back in together] == expected
    assert [value for _, value in Pass(model, x).find(units)] == expected
    for unit, value in zip(units, expected, strict=True):
        assert next(Pass(model, x).back([unit], "deconvnet")).activation == value, unit
        assert Pass(model, x).find([unit])[0][1] == value, unit
    recalled = Pass(model, x, seen).back(units, "guided")
    for back, other in zip(recalled, together, strict=True):
        assert back.unit == other.unit
        assert back.activation == other.activation
        assert torch.equal(back.values, other.values), back.unit


@pytest.mark.parametrize("rule", RULES)
def test_what_was_found_is_walked_back_without_another_pass(rule: str, monkeypatch: Any) -> None:
    net, x = mini_c3d(), clip()
    wanted = [Unit("relu5b", 1), Unit("relu3b", 2, (3, 5, 6)), Unit("fc7", 0)]
    expected = list(Pass(net, x).back(wanted, rule))
    seen = Pass(net, x)
    found = [unit for unit, _ in seen.find(wanted)]
    of_trace = Pass(net, x, trace(net, x))
    monkeypatch.setattr(passes, "run", forbidden)
    monkeypatch.setattr(walk, "run", forbidden)
    for each in (seen, of_trace):
        for units in (wanted, found):  # with and without the position that was found
            for back, other in zip(each.back(units, rule), expected, strict=True):
                assert back.unit == other.unit
                assert torch.equal(back.values, other.values)
        assert each.find(found) == each.find(wanted)


def test_a_trace_that_lacks_a_layer_is_made_up_for() -> None:
    net, x = mini_c3d(), clip()
    unit = Unit("relu3b", 2, (3, 5, 6))
    part = Pass(net, x, trace(net, x, ["relu3b"]))  # pool1 hangs on relu1a, which is not there
    (back,), (other,) = part.back([unit], "guided"), Pass(net, x).back([unit], "guided")
    assert torch.equal(back.values, other.values)
    assert back.activation == other.activation


class Gated(Residual):
    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.stem(x))
        return self.relu(self.down(x * torch.sigmoid(self.first(x))))


@pytest.mark.parametrize("seen", [False, True])
def test_any_other_network_goes_by_autograd(seen: bool) -> None:
    net, x = Gated().eval(), clip((1, 3, 4, 6, 6))
    asked = Pass(net, x, trace(net, x) if seen else None)
    assert asked.slow("stem") is None
    assert asked.slow("down") == "sigmoid is not known to the fast engine"
    peaks = asked.peaks("down")
    assert [unit.channel for unit, _ in peaks] == list(range(6))
    assert [value for _, value in peaks] == trace(net, x, ["down"]).activations["down"].amax(
        dim=(1, 2, 3)
    ).tolist()
    units = [unit for unit, _ in peaks]
    for back, other in zip(
        asked.back(units, "guided"), backproject(net, x, units, "guided"), strict=True
    ):
        assert torch.equal(back.values, other.values)
    assert asked.alone(units[0]) is None


def test_peaks_are_every_channel_at_its_strongest() -> None:
    net, x = mini_c3d(), clip()
    answers = trace(net, x, ["relu4b"])
    assert Pass(net, x).peaks("relu4b") == [
        (unit := peak(answers, "relu4b", channel), activation(answers, unit))
        for channel in range(len(answers.activations["relu4b"]))
    ]
    assert Pass(net, x).alone(Unit("relu1a", 0, (3, 9, 9))).x.shape[1:] != MINI_INPUT[1:]
    with pytest.raises(LayerError, match="channels 0-15, got 16"):
        Pass(net, x).find([Unit("relu4b", 16)])


def test_a_module_called_twice_is_no_reason_to_answer_with_its_last_call() -> None:
    torch.manual_seed(5)
    relu = nn.ReLU()
    net = nn.Sequential(nn.Conv3d(3, 4, 3), relu, nn.Conv3d(4, 2, 3), relu).eval()
    x = clip((1, 3, 6, 9, 9))
    unit = Unit("1", 1, (1, 2, 2))  # its last call
    asked = Pass(net, x, trace(net, x))  # the first call's answer is in no trace
    (back,), (other,) = asked.back([unit], "gradient"), backproject(net, x, [unit], "gradient")
    assert torch.allclose(back.values, other.values, atol=1e-6)


def test_a_trace_of_c3d_is_all_that_a_walk_needs(c3d: tuple[C3D, Tensor], monkeypatch: Any) -> None:
    """Its layers are the ReLUs' outputs: a ReLU decides of its output as of its input."""
    model, x = c3d
    seen = trace(model, x)
    monkeypatch.setattr(walk, "run", forbidden)
    for layer in ("conv3b", "fc8"):
        (back,) = Pass(model, x, seen).back([peak(seen, layer, 1)], "guided")
        assert back.values.abs().max() > 0
