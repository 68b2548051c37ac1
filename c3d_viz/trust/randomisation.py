"""Do the maps depend on what was learned? Weight randomisation.

Adebayo et al. 2018, "Sanity Checks for Saliency Maps" (arXiv 1810.03292): a map that stays the same
when the weights are replaced by random ones, layer by layer from the unit down, says nothing about
them. Measured: the similarity of the map to the original at every depth; low is good.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..engine import Unit
from ..errors import LayerError
from ..methods import attribute_many
from ..nets import C3D, CONV_LAYERS, initialise
from ..stats import blur_and_sample
from .paths import path_counts
from .similarity import map_similarity


@dataclass(frozen=True)
class Similarity:
    """How much of a map is left after weights were randomised.

    Attributes:
        layer: the layers from the unit's down to this one are random ("none": the original).
        depth: how many layers are random.
        spearman: rank correlation of the two |R|, colours summed; NaN if a map is constant.
        beyond_paths: the same with the number of paths from each pixel to the unit taken off
            (partial correlation). Any two networks of one architecture share that envelope.
        ssim: structural similarity of the two |R|, each scaled to a maximum of 1; NaN likewise.
    """

    layer: str
    depth: int
    spearman: float
    beyond_paths: float
    ssim: float


def reinitialised(model: nn.Module, seed: int) -> nn.Module:
    """A copy of the network with He weights: same architecture, nothing learned."""
    fresh = copy.deepcopy(model)
    initialise(fresh, seed)
    return fresh


def permuted(model: nn.Module, seed: int) -> nn.Module:
    """A copy whose weights are shuffled within each layer: same values, no structure.

    Every convolution and linear weight is permuted as a whole, biases among themselves.
    """
    shuffled = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in shuffled.modules():
            if isinstance(module, nn.Conv3d | nn.Linear):
                for values in (module.weight, module.bias):
                    if values is not None:
                        order = torch.randperm(values.numel(), generator=generator)
                        flat = values.reshape(-1)[order.to(values.device)]
                        values.copy_(flat.reshape(values.shape))
    return shuffled


def randomised_top_down(
    model: nn.Module, layers: Sequence[str], seed: int
) -> Iterator[tuple[str, nn.Module]]:
    """Networks in which the first 1, 2, ... of ``layers`` are random (He), cumulatively.

    Yields:
        The name of the layer randomised last, and a copy of the model. The copy is changed
        further when the next one is asked for.

    Raises:
        LayerError: a name is not a convolution or linear layer of the model.
    """
    changed = copy.deepcopy(model)
    modules = dict(changed.named_modules())
    for depth, name in enumerate(layers):
        if not isinstance(modules.get(name), nn.Conv3d | nn.Linear):
            raise LayerError(f"{name!r} is no convolution or linear layer of this model")
        initialise(modules[name], seed * 1000 + depth)
        yield name, changed


def weight_randomisation(
    model: nn.Module, x: Tensor, unit: Unit, method: str, *, seed: int = 0
) -> list[Similarity]:
    """Similarity of a unit's map to the original, as layers are randomised from its own down.

    Args:
        model: a C3D.
        x: one clip (1, 3, T, H, W).
        unit: of a conv layer; a position of None is the strongest under the original weights,
            and stays the same for every network.

    Returns:
        One entry per depth, the first being the original with itself (1.0).

    Raises:
        LayerError: the model is no C3D, or the unit is not in a conv layer.
    """
    if not isinstance(model, C3D) or unit.layer not in CONV_LAYERS:
        raise LayerError(f"weight randomisation takes a conv layer of a C3D, got {unit.layer!r}")
    layers = CONV_LAYERS[CONV_LAYERS.index(unit.layer) :: -1]
    original = next(iter(attribute_many(model, x, [unit], method)))
    paths = blur_and_sample(path_counts(model, original.unit)).reshape(-1)
    found = [Similarity("none", 0, 1.0, 1.0, 1.0)]
    for depth, (name, network) in enumerate(randomised_top_down(model, layers, seed), start=1):
        other = next(iter(attribute_many(network, x, [original.unit], method)))
        numbers = map_similarity(original.values, other.values, paths)
        found.append(Similarity(name, depth, *numbers))
    return found
