"""A C3D of width 4, for tests that need its layers and not its size."""

from __future__ import annotations

import torch

from c3d_viz.nets import C3D, initialise


def tiny(depth: int = 3, seed: int = 5) -> C3D:
    model = C3D(4, 4, (depth,) * 5, 8)
    initialise(model, seed)
    model.requires_grad_(False)
    for module in model.children():
        if isinstance(module, torch.nn.Conv3d):
            module.bias.fill_(0.1)  # so narrow a network would fall silent without it
    return model.eval()
