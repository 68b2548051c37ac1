"""A network that takes its time, and ends its process at a black window: for what is killed."""

from __future__ import annotations

import os
import time

import torch
from small_net import SMALL_INPUT
from torch import Tensor, nn

from c3d_viz.nets import InputSpec
from c3d_viz.weights import NetworkChoice


class Slow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if len(torch.unique(x)) == 1 and x.min() < -1:
            os._exit(9)
        time.sleep(0.03)
        return torch.relu(self.conv(x))


def build() -> tuple[nn.Module, InputSpec]:
    return Slow(), SMALL_INPUT


SLOW_NET = NetworkChoice(f"{__file__}:build")
