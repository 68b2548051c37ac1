"""A clip in, whatever the network takes: layers keep their names and maps stay on the clip."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from nets import state
from torch import Tensor, nn
from two_pathways import TwoPathways, pathways

import c3d_viz as viz
from c3d_viz.engine import called_layers, groups_of, receptive_fields
from c3d_viz.errors import VizError

SHAPE = (3, 8, 24, 20)


def clip() -> Tensor:
    return torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(1))


def test_a_trace_of_two_pathways() -> None:
    model = TwoPathways().eval()
    before = state(model)
    net, x = viz.wrap(model, inputs=pathways), clip()
    seen = viz.trace(net, x)
    assert torch.equal(seen.output, model(*pathways(x)))
    assert list(seen.activations) == ["fast", "slow", "lateral", "fused", "relu", "head"]
    assert seen.activations["slow"].shape == (4, 2, 12, 10)
    assert seen.activations["fast"].shape == (2, 8, 12, 10)
    assert state(model) == before
    assert type(model) is TwoPathways
    assert groups_of(net, called_layers(net, SHAPE)) == tuple(n for n, _ in model.named_children())


@pytest.mark.parametrize("layer", ["slow", "fast", "fused"])
def test_a_map_is_the_sum_over_both_pathways(layer: str) -> None:
    model, x = TwoPathways().eval(), clip()
    net = viz.wrap(model, inputs=pathways)
    att = viz.attribute(net, x, viz.top_units(viz.trace(net, x, layer), layer, 1)[0], "gradient")
    assert att.values.shape == SHAPE
    slow = x[:, :, ::4].clone().requires_grad_()
    fast = x.clone().requires_grad_()
    kept: list[Tensor] = []
    with model.get_submodule(layer).register_forward_hook(lambda *a: kept.append(a[-1] + 0)):
        model([slow, fast])
    kept[0][(0, att.unit.channel, *att.unit.at)].backward()  # type: ignore[misc]
    expected = torch.zeros_like(x) if fast.grad is None else fast.grad.clone()
    if slow.grad is not None:
        expected[:, :, ::4] += slow.grad
    torch.testing.assert_close(torch.from_numpy(att.values), expected[0], rtol=1e-6, atol=1e-7)
    if layer == "slow":  # which sees every fourth frame alone
        assert {t for t in range(8) if att.values[:, t].any()} <= {0, 4}


def test_fields_and_rules_go_through() -> None:
    model, x = TwoPathways().eval(), clip()
    net = viz.wrap(model, inputs=pathways)
    field = receptive_fields(net, SHAPE, ["fast"])["fast"]
    assert field is not None
    assert (field.size[1:], field.step[1:]) == ((3, 3), (2, 2))
    guided = viz.attribute(net, x, viz.Unit("fused", 1), "guided")
    assert guided.report is not None
    assert guided.report.relus == 2
    assert guided.values.any()


def test_training_mode_stays_and_makes_no_difference() -> None:
    class Modal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Conv3d(3, 2, 1)

        def forward(self, x: Tensor, *, factor: float) -> Tensor:
            assert not self.training
            return torch.relu(self.inner(x) * factor)

    model = Modal().train()
    net = viz.wrap(model, lambda clip: {"x": clip.transpose(1, 2), "factor": 2.0})
    x = clip().transpose(1, 2)  # (1, T, C, H, W)
    out = viz.trace(net, x).output
    assert model.training
    assert net.training
    assert torch.equal(out, torch.relu(model.inner(x.transpose(1, 2)) * 2))
    net.eval()
    assert model.training
    assert not model.inner.training


def test_a_tensor_a_wrapper_and_a_forward_of_its_own() -> None:
    model = nn.Conv3d(3, 2, 1)
    x = clip()
    assert torch.equal(viz.wrap(nn.DataParallel(model), lambda clip: 2 * clip)(x), model(2 * x))
    patched = copy.deepcopy(model)
    patched.forward = lambda x: model(x) + 1  # type: ignore[method-assign]
    assert torch.equal(viz.wrap(patched, lambda clip: (2 * clip,))(x), model(2 * x) + 1)
    assert torch.equal(patched(x), model(x) + 1)
    moved = viz.wrap(model, lambda clip: clip).double()
    assert model.weight.dtype == next(moved.parameters()).dtype == torch.float64


def test_a_file_gives_one_and_a_state_dict_fits_the_network_within(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import c3d_viz as viz\n"
        "from two_pathways import TwoPathways, pathways\n"
        "def build():\n"
        "    spec = viz.InputSpec('RGB', resize=26, crop=(24, 20), frames=8)\n"
        "    return viz.wrap(TwoPathways(5), inputs=pathways), spec\n"
    )
    model = TwoPathways(7)
    torch.save(model.state_dict(), tmp_path / "best.pth")
    net, spec = viz.load_model(f"{tmp_path}/net.py:build", tmp_path / "best.pth")
    assert (spec.num_classes, spec.input.shape) == (3, SHAPE)
    assert torch.equal(net(clip()), model.eval()(*pathways(clip())))


@pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated")
def test_what_cannot_be_meant_is_one_line() -> None:
    x, model = clip(), TwoPathways()
    for net, inputs, said in (
        (torch.jit.script(nn.ReLU()), pathways, "wrap takes a torch.nn.Module"),
        (len, pathways, "wrap takes a torch.nn.Module, got builtin"),
        (model, [x], "inputs must be a function from a clip .* got list"),
    ):
        with pytest.raises(VizError, match=said):
            viz.wrap(net, inputs)  # type: ignore[arg-type]
    given: Any = [x[:, :, ::4], x]
    with pytest.raises(VizError, match=r"a list that is one argument goes in a tuple: \(\[a, b\],"):
        viz.trace(viz.wrap(model, lambda _: given), x)
    with pytest.raises(VizError, match=r"x must be one tensor .* got list; .*viz\.wrap"):
        viz.trace(model, given)
