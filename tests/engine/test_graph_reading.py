"""Which networks the fast engine knows, and why not the others."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from engines import graph_for, unknown
from nets import Residual, clip, state
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from c3d_viz.engine.graph.operations import operation
from c3d_viz.engine.graph.reading import graph_of
from c3d_viz.engine.graph.steps import ReLU
from c3d_viz.nets.c3d import C3D

SHAPE = (2, 4, 8, 8)


class Calls(nn.Module):
    """What a function does with a convolution's answer."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv3d(2, 4, 3, padding=1), function
        self.register_buffer("ones", torch.ones(4, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.conv(x), self)


def why(function: Any) -> str:
    return unknown(Calls(function).eval(), *SHAPE)


def test_what_is_known() -> None:
    for module in (
        nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), nn.MaxPool3d(3, 2, 1), nn.MaxPool3d(2),
        nn.MaxPool3d(2, 2, dilation=2), nn.AvgPool3d(2), nn.AvgPool3d(3, 1, 1), nn.Identity(),
        nn.AdaptiveAvgPool3d(1), nn.AdaptiveAvgPool3d((2, None, 4)), nn.AdaptiveMaxPool3d(2),
        nn.BatchNorm3d(4), nn.Dropout3d(), nn.Conv3d(4, 2, 3, (1, 2, 3), 1, 2, 2), nn.Flatten(),
        nn.Conv3d(4, 2, 3, padding="same"),
        nn.utils.parametrizations.weight_norm(nn.Conv3d(4, 2, 1)),
        nn.Sequential(nn.Flatten(), nn.Linear(1024, 3)),
    ):  # fmt: skip
        assert unknown(nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), module).eval(), *SHAPE) == ""
    for function in (
        lambda x, _: x + x, lambda x, _: x.clone().add_(x), lambda x, _: F.relu(x, inplace=True),
        lambda x, _: torch.cat((x, x), 1), lambda x, _: x.mean((-1, -2, -3), keepdim=True),
        lambda x, net: x * net.ones, lambda x, net: (x - net.ones) / 2 * net.ones + 1,
        lambda x, _: x.view(x.size(0), -1), lambda x, _: x.mean([2, 3, 4]), lambda x, _: x.mul_(2),
        lambda x, _: checkpoint(torch.relu, x, use_reentrant=False),
        lambda x, _: x.clamp(min=0), lambda x, _: F.dropout(x, training=False).contiguous(),
        lambda x, _: F.relu(x * -2) + x, lambda x, _: F.relu(x) + x,
    ):  # fmt: skip
        assert why(function) == ""
    assert unknown(Residual().eval(), 3, 4, 8, 8) == ""


def _behind(x: Tensor, _net: nn.Module) -> Tensor:
    view = x.flatten(1)
    view.mul_(2)
    return x


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 1

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> Tensor:
        return -signals[0]


def test_what_is_not_known_says_why() -> None:
    for function, reason in (
        (lambda x, _: torch.sigmoid(x), "sigmoid is not known"),
        (lambda x, _: x * torch.sigmoid(x), "sigmoid is not known"),
        (lambda x, _: x * (x > 0), "gt is not known"),
        (lambda x, _: x[:, :2], "is not known"),
        (lambda x, _: x.mul_(x), "mul_ is not known"),
        (lambda x, _: x + x[:, :1], "is not known"),
        (lambda x, _: torch.cat((x, x), 2), "cat is not known"),
        (lambda x, _: x.mean([3, 4]), "mean is not known"),
        (lambda x, _: x.amax((2, 3, 4)), "amax is not known"),
        (lambda x, _: x.flatten(2), "flatten does not give one clip"),
        (lambda x, _: x.double().relu(), "is not known"),
        (lambda x, _: F.avg_pool3d(x, 3, 2, 1, count_include_pad=False), "avg_pool3d is not known"),
        (lambda x, _: F.avg_pool3d(x, 3, 2, 0, True), "avg_pool3d is not known"),
        (lambda x, _: F.adaptive_avg_pool3d(x, 3), "adaptive_avg_pool3d is not known"),
        (lambda x, _: F.max_pool3d(x, 2, return_indices=True)[0], "is not known"),
        (lambda x, _: F.batch_norm(x, None, None, training=True), "batch_norm is not known"),
        (lambda x, _: torch.add(x, x, alpha=2), "add is not known"),
        (lambda x, _: x.detach().relu(), "detach is not known"),
        (lambda x, _: x + torch.relu(-1 * x), "of x and relu(-x) is not known"),
        (lambda x, _: F.relu(x.clone().mul_(-1)) + x, "of x and relu(-x) is not known"),
        (lambda x, _: x * -2 + F.relu(x / 0.5), "of x and relu(-x) is not known"),
        (lambda x, _: torch.relu(x) - x, "sub is not known"),
        (lambda x, _: F.relu(x) if x.sum() > 0 else x, "it does not run on shapes"),
        (_behind, "a view of it is written to"),
        (lambda x, _: _Reversed.apply(x), "gradients are cut off"),
        (lambda x, _: checkpoint(torch.relu, x, use_reentrant=True), "cut off"),
        (lambda x, _: (x, x), "returns tuple"),
    ):  # fmt: skip
        assert reason in why(function), (reason, why(function))
    assert unknown(nn.Conv3d(3, 2, 1), *SHAPE).startswith("it does not run on shapes (RuntimeError")
    assert unknown(C3D(5, width=1, fc=4), 3, 16, 112, 112) == ""
    assert unknown(C3D(5, width=1, fc=4), 3, 16, 56, 56) != ""


def test_under_autocast_and_without_gradients_nothing_is_known() -> None:
    def cast(x: Tensor, _net: nn.Module) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return torch.relu(x)

    def cut(x: Tensor, _net: nn.Module) -> Tensor:
        with torch.no_grad():
            return torch.relu(x)

    assert why(cast) == "relu runs under autocast"
    assert why(cut) == "relu runs where gradients are cut off"


def test_what_comes_before_the_unknown_is_known() -> None:
    net = Calls(lambda x, _: torch.sigmoid(x)).eval()
    graph = graph_for(net, *SHAPE)
    assert graph.level_of(net, "conv") == 1
    assert graph.overwrites  # it may, for all that is known


@pytest.mark.parametrize(
    "register",
    [
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
    ],
)
def test_whoever_hooks_into_a_module_is_heard(register: str) -> None:
    """The explicit walk calls no module, so a network with somebody's hooks is left to autograd."""
    net = nn.Sequential(nn.Conv3d(2, 2, 1), nn.ReLU(), nn.Conv3d(2, 2, 1))
    for module in (net[0], net[1]):
        handle = getattr(module, register)(lambda *_: None)
        assert unknown(net, *SHAPE).startswith("somebody's hooks are registered on")
        handle.remove()
        assert unknown(net, *SHAPE) == ""


def test_a_functional_and_a_patched_network_are_read_as_they_run() -> None:
    class Doubled(C3D):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x * 2)

    graph = graph_for(Doubled(5, width=1, fc=4), 3, 16, 112, 112)
    assert [type(step).__name__ for step in graph.steps[:4]] == ["Step", "Affine", "Conv", "ReLU"]
    patched = nn.ReLU()
    patched.forward = lambda x: torch.tanh(x)  # type: ignore[method-assign]
    assert unknown(nn.Sequential(patched), *SHAPE) == "tanh is not known to the fast engine"


def test_a_layer_is_what_it_was_when_its_module_returned() -> None:
    """Also where an in-place ReLU overwrites it next; a module used twice has two answers."""
    net = Residual().eval()
    graph = graph_of(net, clip((1, 3, 4, 8, 8)))
    assert not isinstance(graph.steps[graph.level_of(net, "stem")], ReLU)
    assert [graph.level_of(net, f"relu#{call}") for call in range(4)] == [2, 4, 7, 9]
    assert graph.level_of(net, "relu") == 9
    assert graph.overwrites


def test_reading_leaves_no_trace_in_the_model_and_disturbs_no_thread() -> None:
    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.seen, self.runs = nn.Conv3d(2, 2, 1), [], 0
            self.register_buffer("count", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.runs += 1
            self.last = self.conv(x)
            self.seen.append(self.last)
            return torch.relu(self.last)

    net = Keeps().eval()
    before = state(net), dict(vars(net))
    assert unknown(net, *SHAPE) == ""
    assert (state(net), dict(vars(net))) == before
    assert net.seen == []

    stop = threading.Event()
    problems: list[BaseException] = []

    def hooks() -> None:  # of another thread, which comes and goes all the time
        while not stop.is_set():
            net.conv.register_forward_hook(lambda *_: None).remove()

    thread = threading.Thread(target=hooks)
    thread.start()
    try:
        for _ in range(20):
            graph = graph_for(net, *SHAPE)
            if graph.reason and "hooks" not in graph.reason:
                problems.append(AssertionError(graph.reason))
    finally:
        stop.set()
        thread.join()
    assert not problems


@pytest.mark.parametrize("ceil", [False, True])
def test_shapes_that_are_told_are_those_of_pytorch(ceil: bool) -> None:
    told = 0
    for kernel, stride, padding, dilation in itertools.product(
        (1, 2, 3, 5), (1, 2, 3), (0, 1, 2), (1, 2)
    ):
        x = torch.empty(1, 4, 5, 7, 8, device="meta")
        weight, pooled = (
            torch.empty(6, 2, *(kernel,) * 3),
            (kernel, stride, padding, dilation, ceil),
        )
        for func, args, on_meta in (
            (F.conv3d, (x, weight, None, stride, padding, dilation, 2), (x, weight.to("meta"))),
            (F.max_pool3d, (x, *pooled), (x,)),
        ):
            makes = operation(func, args, {}).makes
            try:
                answer = func(*on_meta, *args[len(on_meta) :])
            except RuntimeError:
                assert makes is None
                continue
            if 0 in answer.shape:  # older PyTorch lets a kernel on shapes be larger than its clip
                assert makes is None
                continue
            assert tuple(makes) == tuple(answer.shape), (func, args[1:])
            told += 1
    assert told > 80
    small = torch.empty(1, 3, 5, 7, 8, device="meta")
    assert operation(F.conv3d, (small, torch.empty(6, 2, 1, 1, 1)), {}).makes is None
    assert (
        operation(F.linear, (torch.empty(1, 3, device="meta"), torch.empty(6, 2)), {}).makes is None
    )


def test_reading_a_chain_does_without_symbolic_algebra() -> None:
    """PyTorch's own functions for shapes import it, which takes a second of every command."""
    code = (
        "import sys, torch, c3d_viz as viz\n"
        "model, spec = viz.load_model('compact', 'random')\n"
        "before = 'sympy' in sys.modules\n"  # older PyTorch takes it for weights without storage
        "unit = viz.Unit('conv1a', 0, (0, 0, 0))\n"
        "viz.attribute(model, torch.zeros(1, *spec.input.shape), unit)\n"
        "sys.exit('sympy' in sys.modules and not before)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
