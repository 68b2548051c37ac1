"""A receptive field alone is the same problem on fewer pixels."""

from __future__ import annotations

import pytest
import torch
from engines import by_graph, spread
from nets import clip, mini_c3d, relative

from c3d_viz.engine.general import backproject
from c3d_viz.engine.graph.reading import graph_of
from c3d_viz.engine.graph.subproblem import subproblem
from c3d_viz.engine.tracing import Unit
from c3d_viz.nets.c3d import C3D


@pytest.mark.parametrize("layer", ["relu1a", "relu2a", "relu3b", "pool3", "relu5b", "fc7", "drop6"])
def test_a_receptive_field_alone_is_the_same_problem(layer: str) -> None:
    net, x = mini_c3d().double(), clip(dtype=torch.float64)
    graph = graph_of(net, x)
    level = graph.level_of(net, layer)
    grid = graph.steps[level].shape[1:]
    for at in spread(grid) if grid else [()]:
        unit = Unit(layer, 1, at)
        part = subproblem(graph, x, (level, unit))
        whole = next(backproject(net, x, [unit], "guided"))
        alone = next(backproject(part.model, part.x, [part.unit], "guided"))
        assert alone.activation == pytest.approx(whole.activation, rel=1e-12)
        pasted = part.paste(alone.values[None], x)[0]
        assert float((pasted - whole.values).abs().max()) <= 1e-12
        if layer in ("relu1a", "relu2a"):
            assert part.x.numel() < 0.1 * x.numel()


def test_full_size_layers_match_on_c3d_itself(tiny_c3d: C3D) -> None:
    x = clip((1, 3, 16, 112, 112))
    units = [Unit("conv5b", 1), Unit("conv3b", 2), Unit("conv1a", 0), Unit("fc6", 3)]
    for values, back in zip(
        by_graph(tiny_c3d, x, units, "deconvnet"),
        backproject(tiny_c3d, x, units, "deconvnet"),
        strict=True,
    ):
        assert relative(values, back.values) <= 1e-5
