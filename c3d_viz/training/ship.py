"""From a finished run to a file that ``load_model`` reads."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ..models import C3D
from ..spec import COMPACT_INPUT, ModelSpec
from ..synthetic_scene import CLASSES
from ..weights.own import save_model
from .nets import TrainNet, to_c3d


def ship(net: TrainNet, path: Path, name: str, description: str) -> C3D:
    """Fold ``net`` into a plain C3D and write it as float16 safetensors.

    Args:
        net: trained on (what, how).
        path: file to write, replaced whole.
        name: "compact" or "compact-2d".
        description: one line, at most 120 characters; becomes the weights line of every artefact.
    """
    model = to_c3d(net)
    spec = ModelSpec(
        name=name,
        weights=description,
        trained=True,
        input=COMPACT_INPUT,
        num_classes=len(CLASSES),
        classes=CLASSES,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(path, model, spec, half=True, description=description)
    return model


@torch.no_grad()
def worst_difference(net: TrainNet, model: nn.Module, x: torch.Tensor) -> float:
    """Largest difference between the product of the heads and the folded net's logits."""
    heads = net.split(net(x))
    product = heads[0]
    for head in heads[1:]:
        product = (product[:, :, None] + head[:, None]).flatten(1)
    return float((product - model(x)).abs().max())
