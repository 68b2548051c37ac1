"""Parts of a level have the bits of the whole; a last bit may decide which cell a pooling takes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from c3d_viz.engine.chain.boxes import chain_of
from c3d_viz.engine.chain.exact import backend_of, enough
from c3d_viz.engine.chain.forward import forward
from c3d_viz.engine.chain.signals import conv_forward
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
    chain = chain_of(conv, (channels[0], *sizes))
    x = torch.randn(1, channels[0], *sizes)
    backend = backend_of(conv, sizes, x)
    if backend is None:
        pytest.skip("this build of PyTorch has other kernels; whole levels are computed then")
    whole = conv(x)[0]
    t, h, w = sizes
    for box in (
        ((0, t), (0, h), (0, w)),
        ((1, 2), (0, h), (0, w)),
        ((0, t), (1, h), (0, w - 2)),
        ((t // 2, t), (h // 4, h - 1), (0, w // 2)),
    ):
        if not enough(backend, box):
            continue
        below = chain.needed(1, box)
        cells = tuple(slice(lo, hi) for lo, hi in box)
        seen = tuple(slice(lo, hi) for lo, hi in below)
        part = conv_forward(conv, x[0][(slice(None), *seen)], box, below, backend)
        assert torch.equal(part, whole[(slice(None), *cells)]), box


def test_a_pass_over_a_deep_units_field_finds_the_models_own_value() -> None:
    """In pieces, cut off at the field: still the same bits, and units on the way are found."""
    model = C3D(5, width=32, fc=8).eval()
    initialise(model, 3)
    x = torch.randn(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0)) * 50
    chain = chain_of(model, x.shape[1:])
    deep, shallow = Unit("conv4b", 7, (1, 3, 4)), Unit("conv1a", 2, (9, 30, 31))
    keys = [(chain.level_of(model, unit.layer), unit) for unit in (deep, shallow)]
    with torch.no_grad():
        record = forward(chain, x, keys, "deconvnet")
    seen = trace(model, x, ["conv4b", "conv1a"], switches=True)
    if backend_of(model.conv2a, (16, 56, 56), x) is not None:
        assert record.boxes[0] != chain.full(0)
    for key in keys:
        unit = key[1]
        value = seen.activations[unit.layer][(unit.channel, *unit.at)]
        assert record.found[key][1] == pytest.approx(float(value), rel=1e-6)
    for name in ("pool1", "pool2", "pool3"):
        level = chain.level_of(model, name)
        kept = record.switches[level].unpool._offsets.movedim(-1, 0)
        cells = tuple(slice(lo, hi) for lo, hi in record.boxes[level])
        taken = seen.switches[name][(slice(None), *cells)]
        _, height, width = chain.shapes[level - 1][1:]
        _, rows, columns = record.switches[level].unpool._size
        kernel = chain.steps[level - 1].kernel_size
        depth = kernel if isinstance(kernel, int) else kernel[0]
        t, h, w = taken // (height * width) % depth, taken // width % 2, taken % 2
        assert torch.equal((t * rows + h) * columns + w, kept.long()), name
