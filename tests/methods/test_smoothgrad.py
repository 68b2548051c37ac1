"""SmoothGrad: against captum with the same noise, and on a function whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import clip, mini_c3d
from quick import QUICK
from torch import Tensor, nn

from c3d_viz.engine import Unit
from c3d_viz.methods import METHODS, attribute

UNIT = Unit("relu3b", 1, (6, 10, 12))


class Square(nn.Module):
    """One number: the sum of the squares of the pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return (x**2).sum((1, 2, 3, 4))[:, None]


class Squares(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.top = Square()

    def forward(self, x: Tensor) -> Tensor:
        return self.top(x)


@pytest.mark.parametrize(("method", "kind"), [("smoothgrad", "smoothgrad"),
                                              ("smoothgrad_squared", "smoothgrad_sq")])  # fmt: skip
def test_it_is_captums_noise_tunnel_with_the_same_noise(method: str, kind: str) -> None:
    from captum.attr import NoiseTunnel, Saliency

    net, x = mini_c3d(), clip()

    def answer(x: Tensor) -> Tensor:
        return net[: list(dict(net.named_children())).index("relu3b") + 1](x)[:, 1, 6, 10, 12]

    deviation = 0.1 * float(x.max() - x.min())
    with torch.random.fork_rng():
        torch.manual_seed(4)
        expected = NoiseTunnel(Saliency(answer)).attribute(
            x, nt_type=kind, nt_samples=3, nt_samples_batch_size=1, stdevs=deviation, abs=False
        )[0]
    settings = {"samples": 3, "noise": 0.1, "seed": 4}
    found = attribute(net, x, UNIT, method, settings=settings).values
    assert found.any()
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5 * float(expected.abs().max()))


def test_the_gradient_of_squares_stays_and_their_squares_grow_by_the_noise() -> None:
    """f = sum x^2: the mean gradient is 2x, the mean of its squares 4x^2 + 4s^2."""
    net, x = Squares().eval(), torch.rand(1, 3, 4, 6, 6, generator=torch.Generator().manual_seed(2))
    settings = {"samples": 400, "noise": 0.2}
    deviation = 0.2 * float(x.max() - x.min())
    mean = attribute(net, x, Unit("top", 0, ()), "smoothgrad", settings=settings).values
    assert np.abs(mean - 2 * x[0].numpy()).mean() < 4 * deviation / 400**0.5
    squared = attribute(net, x, Unit("top", 0, ()), "smoothgrad_squared", settings=settings).values
    expected = (4 * x[0] ** 2 + 4 * deviation**2).numpy()
    assert squared.mean() == pytest.approx(expected.mean(), rel=0.02)
    assert np.corrcoef(squared.ravel(), expected.ravel())[0, 1] > 0.99


def test_without_noise_it_is_the_gradient_and_a_seed_is_the_map() -> None:
    net, x = mini_c3d(), clip()
    plain = attribute(net, x, UNIT, "gradient").values
    still = attribute(net, x, UNIT, "smoothgrad", settings={"samples": 2, "noise": 0}).values
    np.testing.assert_allclose(still, plain, atol=1e-6 * np.abs(plain).max())
    torch.manual_seed(1)
    one = attribute(net, x, UNIT, "smoothgrad", settings={"samples": 2}).values
    before = torch.get_rng_state()
    torch.manual_seed(9)
    again = attribute(net, x, UNIT, "smoothgrad", settings={"samples": 2}).values
    other = attribute(net, x, UNIT, "smoothgrad", settings={"samples": 2, "seed": 1}).values
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    torch.manual_seed(1)
    assert torch.equal(before, torch.get_rng_state())  # nobody else's random numbers are used up


@pytest.mark.parametrize("method", METHODS)
def test_inference_mode_around_a_call_changes_no_map(method: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv3d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 2, 3, padding=1), nn.ReLU()
    ).eval()
    x, unit, settings = torch.rand(1, 3, 4, 8, 8), Unit("3", 0), QUICK.get(method)
    plain = attribute(net, x, unit, method, settings=settings)
    with torch.inference_mode():
        inside = attribute(net, x, unit, method, settings=settings)
        made_inside = attribute(net, x.clone(), unit, method, settings=settings)
    assert plain.values.any()
    np.testing.assert_array_equal(inside.values, plain.values)
    np.testing.assert_array_equal(made_inside.values, plain.values)
