"""Networks with random weights, and how much of a map is left on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import tiny

from c3d_viz import trust
from c3d_viz.engine import Unit
from c3d_viz.errors import LayerError


def test_permuted_and_reinitialised_networks() -> None:
    model = tiny()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    mixed, again = trust.permuted(model, 1), trust.permuted(model, 1)
    fresh = trust.reinitialised(model, 7)
    for name, values in model.state_dict().items():
        assert torch.equal(values, before[name])  # the original is left alone
        assert torch.equal(mixed.state_dict()[name], again.state_dict()[name])
        if name.endswith("weight"):
            assert torch.equal(
                mixed.state_dict()[name].flatten().sort().values, values.flatten().sort().values
            )
            assert not torch.equal(mixed.state_dict()[name], values)
            assert not torch.equal(fresh.state_dict()[name], values)


def test_biases_are_permuted_among_themselves() -> None:
    model = tiny()
    with torch.no_grad():
        for values in model.parameters():
            if values.ndim == 1:
                values.copy_(torch.arange(len(values)) + 1.0)
    mixed = trust.permuted(model, 1).state_dict()
    for name, values in model.state_dict().items():
        if name.endswith("bias"):
            assert torch.equal(mixed[name].sort().values, values)
    assert not torch.equal(mixed["fc6.bias"], model.state_dict()["fc6.bias"])
    assert not torch.equal(mixed["conv5b.bias"], model.state_dict()["conv5b.bias"])


def test_randomised_layers_of_one_shape_have_weights_of_their_own() -> None:
    model, drawn = tiny(), {}
    for seed in (0, 1):
        *_, (_, network) = trust.randomised_top_down(model, ("conv5b", "conv5a"), seed)
        drawn[seed] = {k: network.state_dict()[f"{k}.weight"].clone() for k in ("conv5a", "conv5b")}
    assert drawn[0]["conv5a"].shape == drawn[0]["conv5b"].shape
    assert not torch.equal(drawn[0]["conv5a"], drawn[0]["conv5b"])
    assert not torch.equal(drawn[0]["conv5b"], drawn[1]["conv5b"])


def test_layers_are_randomised_from_the_top() -> None:
    model = tiny()
    names = ("conv5b", "conv5a")
    for depth, (name, network) in enumerate(trust.randomised_top_down(model, names, 0), 1):
        assert name == names[depth - 1]
        changed = {
            key.split(".")[0]
            for key, values in network.state_dict().items()
            if key.endswith("weight") and not torch.equal(values, model.state_dict()[key])
        }
        assert changed == set(names[:depth])
    with pytest.raises(LayerError):
        list(trust.randomised_top_down(model, ["relu5b"], 0))


def test_weight_randomisation_starts_at_one() -> None:
    x = torch.randn(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0))
    found = trust.weight_randomisation(tiny(), x, Unit("conv3a", 0), "gradient", seed=1)
    assert [s.layer for s in found] == ["none", "conv3a", "conv2a", "conv1a"]
    assert (found[0].spearman, found[0].ssim) == (1.0, 1.0)
    # SSIM, not the rank correlation: outside the unit's field every map is 0, and equal ranks
    # there leave so small a unit's rank correlation near 1 whatever its weights are
    assert found[1].ssim < 0.999
    assert all(s.ssim < 0.999 for s in found[1:] if np.isfinite(s.ssim))
    with pytest.raises(LayerError, match="conv layer"):
        trust.weight_randomisation(tiny(), x, Unit("fc6", 0), "gradient")
