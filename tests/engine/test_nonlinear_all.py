"""Every function of PyTorch on one tensor: what arithmetic shows to be bent has a name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.graph import get_gradient_edge
from torch.overrides import get_overridable_functions

from c3d_viz.engine.relus import RuledReLUs
from c3d_viz.engine.report import RuleReport, way
from c3d_viz.engine.rules import rule_named

SHAPE = (1, 4, 2, 4, 4)
POOLED = {"adaptive_max_pool3d", "max_pool3d", "amax", "amin", "max", "min"}  # over places
SPARED = ("dropout", "rrelu", "lobpcg", "lowrank")  # of chance, or slow
MORE: dict[str, tuple[Any, ...]] = {"": (), "two": (2,), "places": ((2, 3, 4),)}


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    for owner, found in get_overridable_functions().items():
        if owner in (torch, F, Tensor, torch.special, torch.fft):
            for function in found:
                name = getattr(function, "__name__", "")
                if not name.startswith("_") and not any(part in name for part in SPARED):
                    yield name, function


def first(answer: Any) -> Tensor:
    if isinstance(answer, Tensor):
        return answer
    return next(part for part in answer if isinstance(part, Tensor) and part.is_floating_point())


def is_straight(call: Callable[[Tensor], Tensor]) -> bool | None:
    """Whether it takes a mean to the mean of what it makes of both; None where that is not told."""
    torch.manual_seed(0)
    one, other = torch.randn(2, *SHAPE).mul(0.7)
    with torch.no_grad():
        made = [call(x.clone()) for x in (one, other, (one + other) / 2)]
        again = call(one.clone())
    if not all(torch.is_floating_point(y) and y.dtype == torch.float32 for y in made):
        return None
    if not all(bool(y.isfinite().all()) for y in made) or not torch.equal(made[0], again):
        return None
    room = 1e-4 * float(made[0].abs().max()) + 1e-6
    return torch.allclose((made[0] + made[1]) / 2, made[2], rtol=0, atol=room)


def reported(call: Callable[[Tensor], Tensor]) -> RuleReport | None:
    torch.manual_seed(0)
    leaf, ruled = torch.randn(SHAPE).requires_grad_(), RuledReLUs(rule_named("guided"))
    with torch.enable_grad(), ruled:
        ruled.facts.clip = get_gradient_edge(leaf).node
        made = call(leaf * 1) * 1
    found = way(made, leaf)
    return found.report if found.reaches and not found.undefined else None


@pytest.mark.parametrize("more", MORE)
def test_what_is_bent_has_a_name_and_what_is_straight_none(more: str) -> None:
    bent = straight = 0
    for name, function in functions():

        def call(x: Tensor, function: Callable[..., Any] = function) -> Tensor:
            return first(function(x, *MORE[more]))

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                line = is_straight(call)
                report = None if line is None else reported(call)
        except Exception:  # it takes something else
            continue
        if report is None:
            continue
        if line:
            straight += 1
            assert report.others == () or name in PIECEWISE, (name, report)
        else:
            bent += 1
            assert report.relus or report.others or name.removesuffix("_with_indices") in POOLED, (
                name
            )
    assert bent > {"": 100, "two": 30, "places": 8}[more]
    assert straight > {"": 40, "two": 20, "places": 10}[more]


# straight on what was tried, and made of bent parts
PIECEWISE = {"msort", "unique_consecutive", "prod", "pinverse", "hardsigmoid", "eq_", "ne_"}
PIECEWISE |= {"local_response_norm", "not_equal_", "le_", "less_equal_"}
