"""Networks whose numbers are none, and networks of other precisions, at every door of Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from c3d_viz.errors import VizError
from c3d_viz.nets import InputSpec
from c3d_viz.synthetic import procedural_library
from c3d_viz.units import (
    ConceptClips,
    FourierVideo,
    Reader,
    answers,
    climb,
    concepts_of,
    first_kernels,
    paired_clips,
)
from c3d_viz.units.reach import Reach
from c3d_viz.units.tuning.sweep import Clips, Grid, sweep

SPEC = InputSpec("RGB", (127.5,) * 3, 1 / 60, (16, 16), (16, 16), 8)
X = torch.zeros(1, 3, 8, 16, 16)


def net(bad: float | None = None) -> nn.Sequential:
    torch.manual_seed(1)
    layers = nn.Conv3d(3, 4, 3), nn.ReLU(), nn.Conv3d(4, 6, 3), nn.ReLU()
    if bad is not None:
        layers[0].weight.data[0, 0, 0, 0, 0] = bad
    return nn.Sequential(*layers).eval()


def swept(model: nn.Module) -> Any:
    return sweep(model, Clips(SPEC), ["1"], grid=Grid((1.0,), (7.0,)))["1"].grating


def overlapped(model: nn.Module) -> Any:
    clips = ConceptClips.drawn(procedural_library(0), SPEC, 0, (2, 2, 2))
    return concepts_of(model, SPEC, clips, ["1"])["1"].iou


def shared(model: nn.Module) -> Any:
    return answers(model, SPEC, {"base": paired_clips(2, 0, 16, 8)["base"]}, ["1"])["base.1"]


def climbed(model: nn.Module) -> Any:
    return climb(Reader(model, "3", X), 1, FourierVideo(1, SPEC), steps=2).answers


def kernels(model: nn.Module) -> Any:
    return first_kernels(model, SPEC).values


DOORS = [swept, overlapped, shared, climbed, kernels]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(door: Callable[[nn.Module], Any], bad: float) -> None:
    with pytest.raises(VizError, match=r"hold(s)? NaN or infinite .*; check the"):
        door(net(bad))


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_every_precision_is_taken(door: Callable[[nn.Module], Any], kind: torch.dtype) -> None:
    model = net().to(kind)
    found, wanted = door(model), door(net())
    assert found.dtype == wanted.dtype
    assert next(model.parameters()).dtype == kind
    np.testing.assert_allclose(found, wanted, atol=0.03 * np.abs(wanted).max())


def test_clips_that_give_nan_are_not_run_in_pairs() -> None:
    assert not Reach(net(float("nan")), ["1"], X).apart(torch.cat([X, X]))
    assert Reach(net(), ["1"], X).apart(torch.cat([X, X]))
