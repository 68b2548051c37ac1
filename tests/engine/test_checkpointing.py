"""Activation checkpointing runs layers again on the way back: the maps stay the same."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.utils.checkpoint
from nets import clip, state
from torch import Tensor, nn

import c3d_viz as viz
from c3d_viz.engine import Unit, backproject
from c3d_viz.errors import VizError
from c3d_viz.gradcam import grad_cam
from c3d_viz.methods import METHODS


class Block(nn.Module):
    def __init__(self, checkpoint: bool, reentrant: bool) -> None:
        super().__init__()
        self.a, self.b = nn.Conv3d(3, 6, 3, padding=1), nn.Conv3d(6, 8, 3, padding=1)
        self.relu, self.checkpoint, self.reentrant = nn.ReLU(), checkpoint, reentrant

    def run(self, x: Tensor) -> Tensor:
        return self.relu(self.b(self.relu(self.a(x))))

    def forward(self, x: Tensor) -> Tensor:
        if not (self.checkpoint and x.requires_grad):
            return self.run(x)
        return torch.utils.checkpoint.checkpoint(self.run, x, use_reentrant=self.reentrant)


class Net(nn.Module):
    def __init__(self, checkpoint: bool = False, reentrant: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.block, self.fc = Block(checkpoint, reentrant), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.block(x).mean((2, 3, 4)))


X = clip((1, 3, 4, 8, 8))
FORWARD_ONLY = ("occlusion", "rise")
SMALL = {  # their defaults are for larger clips
    "occlusion": {"window": (2, 4, 4), "stride": (2, 4, 4)},
    "rise": {"masks": 8, "grid": (2, 3, 3)},
}
UNITS = [Unit("fc", 1, ()), Unit("block.b", 2, (1, 2, 3)), Unit("block.relu", 5), Unit("fc", 0)]
PLAIN, AGAIN = Net().eval(), Net(True).eval()


@pytest.mark.parametrize("method", METHODS)
def test_maps_of_a_checkpointed_net_are_those_of_the_plain_one(method: str) -> None:
    before = state(AGAIN)
    settings = SMALL.get(method)
    expected = list(viz.attribute_many(PLAIN, X, UNITS, method, settings=settings))
    found = list(viz.attribute_many(AGAIN, X, UNITS, method, settings=settings))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        assert one.values.any()
        assert (one.unit, one.activation, one.report) == (
            other.unit, other.activation, other.report,
        )  # fmt: skip
    assert state(AGAIN) == before


def test_grad_cam_and_trace_too() -> None:
    cam = grad_cam(AGAIN, X, "block.b", UNITS[0])
    assert cam.values.any()
    np.testing.assert_array_equal(cam.values, grad_cam(PLAIN, X, "block.b", UNITS[0]).values)
    for layer, values in viz.trace(PLAIN, X).activations.items():
        assert torch.equal(values, viz.trace(AGAIN, X).activations[layer])


def test_threads_do_not_hear_each_others_second_runs() -> None:
    jobs = [(method, unit) for method in ("guided", "gradient", "deconvnet") for unit in UNITS] * 2
    expected = [viz.attribute(PLAIN, X, unit, method).values for method, unit in jobs]
    start = threading.Barrier(4)

    def work(number: int) -> list[np.ndarray]:
        start.wait()
        return [viz.attribute(AGAIN, X, unit, method).values for method, unit in jobs[number::4]]

    with ThreadPoolExecutor(4) as pool:
        for number, maps in enumerate(pool.map(work, range(4))):
            for values, wanted in zip(maps, expected[number::4], strict=True):
                np.testing.assert_array_equal(values, wanted)


@pytest.mark.parametrize("method", [name for name in METHODS if name not in FORWARD_ONLY])
@pytest.mark.parametrize("unit", UNITS[:2])
def test_the_re_entrant_kind_is_refused_in_one_line(method: str, unit: Unit) -> None:
    net = Net(True, True).eval()
    with pytest.raises(VizError, match=r"use_reentrant=False|re-entrant checkpoint") as refused:
        viz.attribute(net, X, unit, method)
    assert "\n" not in str(refused.value)
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("method", FORWARD_ONLY)
def test_methods_of_forward_passes_take_the_re_entrant_kind(method: str) -> None:
    net, settings = Net(True, True).eval(), SMALL[method]
    again = viz.attribute(net, X, UNITS[1], method, settings=settings).values
    plain = viz.attribute(PLAIN, X, UNITS[1], method, settings=settings).values
    np.testing.assert_array_equal(again, plain)


def test_a_second_run_that_fails_leaves_no_rule_behind() -> None:
    """The error is the model's own; ReLUs of this thread go back as ever afterwards."""

    runs: list[int] = []

    class Once(Block):
        def run(self, x: Tensor) -> Tensor:
            runs.append(1)
            if len(runs) > 1:
                raise KeyError("run again")
            return super().run(x)

    net = Net().eval()
    net.block = Once(True, False).eval()
    with pytest.raises(KeyError, match="run again"):
        list(backproject(net, X, UNITS[:1], "deconvnet"))
    probe = torch.tensor([-1.0], requires_grad=True)
    torch.relu(probe).backward(torch.tensor([1.0]))
    assert float(probe.grad) == 0.0  # deconvnet would have sent 1
    assert torch.overrides._get_current_function_mode_stack() == []
