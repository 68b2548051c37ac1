"""Random layers of any network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from c3d_viz.engine import Unit
from c3d_viz.errors import LayerError
from c3d_viz.methods import attribute
from c3d_viz.nets import InputSpec
from c3d_viz.stats import blur_and_sample
from c3d_viz.trust import CHECKS, Case, map_similarity
from c3d_viz.trust.asked import answer
from c3d_viz.trust.cascade import alike, answering, randomised, steps_of, weight_layers
from c3d_viz.trust.subject import Subject


class Branching(nn.Module):
    """A residual network with a branch that the unit does not depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm3d(4)
        self.block = nn.Conv3d(4, 4, 3, padding=1)
        self.relu = nn.ReLU()
        self.side = nn.Conv3d(4, 2, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        self.side(x)
        x = self.relu(x + self.block(x))
        return self.head(x.mean((2, 3, 4)))


@pytest.fixture
def model() -> Branching:
    torch.manual_seed(0)
    return Branching().eval().requires_grad_(False)


def clip() -> torch.Tensor:
    return torch.randn(1, 3, 4, 16, 16, generator=torch.Generator().manual_seed(1))


def test_layers_that_a_unit_depends_on(model: Branching) -> None:
    before = {k: v.clone() for k, v in model.state_dict().items()}
    assert weight_layers(model, clip(), Unit("relu", 1, (1, 4, 4))) == ["block", "stem"]
    assert weight_layers(model, clip(), Unit("head", 1, ())) == ["head", "block", "stem"]
    assert not any(p.requires_grad for p in model.parameters())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    with pytest.raises(LayerError, match="depends on no"):
        weight_layers(nn.Sequential(nn.ReLU()), clip(), Unit("0", 0, (0, 0, 0)))


class Attending(nn.Module):
    """Weights that belong to no convolution and no linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(1, 16, 8))
        self.stem = nn.Conv3d(3, 8, (1, 8, 8), (1, 8, 8))
        self.norm = nn.LayerNorm((16, 8))  # weights of ones: nothing in them was learned
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.memory = nn.GRU(8, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.stem(x).flatten(2).transpose(1, 2) + self.places)
        return self.memory(self.attention(x, x, x)[0])[0][:, -1]


def test_whatever_holds_weights_is_made_random() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(Attending(), nn.Linear(4, 6)).eval()
    layers = weight_layers(model, clip(), Unit("1", 0, ()))
    out, norm = "0.attention.out_proj", "0.norm"
    assert layers == ["1", "0.memory", out, "0.attention", norm, "0.stem", "0"]
    before, after = model.state_dict(), randomised(model, layers, 1).state_dict()
    kept = {name for name, values in before.items() if torch.equal(values, after[name])}
    # zeros that attention's biases start with, and the norm as it starts
    zeros = {"0.attention.in_proj_bias", "0.attention.out_proj.bias"}
    assert kept == {*zeros, "0.norm.weight", "0.norm.bias"}


def test_random_weights_keep_their_spread(model: Branching) -> None:
    other = randomised(model, ["block"], 3)
    same = randomised(model, ["block"], 3)
    assert torch.equal(other.block.weight, same.block.weight)
    assert not torch.equal(other.block.bias, model.block.bias)  # shuffled
    assert not torch.equal(other.block.weight, randomised(model, ["block"], 4).block.weight)
    assert torch.equal(other.stem.weight, model.stem.weight)
    assert float(other.block.weight.std()) == pytest.approx(
        float(model.block.weight.std()), rel=0.1
    )
    assert torch.equal(other.block.bias.sort().values, model.block.bias.sort().values)


def test_weights_are_drawn_until_the_unit_answers(model: Branching) -> None:
    unit = Unit("relu", 2, (1, 4, 4))
    for seed in range(4):
        network = answering(model, ["block", "stem"], clip(), unit, seed)
        assert answer(network, clip(), unit) > 0


def test_steps_are_spread_and_end_with_all() -> None:
    assert steps_of(3) == [1, 2, 3]
    assert steps_of(20) == [4, 8, 12, 16, 20]
    assert steps_of(8)[-1] == 8
    assert len(steps_of(8)) == 5


def test_likeness_is_blind_to_scale_and_takes_off_what_is_shared() -> None:
    rng = np.random.default_rng(0)
    shared = rng.random((2, 64, 64)) ** 2
    a, b = ((shared + 0.05 * rng.random(shared.shape)).astype(np.float32) for _ in range(2))
    assert alike(a, a * 512) == pytest.approx(1)
    assert alike(a, b) > 0.9
    plain, beyond, _ = map_similarity(a[None], b[None], blur_and_sample(shared).reshape(-1))
    assert plain == alike(a, b)
    assert abs(beyond) < alike(a, b)
    assert map_similarity(a[None], 4 * a[None])[2] == pytest.approx(1)
    assert np.isnan([alike(a, a * 0), *map_similarity(a[None], a[None] * 0)]).all()


def test_a_cascade_of_several_layers_is_made_of_the_networks_that_it_names() -> None:
    torch.manual_seed(2)
    model = nn.Sequential(
        nn.Conv3d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 4, 3, padding=1), nn.ReLU(),
        nn.Conv3d(4, 2, 3, padding=1), nn.ReLU(),
    ).eval().requires_grad_(False)  # fmt: skip
    frames = np.random.default_rng(0).integers(0, 255, (4, 24, 24, 3), dtype=np.uint8)
    spec = InputSpec(resize=(24, 24), crop=(24, 24), frames=4, mean=(60.0,) * 3, scale=1 / 60)
    blank = Subject(model, spec, Case("a", "a", frames), Unit("5", 0, (1, 12, 12)), 4, seed=3)
    unit = blank.unit
    assert answer(model, blank.x, unit) > 0

    def map_in(network: nn.Module) -> np.ndarray:
        return np.abs(attribute(network, blank.x, unit, "gradient").values).sum(0)

    original, layers = map_in(model), ["4", "2", "0"]
    down = [map_in(answering(model, layers[: i + 1], blank.x, unit, 3)) for i in range(3)]
    alone = [map_in(answering(model, [layer], blank.x, unit, 3)) for layer in layers]
    shared = sum(map_in(randomised(model, layers, 3 + 7 + i)) for i in range(4)) / 4
    plain, beyond, ssim = map_similarity(
        original[None], down[-1][None], blur_and_sample(shared).reshape(-1)
    )
    found = {n.metric: n.value for n in CHECKS["randomisation"][0](blank, ["gradient"])}
    assert found == pytest.approx(
        {
            **{f"cascade at {i}": alike(original, other) for i, other in enumerate(down)},
            "cascade": plain,
            "cascade beyond paths": beyond,
            "cascade ssim": ssim,
            "one layer": np.mean([alike(original, other) for other in alone]),
        }
    )
    assert len({round(value, 6) for value in found.values()}) == 6  # the last step is the cascade
