"""Whatever a caller has switched on or wrapped, answers are the same and nothing is changed."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nets import PERTURBING, Residual, clip, mini_c3d, state
from torch import Tensor, nn

import c3d_viz as viz
from c3d_viz.engine import Unit, eval_view, flags, layer_tree, recording
from c3d_viz.engine.flags import HeldFlags, full_precision
from c3d_viz.errors import VizError
from c3d_viz.gradcam import grad_cam
from c3d_viz.methods import METHODS, Reading
from c3d_viz.methods.targets import Channel
from c3d_viz.nets.c3d import C3D

WALKING = [method for method in METHODS if method not in PERTURBING]
X = clip((1, 3, 4, 6, 6))
UNIT = Unit("down", 1, (0, 1, 1))


def everything(net: nn.Module, x: Tensor, unit: Unit = UNIT, layer: str = "second") -> list[Any]:
    maps = [viz.attribute(net, x, unit, method).values for method in WALKING]
    return [*maps, grad_cam(net, x, layer, unit).values, viz.trace(net, x, layer).output.numpy()]


# ---- nothing of the caller's is changed, and nothing of the caller's changes the answer


class Writes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = Residual()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.mul_(0.5).add_(1.0))


def test_a_model_that_writes_to_its_input_never_reaches_the_callers_clip() -> None:
    net, x = Writes().eval(), X.clone()
    unit = Unit("net.down", 1, (0, 1, 1))
    first = everything(net, x, unit, "net.second")
    Reading(net, x)
    list(viz.attribute_many(net, x, [Unit("net.down", 1)]))
    assert torch.equal(x, X)
    for one, other in zip(first, everything(net, x, unit, "net.second"), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_around_a_call_changes_nothing(dtype: torch.dtype) -> None:
    net, chain, y = Residual().eval(), mini_c3d(), clip()
    deep = Unit("relu3a", 1, (2, 3, 4))
    expected = [*everything(net, X), *everything(chain, y, deep, "relu2a")]
    with torch.autocast("cpu", dtype):
        found = [*everything(net, X), *everything(chain, y, deep, "relu2a")]
        assert torch.is_autocast_enabled("cpu")
    for one, other in zip(expected, found, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_threads_hold_and_free_the_flags_together() -> None:
    """The first to come keeps the caller's, the last to go puts them back, in either order."""
    caller = {"deterministic": False, "benchmark": True, "other": 5}
    for first_leaves_first in (True, False):
        cudnn = SimpleNamespace(**caller)
        held = HeldFlags(cudnn, {"deterministic": True, "benchmark": False})
        inside, leave = [threading.Event(), threading.Event()], [threading.Event() for _ in "ab"]

        def work(number: int, held: HeldFlags = held, inside=inside, leave=leave) -> None:  # type: ignore[no-untyped-def]
            with held.held():
                inside[number].set()
                leave[number].wait(20)

        threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
        for number, thread in enumerate(threads):
            thread.start()
            assert inside[number].wait(20)
            assert vars(cudnn) == {"deterministic": True, "benchmark": False, "other": 5}
        order = (0, 1) if first_leaves_first else (1, 0)
        leave[order[0]].set()
        threads[order[0]].join(20)
        assert vars(cudnn) == {"deterministic": True, "benchmark": False, "other": 5}
        leave[order[1]].set()
        threads[order[1]].join(20)
        assert vars(cudnn) == caller


def test_full_precision_holds_cudnns_flags_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cudnn = SimpleNamespace(deterministic=False, benchmark=True, allow_tf32=True)
    before = dict(vars(cudnn))
    monkeypatch.setattr(flags, "_CUDNN", HeldFlags(cudnn, flags._CUDNN._wanted))
    with full_precision(torch.device("cpu")):
        assert vars(cudnn) == before
    with pytest.raises(KeyError), full_precision(torch.device("cuda")):  # noqa: PT012
        with full_precision(torch.device("cuda")):
            pass
        assert vars(cudnn) == {"deterministic": True, "benchmark": False, "allow_tf32": False}
        raise KeyError
    assert vars(cudnn) == before


# ---- wrapped, compiled, called by keyword


class Keyword(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(8)
        self.conv, self.relu, self.top = nn.Conv3d(3, 4, 3), nn.ReLU(), nn.Conv3d(4, 2, 1)
        self.pool = nn.MaxPool3d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.top(input=self.relu(input=self.pool(input=self.conv(input=x))))


def test_modules_called_by_keyword() -> None:
    net = Keyword().eval()
    seen = viz.trace(net, X, switches=True)
    assert list(seen.activations) == ["conv", "pool", "relu", "top"]
    with torch.no_grad():
        pooled, taken = torch.nn.functional.max_pool3d(net.conv(X), 2, return_indices=True)
    assert torch.equal(seen.activations["pool"], pooled[0])
    assert torch.equal(seen.switches["pool"], taken[0])
    chain = nn.Sequential(net.conv, net.pool, net.relu, net.top).eval()
    for method in WALKING:
        values = viz.attribute(net, X, Unit("top", 1, (0, 1, 0)), method).values
        expected = viz.attribute(chain, X, Unit("3", 1, (0, 1, 0)), method).values
        np.testing.assert_allclose(values, expected, atol=1e-6)


def test_a_hook_is_called_rightly_while_another_thread_is_putting_it_in() -> None:
    """PyTorch notes that a hook wants keywords after it has put it in, and forgets it first."""
    net = Residual().eval()
    with recording(net, ["stem"], lambda _l, _m, x, output: torch.cat([x, output], 1)) as kept:
        net.stem._forward_hooks_with_kwargs.clear()
        net(X)
    assert torch.equal(kept["stem"], torch.cat([X, net.stem(X)], 1))


def test_names_go_through_wrappers_either_way() -> None:
    net = Residual().eval()
    expected = everything(net, X)
    parallel = nn.DataParallel(net)
    for wrapped in (parallel, torch.compile(net, backend="eager")):
        for unit, layer in (
            (UNIT, "second"),
            (Unit("module.down", 1, UNIT.at), "_orig_mod.second"),
        ):
            for one, other in zip(everything(wrapped, X, unit, layer), expected, strict=True):
                np.testing.assert_array_equal(one, other)
    assert viz.trace(net, X, "module.second").activations["module.second"].shape[0] == 4


def test_a_wrapped_c3d_keeps_the_papers_names(tiny_c3d: C3D) -> None:
    x = clip((1, 3, 16, 112, 112))
    seen = viz.trace(nn.DataParallel(tiny_c3d), x)
    assert list(seen.activations) == list(viz.trace(tiny_c3d, x).activations)
    values = seen.activations["conv2a"]
    assert torch.equal(values, viz.trace(tiny_c3d, x, "conv2a").activations["conv2a"])
    assert float(values.min()) == 0.0  # after the ReLU
    unit = Unit("conv2a", 1)
    one = viz.attribute(nn.DataParallel(tiny_c3d), x, unit, "guided")
    np.testing.assert_array_equal(one.values, viz.attribute(tiny_c3d, x, unit, "guided").values)


def test_compiled_parts_run_as_the_python_they_were_made_from() -> None:
    net = nn.Sequential(Residual(), nn.Conv3d(6, 2, 1)).eval()
    whole = copy.deepcopy(net)
    whole.compile(backend="eager")
    part = nn.Sequential(torch.compile(net[0], backend="eager"), net[1]).eval()
    unit = Unit("1", 1, (0, 1, 1))
    expected = everything(net, X, unit, "0.second")
    for compiled in (whole, part):
        for one, other in zip(everything(compiled, X, unit, "0.second"), expected, strict=True):
            np.testing.assert_array_equal(one, other)
    assert type(part[0]).__name__ == "OptimizedModule"


class Remembers(nn.Module):
    """Counts, averages and remembers in its forward, and a hook of its own writes to it."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.top = nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4), nn.Conv3d(4, 2, 3)
        self.register_buffer("seen", torch.zeros(()))
        self.last, self.heard = "nothing", "nothing"
        self.top.register_forward_hook(self._hear)

    def _hear(self, *_call: object) -> None:
        self.heard = "a call"

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        self.last = "a clip"
        norm = self.norm
        x = F.batch_norm(
            self.conv(x), norm.running_mean, norm.running_var, norm.weight, norm.bias, training=True
        )
        self.train()
        return self.top(x.relu())


ASKED: dict[str, Callable[[nn.Module, Tensor], object]] = {
    "trace": lambda net, x: viz.trace(net, x),
    "rule": lambda net, x: viz.attribute(net, x, Unit("top", 1), "guided"),
    "cam": lambda net, x: viz.attribute(net, x, Unit("top", 1), "gradcam"),
    "passes": lambda net, x: viz.attribute(net, x, Unit("top", 1), "smoothgrad"),
    "target": lambda net, x: viz.attribute(net, x, Channel("top", 1), "gradient"),
    "survey": lambda net, x: layer_tree(net, x.shape[1:]),
}


@pytest.mark.parametrize("asked", ASKED)
def test_what_a_forward_writes_to_its_own_module_is_not_written(asked: str) -> None:
    net, x = Remembers().eval(), clip((1, 3, 5, 8, 8))
    before = state(net)
    ASKED[asked](net, x)
    assert state(net) == before
    assert (net.last, net.heard) == ("nothing", "nothing")


def test_somebody_elses_hook_is_heard_by_itself_and_not_by_a_copy() -> None:
    class Listener:
        calls = 0

        def hear(self, *_call: object) -> None:
            self.calls += 1

    net, listener = Remembers(), Listener()
    net.conv.register_forward_hook(listener.hear)
    viz.trace(net, clip((1, 3, 5, 8, 8)), "conv")
    assert listener.calls >= 1


def test_a_model_in_eval_mode_that_cannot_be_copied_is_taken_as_it_is() -> None:
    net = Remembers().eval()
    net.lock = threading.Lock()
    assert eval_view(net) is net
    with pytest.raises(VizError, match=r"training mode .* call model\.eval\(\) first"):
        eval_view(net.train())
