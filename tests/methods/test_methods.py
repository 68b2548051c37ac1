"""attribute and attribute_many, and every method by a property that only the right one has."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import torch
from nets import MINI_INPUT, Residual, clip, mini_c3d, state
from quick import QUICK
from video_files import ROOT

import c3d_viz as viz
from c3d_viz.engine.general import backproject
from c3d_viz.engine.listen import full_precision
from c3d_viz.engine.tracing import Unit, activation, top_units, trace
from c3d_viz.errors import LayerError, ShapeError, VizError
from c3d_viz.methods import METHODS, Attribution, attribute, attribute_many, described
from c3d_viz.methods.fills import filled
from c3d_viz.methods.reading import Reading
from c3d_viz.nets.c3d import C3D

UNITS = [Unit("relu5b", 1), Unit("relu3b", 2, (3, 5, 6)), Unit("relu5b", 0), Unit("fc7", 2)]


def test_the_methods_describe_themselves() -> None:
    assert list(METHODS)[:3] == ["deconvnet", "guided", "gradient"]
    for method in METHODS.values():
        assert method.title
        assert method.settings is None or described(method.settings)
        assert method.sentence.endswith(".")
        assert re.search(r"\b(19|20)\d\d\b", method.paper)
        assert (method.rule is None) != (method.function is None)
        with pytest.raises(dataclasses.FrozenInstanceError):
            method.title = "other"  # type: ignore[misc]


def test_the_recipe_of_the_docs_adds_a_method(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x, unit = mini_c3d(), clip(), Unit("relu3b", 2, (3, 5, 6))
    recipe = (ROOT / "docs" / "backprop.md").read_text(encoding="utf-8")
    monkeypatch.setitem(METHODS, "energy", METHODS["gradient"])  # taken out again afterwards
    exec("\n".join(re.findall(r"```python\n(.*?)```", recipe, re.DOTALL)), {})
    test_the_methods_describe_themselves()
    slope = attribute(net, x, unit, "gradient").values
    np.testing.assert_allclose(
        attribute(net, x, unit, "energy").values, slope**2, atol=1e-6 * (slope**2).max()
    )


@pytest.mark.parametrize("method", METHODS)
def test_an_attribution_is_complete(method: str) -> None:
    net, x = mini_c3d(), clip()
    before = state(net)
    att = attribute(net, x, Unit("relu4a", 1), method, settings=QUICK.get(method))
    assert isinstance(att, Attribution)
    assert att.values.dtype == np.float32
    assert att.values.shape in (MINI_INPUT[1:], (1, *MINI_INPUT[2:]))
    assert (att.settings is None) == (METHODS[method].settings is None)
    assert np.isfinite(att.values).all()
    assert np.abs(att.values).max() > 0
    assert att.method == method
    seen = trace(net, x, ["relu4a"])
    assert (
        att.unit
        == top_units(seen, "relu4a", 16)[
            [u.channel for u in top_units(seen, "relu4a", 16)].index(1)
        ]
    )
    assert att.activation == pytest.approx(activation(seen, att.unit), rel=1e-5)
    assert state(net) == before


@pytest.mark.parametrize("method", METHODS)
def test_many_equals_one_by_one_in_order(method: str) -> None:
    net, x = mini_c3d(), clip()
    quick = QUICK.get(method)
    many = list(attribute_many(net, x, UNITS, method, settings=quick))
    assert [(a.unit.layer, a.unit.channel) for a in many] == [(u.layer, u.channel) for u in UNITS]
    for unit, att in zip(UNITS, many, strict=True):
        single = attribute(net, x, unit, method, settings=quick)
        assert single.unit == att.unit
        assert single.activation == pytest.approx(att.activation, rel=1e-5)
        top = max(float(np.abs(single.values).max()), 1e-12)
        assert np.abs(single.values - att.values).max() <= 1e-5 * top


def test_results_are_lazy_and_independent_of_each_other() -> None:
    net, x = mini_c3d(), clip()
    results = attribute_many(net, x, [UNITS[0], UNITS[2], UNITS[0]])
    first = next(results)
    kept = first.values.copy()
    second = next(results)
    third = next(results)
    np.testing.assert_array_equal(first.values, kept)  # not overwritten by later units
    np.testing.assert_array_equal(third.values, kept)  # the same unit, the same bits
    assert not np.array_equal(second.values, kept)
    assert list(attribute_many(net, x, [])) == []
    generator = attribute_many(net, x, iter(UNITS[:2]))
    assert next(generator).unit.layer == "relu5b"


def test_c3d_names_mean_the_output_after_the_relu(tiny_c3d: C3D) -> None:
    x = clip((1, 3, 16, 112, 112))
    att = attribute(tiny_c3d, x, Unit("conv3b", 1), "guided")
    assert att.unit.layer == "conv3b"
    assert att.activation == float(trace(tiny_c3d, x, ["conv3b"]).activations["conv3b"][1].max())
    (back,) = backproject(tiny_c3d, x, [att.unit], "guided")
    np.testing.assert_allclose(
        att.values, back.values.numpy(), atol=1e-6 * np.abs(att.values).max()
    )


def test_a_dead_channel_says_zero_and_never_nan() -> None:
    net, x = mini_c3d(), clip()
    with torch.no_grad():
        net.conv4a.weight[3] = 0
        net.conv4a.bias[3] = -1
    for method in METHODS:
        att = attribute(net, x, Unit("relu4a", 3), method, settings=QUICK.get(method))
        assert att.activation == 0.0
        assert att.unit.at == (0, 0, 0)
        assert np.isfinite(att.values).all()
        if method != "deconvnet":
            assert not att.values.any()


def test_gradient_predicts_a_small_change() -> None:
    net, x = mini_c3d().double(), clip(dtype=torch.float64)
    unit = Unit("relu4a", 1)
    (back,) = backproject(net, x, [unit], "gradient")
    direction = clip(seed=11, dtype=torch.float64)
    step = 1e-6
    changed = activation(trace(net, x + step * direction, ["relu4a"]), back.unit)
    slope = (changed - back.activation) / step
    assert slope == pytest.approx(float((back.values * direction[0]).sum()), rel=1e-4)


def test_input_x_gradient_is_their_product() -> None:
    net, x = mini_c3d(), clip()
    for unit in UNITS:
        product = attribute(net, x, unit, "gradient").values * x[0].numpy()
        found = attribute(net, x, unit, "input_x_gradient").values
        assert np.abs(found - product).max() <= 1e-5 * max(np.abs(product).max(), 1e-12)


def test_integrated_gradients_add_up_and_equal_captums_own() -> None:
    from captum.attr import NeuronIntegratedGradients

    net, x = mini_c3d(), clip()
    unit = Unit("relu3b", 2, (3, 5, 6))
    att = attribute(net, x, unit, "integrated_gradients")
    nothing = activation(trace(net, torch.zeros_like(x), ["relu3b"]), unit)
    assert att.values.sum() == pytest.approx(att.activation - nothing, rel=0.05)
    few = attribute(net, x, unit, "integrated_gradients", settings={"steps": 3})
    assert np.abs(few.values - att.values).max() > 1e-3 * np.abs(att.values).max()
    for found, steps in ((att.values, 32), (few.values, 3)):
        expected = NeuronIntegratedGradients(net, net.relu3b).attribute(
            x.clone().requires_grad_(), (2, 3, 5, 6), n_steps=steps, internal_batch_size=1
        )[0]
        np.testing.assert_allclose(
            found, expected.detach().numpy(), atol=1e-5 * np.abs(found).max()
        )


@pytest.mark.parametrize("baseline", ["mean", "blur", "still"])
def test_integrated_gradients_add_up_against_every_baseline(baseline: str) -> None:
    net, x = mini_c3d()[:8], clip((1, 3, 16, 24, 28))
    settings = {"steps": 200, "baseline": baseline}
    att = attribute(net, x, Unit("relu3a", 2), "integrated_gradients", settings=settings)
    before = activation(trace(net, filled(x, baseline), ["relu3a"]), att.unit)
    assert att.values.sum() == pytest.approx(att.activation - before, rel=0.02)


def test_what_stands_in_place_of_the_clip() -> None:
    x = clip((1, 3, 16, 24, 28))
    assert not filled(x, "mean").any()
    still = filled(x, "still")
    torch.testing.assert_close(still[:, :, 0], x.mean(2))
    assert torch.equal(still[:, :, 0], still[:, :, 15])
    blur = filled(x, "blur")
    assert blur.shape == x.shape
    assert float(blur.std()) < 0.5 * float(x.std())
    torch.testing.assert_close(blur.mean((3, 4)), x.mean((3, 4)), atol=0.1, rtol=0)
    assert float((blur[:, :, 3] - blur[:, :, 4]).abs().max()) > 0.1  # frames are kept apart


def test_a_method_of_many_passes_reports_them_and_can_be_ended() -> None:
    steps = 5

    net, x = mini_c3d(), clip()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    heard: list[tuple[int, int]] = []
    units = [Unit("relu1a", 0, (3, 5, 6)), Unit("relu1a", 1, (3, 5, 6))]
    method = "integrated_gradients"
    few = {"steps": steps}
    made = list(
        attribute_many(net, x, units, method, settings=few, progress=lambda *at: heard.append(at))
    )
    assert len(made) == 2
    assert heard[0] == (0, 2 * steps)
    assert {total for _, total in heard} == {2 * steps}
    assert sorted(done for done, _ in heard) == [done for done, _ in heard]
    assert set(range(2 * steps)) <= {done for done, _ in heard}
    np.testing.assert_array_equal(
        made[1].values, attribute(net, x, units[1], method, settings=few).values
    )

    def end(done: int, total: int) -> None:
        if done == 3:
            raise InterruptedError("enough")

    for ask in (attribute, lambda *a, **k: Reading(*a[:2]).attribute(*a[2:], **k)):
        with pytest.raises(InterruptedError, match="enough"):
            ask(net, x, units[0], method, progress=end)
    assert not any(module._forward_hooks for module in net.modules())
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key])


def test_any_network_by_the_same_call() -> None:
    net, x = Residual().eval(), clip((1, 3, 4, 6, 6))
    for method in METHODS:
        unit = Unit("down", 2, (0, 1, 1))
        att = attribute(net, x, unit, method, settings=QUICK.get(method))
        assert att.values.shape in ((3, 4, 6, 6), (1, 4, 6, 6))
        assert np.abs(att.values).max() > 0
    rough = attribute(net, x, Unit("down", 2, (0, 1, 1)), "gradient", precision="bf16").values
    exact = attribute(net, x, Unit("down", 2, (0, 1, 1)), "gradient").values
    assert np.corrcoef(rough.ravel(), exact.ravel())[0, 1] > 0.99


def test_training_mode_gives_the_same_maps(tiny_c3d: C3D) -> None:
    net, x = mini_c3d(), clip()
    expected = attribute(net, x, Unit("fc7", 1), "guided").values
    net.train()
    before = state(net)
    for method in ("guided", "input_x_gradient"):
        values = attribute(net, x, Unit("fc7", 1), method).values
        if method == "guided":
            np.testing.assert_array_equal(values, expected)
    assert state(net) == before


def test_a_gpu_keeps_float32_while_it_computes_and_the_callers_settings_afterwards() -> None:
    cudnn = torch.backends.cudnn

    def settings() -> tuple[bool, bool, bool]:
        return cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32

    def fail() -> None:
        with full_precision(torch.device("cuda")):
            assert settings() == (True, False, False)
            raise KeyError

    before = settings()
    with pytest.raises(KeyError):
        fail()
    assert settings() == before
    with full_precision(torch.device("cpu")):
        assert settings() == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("method", METHODS)
def test_a_gpu_gives_the_same_maps(method: str) -> None:
    net, x = mini_c3d().double(), clip(dtype=torch.float64)
    expected = [att.values for att in attribute_many(net, x, UNITS, method)]
    for values, att in zip(
        expected, attribute_many(net.cuda(), x.cuda(), UNITS, method), strict=True
    ):
        assert np.abs(att.values - values).max() <= 1e-6 * max(np.abs(values).max(), 1e-12)


def test_refused_at_the_call() -> None:
    net, x = mini_c3d(), clip()
    with pytest.raises(VizError, match="no method 'lime'; there are deconvnet, guided"):
        attribute_many(net, x, UNITS, "lime")
    with pytest.raises(VizError, match="precision must be 'float32' or 'bf16', got 'fp8'"):
        attribute_many(net, x, UNITS, precision="fp8")
    with pytest.raises(VizError, match="integrated_gradients has no bf16 preview"):
        attribute_many(net, x, UNITS, "integrated_gradients", precision="bf16")
    with pytest.raises(ShapeError, match="one clip at a time"):
        attribute_many(net, x[0], UNITS)
    with pytest.raises(LayerError, match="relu5b has channels 0-15, got 99"):
        attribute(net, x, Unit("relu5b", 99))
    with pytest.raises(LayerError, match=r"relu5b has positions \(0-1, 0-2, 0-2\)"):
        attribute(net, x, Unit("relu5b", 0, (2, 0, 0)))
    with pytest.raises(LayerError, match="no layer 'conv9'"):
        attribute(net, x, Unit("conv9", 0))
    with pytest.raises(ShapeError, match="C3D takes"):
        attribute(C3D(3, width=1, fc=4).eval(), x, Unit("conv1a", 0))


def test_the_public_names(tiny_c3d: C3D) -> None:
    assert viz.attribute is attribute
    assert viz.METHODS is METHODS
