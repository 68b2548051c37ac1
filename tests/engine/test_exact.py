"""Parts of a level have the bits of the whole; a last bit may decide which cell a pooling takes."""

from __future__ import annotations

import pytest
import torch
from engines import graph_for
from torch import nn

from c3d_viz.engine.graph.boxes import Part
from c3d_viz.engine.graph.record import run
from c3d_viz.engine.graph.steps import Call
from c3d_viz.engine.tracing import Unit, trace
from c3d_viz.nets.c3d import C3D, initialise


@pytest.mark.parametrize(
    ("channels", "sizes"),
    [
        ((3, 16), (8, 48, 48)),
        ((32, 48), (6, 28, 28)),
        ((64, 64), (4, 14, 14)),
        ((64, 32), (2, 7, 7)),
    ],
)
def test_a_part_has_the_bits_of_the_whole(
    channels: tuple[int, int], sizes: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv3d(*channels, 3, padding=1).requires_grad_(False)
    graph = graph_for(conv, channels[0], *sizes)
    x = torch.randn(1, channels[0], *sizes)
    step = graph.steps[1]
    if step.backend is None:
        pytest.skip("this build of PyTorch has other kernels; whole levels are computed then")
    whole = conv(x)[0]
    t, h, w = sizes
    for box in (
        ((0, t), (0, h), (0, w)),
        ((t // 2, t // 2 + 1), (h - 1, h), (1, 2)),
        ((1, 2), (0, h), (0, w)),
        ((0, t), (1, h), (0, w - 2)),
        ((t // 2, t), (h // 4, h - 1), (0, w // 2)),
    ):
        box = step.exact(box)
        (below,) = step.needed(box)
        cells = tuple(slice(lo, hi) for lo, hi in box)
        seen = tuple(slice(lo, hi) for lo, hi in below)
        part, _ = step.forward(Call([Part(x[0][(slice(None), *seen)], below)], box))
        assert torch.equal(part, whole[(slice(None), *cells)]), box


@pytest.mark.parametrize(
    ("conv", "in_parts"),
    [
        (nn.Conv3d(64, 64, 1, 2), False),  # oneDNN splits the sum over channels by the level's size
        (nn.Conv3d(64, 64, (3, 1, 1), 2, (1, 0, 0)), True),
        (nn.Conv3d(64, 64, 3, padding=1, groups=4), False),
        (nn.Conv3d(64, 64, 3, padding=1, groups=64), True),
    ],
)
def test_which_convolutions_of_onednn_are_made_in_parts(conv: nn.Conv3d, in_parts: bool) -> None:
    sizes, cell = (64, 8, 56, 56), ((1, 2), (5, 6), (7, 8))
    plain = graph_for(nn.Conv3d(64, 64, 3, 2, 1), *sizes).steps[1]
    if plain.backend != "onednn":
        pytest.skip("this build of PyTorch has other kernels for these sizes")
    graph = graph_for(conv, *sizes)
    step = graph.steps[1]
    assert step.in_parts == in_parts
    assert step.exact(cell) == (cell if in_parts else graph.full(1))


def test_a_pass_over_what_a_deep_unit_sees_finds_the_models_own_value() -> None:
    """In pieces, and only what the unit sees: still the same bits, with units on the way."""
    model = C3D(5, width=32, fc=8).eval()
    initialise(model, 3)
    x = torch.randn(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0)) * 50
    graph = graph_for(model, *x.shape[1:])
    deep, shallow = Unit("conv4b", 7, (1, 3, 4)), Unit("conv1a", 2, (9, 30, 31))
    keys = [(graph.level_of(model, unit.layer), unit) for unit in (deep, shallow)]
    with torch.no_grad():
        record = run(graph, x, keys, asks=False)
    seen = trace(model, x, ["conv4b", "conv1a"], switches=True)
    if graph.steps[graph.level_of(model, "conv2a") - 1].in_parts:
        assert record.boxes[0] != graph.full(0)
    for key in keys:
        unit = key[1]
        value = seen.activations[unit.layer][(unit.channel, *unit.at)]
        assert record.found[key][1] == float(value)
    for name in ("pool1", "pool2", "pool3"):
        level = graph.level_of(model, name)
        kept = record.memos[level].switches.unpool._offsets.movedim(-1, 0)
        cells = tuple(slice(lo, hi) for lo, hi in record.boxes[level])
        taken = seen.switches[name][(slice(None), *cells)]
        _, height, width = graph.steps[level - 1].shape[1:]
        _, rows, columns = record.memos[level].switches.unpool._size
        depth = graph.steps[level].stencil.kernel[0]
        t, h, w = taken // (height * width) % depth, taken // width % 2, taken % 2
        assert torch.equal((t * rows + h) * columns + w, kept.long()), name
