"""Units walked back by either engine, for the tests of both."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from c3d_viz.engine.general import backproject
from c3d_viz.engine.graph.graph import Graph, Unknown
from c3d_viz.engine.graph.reading import graph_of
from c3d_viz.engine.graph.walk import walks
from c3d_viz.engine.rules import RULES
from c3d_viz.engine.tracing import Unit


def one(model: nn.Module, x: Tensor, unit: Unit, rule: str) -> Tensor:
    return next(backproject(model, x, [unit], rule)).values


def point(*values: float) -> Tensor:
    """A clip of one pixel row: (1, 1, 1, 1, n)."""
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, 1, -1)


def by_graph(
    net: nn.Module, x: Tensor, units: list[Unit], rule: str, precision: str = "float32"
) -> list[Tensor]:
    graph = graph_of(net, x)
    places = graph.places(net, units)
    assert places is not None
    return [b.values for b in walks(graph, x, places, RULES[rule], precision=precision)]


def graph_for(net: nn.Module, *shape: int) -> Graph:
    """The net read for a clip (C, T, H, W)."""
    parameter = next(net.parameters(), torch.zeros(()))
    return graph_of(net, torch.zeros(1, *shape, dtype=parameter.dtype))


def unknown(net: nn.Module, *shape: int) -> str:
    """Why the net as a whole is not known to the fast engine; "" where it is."""
    graph = graph_for(net, *shape)
    answer = graph.outputs[net][-1] if net in graph.outputs else Unknown(graph.reason)
    return answer.reason if isinstance(answer, Unknown) else ""


def spread(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """A corner, the opposite corner, an edge, and the centre of a (T, H, W) grid."""
    t, h, w = shape
    return [(0, 0, 0), (t - 1, h - 1, w - 1), (t // 2, 0, w // 2), (t // 2, h // 2, w // 2)]


def same(values: Tensor, expected: Tensor, bound: float) -> bool:
    top = float(expected.abs().max())
    return float((values - expected).abs().max()) <= bound * top
