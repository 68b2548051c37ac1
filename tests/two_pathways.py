"""A network of two pathways, as SlowFast has: every fourth frame, and all frames, in a list."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TwoPathways(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.slow = nn.Conv3d(3, 4, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.fast = nn.Conv3d(3, 2, (5, 3, 3), (1, 2, 2), (2, 1, 1))
        self.lateral = nn.Conv3d(2, 4, (5, 1, 1), (4, 1, 1), (2, 0, 0))
        self.relu = nn.ReLU(inplace=True)
        self.fused = nn.Conv3d(8, 5, 3, padding=1)
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.head = nn.Linear(5, 3)

    def forward(self, pathways: list[Tensor]) -> Tensor:
        slow, fast = pathways
        fast = self.relu(self.fast(fast))
        x = torch.cat([self.relu(self.slow(slow)), self.lateral(fast)], 1)
        return self.head(self.relu(self.fused(x) * self.scale).mean((2, 3, 4)))


def pathways(clip: Tensor) -> tuple[list[Tensor]]:
    return ([clip[:, :, ::4], clip],)
