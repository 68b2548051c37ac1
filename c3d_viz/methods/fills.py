"""What stands in a clip where something is taken away: the baselines of several methods."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

FILLS = ("mean", "blur", "still")


def filled(x: Tensor, fill: str) -> Tensor:
    """A clip (1, C, T, H, W) that tells less than ``x``.

    Args:
        fill: "mean": 0 everywhere, the mean colour of what the network was trained on. "blur":
            each frame as its means over 7 x 7 fields, drawn smoothly. "still": each frame is the
            clip's mean over time, so that nothing moves and what stands still stays.
    """
    if fill == "blur":
        few = F.adaptive_avg_pool3d(x, (x.shape[2], min(7, x.shape[3]), min(7, x.shape[4])))
        return F.interpolate(few, x.shape[2:], mode="trilinear")
    if fill == "still":
        return x.mean(dim=2, keepdim=True).expand_as(x).clone()
    return x.new_zeros(x.shape)
