"""What all class activation maps share: a layer's activation, a unit's slope there, and the grid.

A class activation map weighs the channels A_c of one layer by the gradient g_c = df/dA_c of a unit
above it, and lives on that layer's grid: conv5b has two time steps, and its map has two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from ..engine import (
    RuleReport,
    Unit,
    Way,
    check_input,
    check_recorded,
    crossed,
    eval_view,
    follows_clip,
    forward,
    locate,
    recording,
    undisturbed,
    way,
)
from ..errors import LayerError, VizError
from ..nets import layers_of
from .answer import leaf_of
from .settings import Settings, setting
from .types import Method, OnGrid

_ELEMENTWISE = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Mish,
    nn.BatchNorm3d, nn.GroupNorm, nn.InstanceNorm3d,
)  # fmt: skip
_MIXES = re.compile("conv|mm|linear", re.IGNORECASE)  # nodes of the graph that weigh channels


@dataclass(frozen=True)
class CamSettings(Settings):
    """Settings of every class activation map."""

    layer: str = setting("", "layer the map lives on; empty: the last convolution below the unit")


@dataclass(frozen=True)
class Weighable:
    """A layer seen from a unit.

    Attributes:
        activation: (C, T', H', W').
        slope: the unit's gradient there, of the same shape.
        unit: the unit, with a concrete position.
        layer: the layer's name.
    """

    activation: Tensor
    slope: Tensor
    unit: Unit
    layer: str


Weigh = Callable[[Weighable], Tensor]  # the map (T', H', W') on the layer's own grid


def weighable(model: nn.Module, x: Tensor, unit: Unit, layer: str = "") -> Weighable:
    """The activation of ``layer`` and the unit's gradient there.

    Args:
        model: any module; left exactly as it was.
        x: one clip (1, C, T, H, W).
        layer: below the unit; "" is the choice of ``cam_layers``.

    Raises:
        LayerError: layer or unit do not exist, the layer has no (T, H, W) grid, or does not lie
            below the unit.
        VizError: the layer is computed without gradient.
    """
    check_input(model, x)
    model = eval_view(model)
    if not layer:
        found = cam_layers(model, x, [unit.layer])[unit.layer]
        if isinstance(found, VizError):
            raise found
        layer = found
    edges: dict[str, GradientEdge] = {}

    def keep(name: str, _module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
        # the place in the graph, and a copy: an in-place ReLU may overwrite the tensor itself
        if output.requires_grad:
            edges[name] = get_gradient_edge(output)
        return output.clone()

    with undisturbed(x.device), torch.enable_grad():
        wanted, leaf = [layer, unit.layer], leaf_of(x)
        with recording(model, wanted, keep) as kept:
            forward(model, leaf * 1)
        check_recorded(kept, wanted)
        activation, answer = kept[layer], kept[unit.layer]
        if activation.ndim != 5:
            raise LayerError(f"{layer} has no (T, H, W) grid; choose a convolutional layer")
        unit = locate(answer[0].detach(), unit)
        assert unit.at is not None
        if not _sees_clip(model, leaf, answer, unit.layer):
            zeros = torch.zeros_like(activation[0])
            return Weighable(activation[0].detach(), zeros, unit, layer)
        if layer not in edges:
            raise VizError(f"the model computes {layer} without gradient; choose another layer")
        if not crossed(way(answer, edges[layer]), unit.layer, lambda: False):
            raise LayerError(f"{unit.layer} does not depend on {layer}; choose a layer below it")
        (slope,) = torch.autograd.grad(answer[(0, unit.channel, *unit.at)], [edges[layer]])
    return Weighable(activation[0].detach(), slope[0], unit, layer)


def _sees_clip(model: nn.Module, leaf: Tensor, answer: Tensor, target: str) -> bool:
    depends = partial(follows_clip, model, leaf.detach(), target)
    return crossed(way(answer, leaf), target, depends)


def cam_layers(
    model: nn.Module, x: Tensor, targets: Sequence[str], layer: str = ""
) -> dict[str, str | VizError]:
    """For each layer of units, the layer whose grid their maps live on, or why there is none.

    Where ``layer`` does not name it, it is the last one on the way that convolves (a convolution, a
    block of them, or the norm or ReLU behind it), still has a grid, and has another convolution or
    a fully connected layer between itself and the units: without one, a unit's map would be the
    unit's own channel. One forward pass.

    Raises:
        LayerError: a target or ``layer`` does not exist or has no grid.
    """
    check_input(model, x)
    model = eval_view(model)
    edges: dict[str, GradientEdge | None] = {}
    own = dict(layers_of(model)) if "named_layers" in vars(type(model)) else {}
    candidates = [layer] if layer else list(own or dict(model.named_modules()))

    def keep(name: str, module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
        grid = output.shape[2:]
        edges.pop(name, None)
        if layer == name and len(grid) != 3:
            raise LayerError(f"{layer} has no (T, H, W) grid; choose a convolutional layer")
        fits = name == layer
        if not layer and len(grid) == 3:
            fits = grid[1] * grid[2] > 1 and _convolves(module)
        if fits:
            edges[name] = get_gradient_edge(output) if output.requires_grad else None
        # a copy: an in-place ReLU that comes next would be taken for a part of the way
        return output.clone() if name in targets else output.new_empty(())

    wanted = [name for name in dict.fromkeys([*candidates, *targets]) if name]
    with undisturbed(x.device), torch.enable_grad():
        leaf = leaf_of(x)
        with recording(model, wanted, keep, skipped={}) as kept:
            forward(model, leaf * 1)
        check_recorded(kept, [*targets, *([layer] if layer else [])])
        found: dict[str, str | VizError] = {}
        for target in targets:
            try:
                blind = not _sees_clip(model, leaf, kept[target], target)
            except VizError as error:  # the way is cut
                found[target] = error
                continue
            before = list(kept)[: list(kept).index(target)]
            below = {name: edges[name] for name in reversed(before) if name in edges}
            found[target] = _below(kept[target], target, below, layer, blind)
        return found


def _below(
    answer: Tensor, target: str, edges: dict[str, GradientEdge | None], layer: str, blind: bool
) -> str | LayerError:
    for name, edge in edges.items():
        if blind:  # every map is zero
            return name
        passage = Way(False, RuleReport(0)) if edge is None else way(answer, edge)
        mixed = any(_MIXES.search(node.name()) for node in passage.nodes)
        if passage.reaches and (layer or mixed):
            return name
    if layer:
        return LayerError(f"{target} does not depend on {layer}; choose a layer below it")
    return LayerError(
        f"no convolutional layer lies below {target}, so no class activation map of its units can "
        f"live on one; ask about a deeper layer"
    )


def check_cam(
    model: nn.Module, x: Tensor, layers: Sequence[str], settings: CamSettings
) -> dict[str, VizError]:
    """Why there are no class activation maps of a layer's units, where there are none."""
    found = cam_layers(model, x, layers, settings.layer)
    return {name: error for name, error in found.items() if isinstance(error, VizError)}


def on_clip(seen: Weighable, native: Tensor, x: Tensor) -> OnGrid:
    """A map (T', H', W') on its layer's grid, and drawn large enough for the clip ``x``.

    Every frame gets the time step it lies in, none in between; rows and columns are smooth.
    """
    frames, *size = x.shape[2:]
    large = F.interpolate(native[None], size, mode="bilinear")
    step = (torch.arange(frames, device=x.device) * 2 + 1) * len(native) // (2 * frames)
    return OnGrid(large[:, None, step], native, seen.layer)


def map_on_clip(
    model: nn.Module, x: Tensor, unit: Unit, *, settings: CamSettings, weigh: Weigh
) -> OnGrid:
    """A class activation map drawn on the clip's grid; its own grid is kept beside it."""
    seen = weighable(model, x, unit, settings.layer)
    return on_clip(seen, weigh(seen), x)


def cam_method(title: str, sentence: str, paper: str, weigh: Weigh) -> Method:
    """The method whose map on the layer's own grid ``weigh`` makes."""
    return Method(
        title,
        sentence,
        paper,
        function=partial(map_on_clip, weigh=weigh),
        settings=CamSettings,
        scope="model",
        check=check_cam,
    )


def _convolves(module: nn.Module) -> bool:
    if any(module.children()):
        return any(isinstance(part, nn.Conv3d) for part in module.modules())
    return isinstance(module, (nn.Conv3d, *_ELEMENTWISE))
