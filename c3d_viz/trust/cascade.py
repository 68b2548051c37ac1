"""Do the maps of any network depend on what was learned? Layers made random, one or all.

Adebayo et al. 2018, "Sanity Checks for Saliency Maps" (arXiv 1810.03292). Random weights have the
layer's own standard deviation and mean 0, and biases are shuffled: so that answers neither die nor
explode, whatever normalises them. (The finding's ``weight_randomisation`` is about C3D and draws He
weights.)
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..engine import Unit, eval_view, recording
from ..errors import LayerError
from ..stats import blur_and_sample, spearman
from .asked import answer

Importance = npt.NDArray[np.float32]
_DRAWS = 10
MOST = 5  # layers that a cascade stops at; the others are made random with the next one


def weight_layers(model: nn.Module, x: Tensor, unit: Unit) -> list[str]:
    """Modules with weights that the unit depends on, from its own down to the first.

    Weights are a module's own parameters of two axes and more: of convolutions and linear layers,
    attention, recurrence, embeddings. Found by autograd on a copy: what the unit's gradient
    reaches, in the order of the network's modules, backwards.

    Raises:
        LayerError: there is none.
    """
    free = copy.deepcopy(eval_view(model)).requires_grad_(True)
    owned = [
        (name, weight)
        for name, module in free.named_modules()
        for weight in module.parameters(recurse=False)
        if weight.ndim > 1
    ]
    at = (unit.channel, *(unit.at or ()))

    def keep(_name: str, _module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
        return output[0][at].clone()

    with torch.enable_grad(), recording(free, [unit.layer], keep) as kept:
        free(x.clone())
    reached: list[str] = []
    if owned and kept[unit.layer].requires_grad:
        grads = torch.autograd.grad(
            kept[unit.layer], [weight for _, weight in owned], allow_unused=True
        )
        found = (name for (name, _), grad in zip(owned, grads, strict=True) if grad is not None)
        reached = list(dict.fromkeys(found))
    if not reached:
        raise LayerError(f"{unit.layer} depends on no weights that could be made random")
    return reached[::-1]


def randomised(model: nn.Module, layers: Sequence[str], seed: int) -> nn.Module:
    """A copy in which these layers have random weights of their own spread, and shuffled biases."""
    changed = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    modules = dict(changed.named_modules())
    with torch.no_grad():
        for name in layers:
            for key, values in modules[name].named_parameters(recurse=False):
                if values.ndim > 1:
                    noise = torch.randn(values.shape, generator=generator).to(values)
                    spread = values.std() if values.numel() > 1 else values.abs().mean()
                    if spread > 0:  # else it is constant, and holds nothing that was learned
                        values.copy_(noise * spread)
                elif values.ndim and "bias" in key:
                    order = torch.randperm(len(values), generator=generator).to(values.device)
                    values.copy_(values[order].clone())
    return changed


def answering(
    model: nn.Module, layers: Sequence[str], x: Tensor, unit: Unit, seed: int
) -> nn.Module:
    """``randomised``, drawn again until the unit answers, at most ``_DRAWS`` times.

    Half of all units of a random network are shut, and the gradient of a shut unit is zero: of
    no network, not of this one.
    """
    for attempt in range(_DRAWS):
        network = randomised(model, layers, seed * 1000 + attempt)
        if answer(network, x, unit) > 0:
            break
    return network


def steps_of(count: int) -> list[int]:
    """How many layers are random at each step: evenly spread, the last one all."""
    steps = min(MOST, count)
    return [round((i + 1) * count / steps) for i in range(steps)]


def alike(first: Importance, second: Importance) -> float:
    """Spearman correlation of two maps (T, H, W) after a blur of 2 pixels; NaN for an empty one."""
    if first.max() <= 0 or second.max() <= 0:
        return float("nan")
    return float(spearman(*(blur_and_sample(m).reshape(-1) for m in (first, second))))
