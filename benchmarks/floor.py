"""What the arithmetic alone allows: multiply-adds of a back-projection, counted on paper.

A unit's signal starts as one cell and grows with every layer on its way down, until the border.
A convolution's way back costs its weights once for each cell that holds a signal above it; the
first one costs nothing, because the signal of a single cell is the filter itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import nn

import c3d_viz as viz
from c3d_viz.nets import C3D, CONV_LAYERS, INPUT_SHAPE, triple


def whole_pass(model: C3D) -> dict[str, int]:
    """Multiply-adds of a forward pass, per convolution layer. One way back costs the same."""
    return {name: conv.weight.numel() * prod(sizes) for name, conv, sizes in _convolutions(model)}


def way_back(model: C3D, unit: viz.Unit) -> dict[str, int]:
    """Multiply-adds of one unit's way back, per convolution layer from the unit's down."""
    assert unit.at is not None
    box = [(i, i + 1) for i in unit.at]
    found: dict[str, int] = {}
    children = list(model.named_children())
    names = [name for name, _ in children]
    for name, module in reversed(children[: names.index(unit.layer) + 1]):
        if isinstance(module, nn.Conv3d):
            cells = prod(hi - lo for lo, hi in box)
            found[name] = 0 if name == unit.layer else module.weight.numel() * cells
            reach = [(k // 2, k // 2) for k in module.kernel_size]
            box = [(lo - a, hi + b) for (lo, hi), (a, b) in zip(box, reach, strict=True)]
        elif isinstance(module, nn.MaxPool3d):
            box = [(lo * s, hi * s) for (lo, hi), s in zip(box, triple(module.stride), strict=True)]
        sizes = _size_below(model, name)
        box = [(max(lo, 0), min(hi, n)) for (lo, hi), n in zip(box, sizes, strict=True)]
    return found


def times(model: C3D, units: Sequence[viz.Unit]) -> dict[str, float]:
    """How many times fewer multiply-adds ours needs: the ratio at equal efficiency.

    ``forward each``: a tool with a whole forward and backward pass per unit (captum; the fully
    connected layers left aside). ``forward once``: a loop that keeps its graph.
    """
    whole = whole_pass(model)
    order = list(whole)

    def up_to(layer: str) -> int:
        return sum(whole[name] for name in order[: order.index(layer) + 1])

    deepest = max(units, key=lambda unit: order.index(unit.layer)).layer
    ours = up_to(deepest) + sum(sum(way_back(model, unit).values()) for unit in units)
    back = sum(up_to(unit.layer) for unit in units)
    forward = up_to(order[-1])
    return {
        "forward each": (len(units) * forward + back) / ours,
        "forward once": (forward + back) / ours,
    }


def centre(model: C3D, layer: str) -> viz.Unit:
    """The unit in the middle of a layer, where the border cuts off least."""
    sizes = {name: size for name, _, size in _convolutions(model)}[layer]
    return viz.Unit(layer, 0, tuple(n // 2 for n in sizes))


def _convolutions(model: C3D) -> list[tuple[str, nn.Conv3d, tuple[int, ...]]]:
    modules = dict(model.named_children())
    found = []
    for name in CONV_LAYERS:
        conv = modules[name]
        assert isinstance(conv, nn.Conv3d)
        found.append((name, conv, _size_below(model, name)))
    return found


def _size_below(model: C3D, name: str) -> tuple[int, ...]:
    """(T, H, W) of what a module is given; a convolution keeps it."""
    sizes = list(INPUT_SHAPE[1:])
    for other, module in model.named_children():
        if other == name:
            break
        if isinstance(module, nn.MaxPool3d):
            sizes = [n // s for n, s in zip(sizes, triple(module.stride), strict=True)]
    return tuple(sizes)
