"""Traces hold what the layers really answered, and the model never notices."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from nets import Normalised, Residual, clip, mini_c3d, state
from torch import Tensor, nn

from c3d_viz.engine.tracing import Trace, Unit, activation, locate, peak, top_units, trace, units_at
from c3d_viz.errors import LayerError, ShapeError, VizError
from c3d_viz.methods import attribute_many
from c3d_viz.nets.c3d import C3D, LAYERS


def test_activations_switches_and_output_of_c3d(tiny_c3d: C3D) -> None:
    x = clip((1, 3, 16, 112, 112))
    seen = trace(tiny_c3d, x, switches=True)
    assert tuple(seen.activations) == LAYERS
    value, switches = x, {}
    with torch.no_grad():
        for name, module in tiny_c3d.named_children():
            if isinstance(module, nn.MaxPool3d):
                value, switches[name] = F.max_pool3d(
                    value, module.kernel_size, module.stride, module.padding,
                    ceil_mode=module.ceil_mode, return_indices=True,
                )  # fmt: skip
            else:
                value = module(value)
            for layer in LAYERS:
                if name == (f"relu{layer.lstrip('convf')}" if layer != "fc8" else "fc8"):
                    assert torch.equal(seen.activations[layer], value[0]), layer
    assert torch.equal(seen.output, value)
    assert list(seen.switches) == ["pool1", "pool2", "pool3", "pool4", "pool5"]
    for name, indices in switches.items():
        assert seen.switches[name].dtype == torch.int64
        assert torch.equal(seen.switches[name], indices[0])


def test_switches_stop_at_the_deepest_layer_and_cost_nothing_unless_asked_for() -> None:
    net, x = mini_c3d(), clip()
    assert list(trace(net, x, ["relu3a"], switches=True).switches) == ["pool1", "pool2"]
    assert list(trace(net, x, ["pool3"], switches=True).switches) == ["pool1", "pool2", "pool3"]
    assert list(trace(net, x, ["relu1a"], switches=True).switches) == []
    assert trace(net, x, ["relu3a"]).switches == {}
    assert list(trace(net, x, "relu3a").activations) == ["relu3a"]


def test_an_in_place_relu_does_not_overwrite_what_was_traced() -> None:
    net, x = Residual().eval(), clip((1, 3, 4, 6, 6))
    seen = trace(net, x, ["stem", "first", "down"]).activations
    with torch.no_grad():
        stem = net.stem(x)
        first = net.first(stem.relu())
        down = net.down((net.second(first.relu()) + stem.relu()).relu())
    for name, expected in (("stem", stem), ("first", first), ("down", down)):
        assert torch.equal(seen[name], expected[0])
        assert float(seen[name].min()) < 0  # before the ReLU


def test_a_module_called_several_times_gives_its_last_call_or_the_one_named() -> None:
    net, x = Residual().eval(), clip((1, 3, 4, 6, 6))
    seen = trace(net, x, ["relu", "relu#0", "relu#3"]).activations
    with torch.no_grad():
        stem = net.stem(x).relu()
    assert torch.equal(seen["relu#0"], stem[0])
    assert torch.equal(seen["relu"], seen["relu#3"])
    assert seen["relu"].shape[0] == 6
    with pytest.raises(LayerError, match="relu#4"):
        trace(net, x, ["relu#4"])


def test_every_layer_of_another_net() -> None:
    net, x = Residual().eval(), clip((1, 3, 4, 6, 6))
    assert list(trace(net, x).activations) == ["stem", "first", "second", "down", "relu"]


def test_without_names_what_cannot_be_recorded_is_left_out_and_says_why() -> None:
    class Odd(nn.Module):
        """Attention with a functional end, a pair, frames folded into the batch, an idler."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.idle = nn.Conv3d(3, 4, 1), nn.Linear(2, 2)
            self.flat, self.lstm = nn.Conv2d(4, 4, 1), nn.LSTM(4, 4, batch_first=True)
            self.attention, self.mean = nn.MultiheadAttention(4, 2, batch_first=True), nn.Flatten()

        def forward(self, x: Tensor) -> Tensor:
            x = self.flat(self.conv(x)[0].transpose(0, 1)).mean((2, 3))[None]
            x, _ = self.lstm(x)
            return self.mean(self.attention(x, x, x)[0])

    net, x = Odd().eval(), clip((1, 3, 4, 6, 6))
    seen = trace(net, x)
    assert list(seen.activations) == ["conv", "mean"]
    assert torch.equal(seen.activations["conv"], net.conv(x)[0])
    assert seen.skipped == {
        "idle": "the forward pass does not call it",
        "flat": "gives (4, 4, 6, 6), not (1, C, ...)",
        "lstm": "returns tuple, not a tensor",
        "attention.out_proj": "the forward pass does not call it",
    }
    with pytest.raises(LayerError, match="does not call layer 'idle'"):
        trace(net, x, ["idle"])
    assert trace(net, x, ["conv"]).skipped == {}
    assert trace(net, x, []).activations == {}
    assert trace(Residual().eval(), x).skipped == {}


def test_training_mode_is_read_as_eval_and_never_changed() -> None:
    net, x = Normalised(), clip((1, 3, 4, 6, 6))
    expected = trace(net.eval(), x, ["norm", "drop"]).activations
    net.train()
    net.drop.eval()
    before = state(net)
    found = trace(net, x, ["norm", "drop"]).activations
    assert state(net) == before
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_an_exception_leaves_no_hook() -> None:
    class Failing(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            super().forward(x)
            raise KeyboardInterrupt

    net, x = Failing(nn.Conv3d(3, 2, 1), nn.MaxPool3d(2)).eval(), clip((1, 3, 4, 6, 6))
    before = state(net)
    with pytest.raises(KeyboardInterrupt):
        trace(net, x, ["0"], switches=True)
    with pytest.raises(LayerError):
        trace(net, x, ["0", "9"], switches=True)
    assert state(net) == before


def test_nothing_traced_asks_for_gradients() -> None:
    net, x = Residual().eval(), clip((1, 3, 4, 6, 6)).requires_grad_()
    seen = trace(net, x, ["stem"])
    assert not seen.activations["stem"].requires_grad
    assert not seen.output.requires_grad


def test_threads_do_not_see_each_other() -> None:
    net = Residual().eval()
    clips = [clip((1, 3, 4, 6, 6), seed=s) for s in range(8)]
    names = ["stem", "first", "relu#0", "relu"]
    serial = [trace(net, x, names) for x in clips]
    before = state(net)
    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(lambda x: trace(net, x, names), clips * 5))
    for number, seen in enumerate(parallel):
        for name in names:
            assert torch.equal(seen.activations[name], serial[number % 8].activations[name])
    assert state(net) == before


def test_the_callers_own_hooks_still_run_and_stay() -> None:
    net, x = mini_c3d(), clip()
    calls: list[int] = []
    handle = net.relu2a.register_forward_hook(lambda *_: calls.append(1))
    trace(net, x, ["relu2a"])
    assert calls == [1]
    assert len(net.relu2a._forward_hooks) == 1
    handle.remove()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(2, 3, 16, 56, 56), "one clip at a time"),
        (torch.zeros(1, 3, 16, 56, 56, dtype=torch.uint8), "floating point"),
        (torch.zeros(1, 3, 16, 56, 56, dtype=torch.float64), "float64 and the model"),
        (torch.zeros(1, 3, 16, 56, 56, device="meta"), "is on meta"),
    ],
)
def test_what_is_no_clip_is_refused(x: Tensor, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        trace(mini_c3d(), x, ["relu2a"])


def test_unknown_layers_list_what_there_is(tiny_c3d: C3D) -> None:
    x = clip((1, 3, 16, 112, 112))
    with pytest.raises(LayerError, match=r"no layer 'conv9'; this model has conv1a, conv2a"):
        trace(tiny_c3d, x, ["conv9"])

    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.idle = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return x

    with pytest.raises(LayerError, match="does not call layer 'idle'"):
        trace(Unused().eval(), x, ["idle"])
    for layer in ("conv3a#1", "relu1a#7"):
        number = int(layer[-1]) + 1
        said = rf"calls count from 0, so '{layer}' is number {number}"
        with pytest.raises(LayerError, match=said):
            trace(tiny_c3d, x, [layer])
        with pytest.raises(LayerError, match=said):
            next(attribute_many(tiny_c3d, x, [Unit(layer, 0)], "gradient"))

    class Pair(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, x

    with pytest.raises(LayerError, match="returns tuple"):
        trace(nn.Sequential(Pair()).eval(), x, ["0"])


# ---- units


def answers(values: list[list[float]]) -> Trace:
    """A trace of one layer "a" with one frame and one row: (C, 1, 1, W)."""
    tensor = torch.tensor(values)[:, None, None, :]
    return Trace({"a": tensor, "fc": tensor[:, 0, 0, 0]}, torch.zeros(1))


def test_top_units_by_hand() -> None:
    seen = answers([[0, 2, 2], [5, 1, 0], [0, 0, 0], [1, 5, 0]])
    assert top_units(seen, "a", 4) == [
        Unit("a", 1, (0, 0, 0)),  # 5, before channel 3 that is as strong
        Unit("a", 3, (0, 0, 1)),
        Unit("a", 0, (0, 0, 1)),  # the first of two equal positions
        Unit("a", 2, (0, 0, 0)),  # dead, and still listed
    ]
    assert activation(seen, Unit("a", 2)) == 0.0
    assert activation(seen, Unit("a", 0, (0, 0, 2))) == 2.0
    assert top_units(seen, "fc", 2) == [Unit("fc", 1, ()), Unit("fc", 3, ())]
    assert peak(seen, "a", 3) == Unit("a", 3, (0, 0, 1))
    assert units_at(seen, "a", (0, 0, 1), 2) == [Unit("a", 3, (0, 0, 1)), Unit("a", 0, (0, 0, 1))]


def test_units_that_do_not_exist_name_the_ranges() -> None:
    seen = answers([[0, 2, 2], [5, 1, 0]])
    for call, message in (
        (lambda: top_units(seen, "a", 3), "a has 2 channels, got k=3"),
        (lambda: top_units(seen, "a", 0), "got k=0"),
        (lambda: peak(seen, "a", 2), "channels 0-1, got 2"),
        (lambda: peak(seen, "a", -1), "channels 0-1, got -1"),
        (lambda: peak(seen, "b", 0), "layer 'b' was not traced; traced: a, fc"),
        (lambda: units_at(seen, "a", (0, 0, 3)), r"positions \(0-0, 0-0, 0-2\), got \(0, 0, 3\)"),
        (lambda: activation(seen, Unit("fc", 0, (0,))), r"fully connected: at must be \(\)"),
        (lambda: activation(seen, Unit("a", 0, ())), "positions"),
    ):
        with pytest.raises(LayerError, match=message):
            call()


def test_nan_is_refused_by_name() -> None:
    seen = answers([[0, float("nan"), 2], [5, 1, 0]])
    for call in (lambda: top_units(seen, "a", 2), lambda: peak(seen, "a", 0)):
        with pytest.raises(VizError, match="a holds NaN"):
            call()
    assert peak(seen, "a", 1) == Unit("a", 1, (0, 0, 0))


def test_locate_takes_the_first_of_many_equal_cells() -> None:
    values = torch.zeros(2, 3, 4, 5)
    values[1, 2, 1, 3] = values[1, 1, 3, 4] = 1.0
    assert locate(values, Unit("x", 1)) == Unit("x", 1, (1, 3, 4))
    assert locate(values, Unit("x", 0)) == Unit("x", 0, (0, 0, 0))
    assert locate(values, Unit("x", 0, (2, 2, 2))) == Unit("x", 0, (2, 2, 2))
