"""A network that is asked much looks at each clip once, and says what it says to anybody."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from c3d_viz.engine import Pass, Unit, activation, trace
from c3d_viz.methods import METHODS, attribute, cam
from c3d_viz.trust import asked as asked_of
from c3d_viz.trust.asked import Asked

UNIT = Unit("5", 3, (1, 2, 2))
QUICK = [name for name, method in METHODS.items() if not method.reports]


@pytest.fixture
def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv3d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool3d((1, 2, 2)),
        nn.Conv3d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 4, 3, padding=1), nn.Flatten(),
    ).eval().requires_grad_(False)  # fmt: skip


def clip(seed: int = 0) -> torch.Tensor:
    return torch.randn(1, 3, 4, 12, 12, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A number for every pass that is begun."""
    begun: list[int] = []

    def counted(*args: Any) -> Pass:
        begun.append(len(begun))
        return Pass(*args)

    monkeypatch.setattr(asked_of, "Pass", counted)
    return begun


def test_an_answer_is_the_networks_own_and_given_once(
    model: nn.Sequential, passes: list[int]
) -> None:
    asked, x = Asked(model), clip()
    known = activation(trace(model, x, ["5"]), UNIT)
    assert asked.answer(x, UNIT) == asked.answer(x.clone(), UNIT) == known
    assert len(passes) == 1
    assert asked.answer(x, Unit("5", 0, (1, 2, 2))) != known
    assert asked.answer(clip(1), UNIT) != known
    assert len(passes) == 3


def test_methods_share_a_pass_and_the_maps_are_those_of_attribute(
    model: nn.Sequential, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, x = Asked(model), clip()
    first = {name: asked.attribute(name, x, UNIT).values for name in QUICK}
    assert len(passes) == 1
    for name, values in first.items():
        assert np.array_equal(values, attribute(model, x, UNIT, name).values), name
    # the layer of a class activation map is known by now, and not looked for in a like network
    monkeypatch.setattr(cam, "cam_layers", None)
    again = Asked(model, asked.layers)
    assert np.array_equal(again.attribute("gradcam", x, UNIT).values, first["gradcam"])
