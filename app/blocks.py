"""The network from left to right, as the pages draw and describe it, and its layers by name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from c3d_viz import LAYERS
from c3d_viz.engine import called_layers, groups_of, receptive_fields
from c3d_viz.nets import ReceptiveField

from .tasks import report
from .work import Net, kept

Block = dict[str, Any]


@dataclass(frozen=True)
class Tree:
    """The layers of a network.

    Attributes:
        blocks: what the strip on top draws, in order.
        layers: every layer that can be asked for, with its shape (C, T, H, W) or (C,).
        first: the one that a page opens with.
    """

    blocks: list[Block]
    layers: dict[str, tuple[int, ...]]
    first: str

    def group(self, layer: str) -> str:
        """The block that a layer lies in."""
        ids = [block["id"] for block in self.blocks]
        return next((i for i in ids if layer == i or layer.startswith(f"{i}.")), layer)

    def inside(self, group: str) -> list[str]:
        """The layers of a block, itself first."""
        return [name for name in self.layers if self.group(name) == group]


def tree(net: Net) -> Tree:
    """The layers of any network: C3D's by the paper's names, another's modules in groups."""
    return kept(("tree", net.key), lambda: _c3d(net) if net.choice.is_c3d else _any(net))


def _any(net: Net) -> Tree:
    shape = net.spec.input.shape
    report(0, 1, "running it on an empty clip")
    called = {n: s for n, s in called_layers(net.model, shape).items() if len(s) in (1, 4)}
    groups = [name for name in groups_of(net.model, called) if name in called] or list(called)
    fields = receptive_fields(net.model, shape, groups, progress=report)
    blocks = [_block(name, called[name], fields[name], shape[1:]) for name in groups]
    deep = [name for name in groups if len(called[name]) == 4 and max(called[name][2:]) > 1]
    return Tree(blocks, called, (deep or groups)[-1])


def _c3d(net: Net) -> Tree:
    clip = net.spec.input.shape[1:]
    names = [name for name in LAYERS if name != "fc8" or net.spec.num_classes]
    fields = receptive_fields(net.model, net.spec.input.shape, names)
    shapes: dict[str, tuple[int, ...]] = {}
    blocks: list[Block] = []
    for name, module in net.model.named_children():
        if name.startswith("pool"):
            blocks.append({"id": name, "kind": "pool", "shape": "max-pooling"})
        elif name in names:
            field = fields[name]
            if field is None:
                shapes[name] = (module.out_features,)
            else:
                grid = (n // step for n, step in zip(clip, field.step, strict=True))
                shapes[name] = (module.out_channels, *grid)
            blocks.append(_block(name, shapes[name], field, clip, is_last=name == "fc8"))
    return Tree(blocks, shapes, "conv5b")


def _block(
    name: str,
    shape: tuple[int, ...],
    field: ReceptiveField | None,
    clip: tuple[int, ...],
    is_last: bool = False,
) -> Block:
    channels, *grid = shape
    block: Block = {"id": name, "depth": min(1.0, math.log2(max(2, channels)) / 10)}
    if not grid:
        what = "classes" if is_last else "units"
        spoken = f"{channels} {what}; each sees the whole clip"
        return {
            **block, "kind": "fc", "shape": f"{channels} {what}", "sees": "sees whole clip",
            "spoken": spoken, "size": 0.0,
        }  # fmt: skip
    sees, seen = _sees((10**6,) * 3 if field is None else field.size, clip)
    steps, height, width = grid
    return {
        **block,
        "kind": "conv",
        "shape": "×".join(map(str, shape)),
        "sees": sees,
        "spoken": f"{channels} feature maps of {steps} time steps, {height} × {width} cells; each "
        f"cell sees {seen}",
        "size": min(1.0, height / clip[1]) ** (1 if height == clip[1] else 0.6),
    }


def _sees(field: tuple[int, ...], clip: tuple[int, ...]) -> tuple[str, str]:
    """A receptive field for people, short and in words; never more than there is."""
    if all(size >= limit for size, limit in zip(field, clip, strict=True)):
        return "sees whole clip", "the whole clip"
    frames, height, width = (min(*pair) for pair in zip(field, clip, strict=True))
    whole = "all " if frames == clip[0] else ""
    return (
        f"sees {frames}×{height}×{width}",
        f"{whole}{frames} frame{'s' * (frames > 1)} of {height} × {width} pixels",
    )
