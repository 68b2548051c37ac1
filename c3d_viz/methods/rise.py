"""RISE: random masks over the clip; a cell counts by how the answer is where it can be seen.

Formula: masks M with values 0..1, f(M) the unit's answer to x M + b (1 - M), b what stands in the
place of what is hidden. R = sum(f(M) M) / sum(M) - mean f(M), cell by cell: the mean answer when
the cell is seen, less the mean answer at all. (The paper does not take the mean off; it is one
number for the whole map.) A mask is a grid of t x h x w cells, each open with probability p, drawn
larger by trilinear interpolation and moved by a random part of a cell, as the paper does in 2D.

Limit: an estimate; with few masks it is noise, about as 1 / sqrt(masks). As coarse as the grid.

Reference: Petsiuk et al. 2018, RISE: Randomized Input Sampling for Explanation of Black-box Models,
eq. 6 and section 3.2; in time as well here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..arguments import MAX_SEED
from ..engine import Unit, undisturbed
from ..errors import VizError
from .answer import Answer, answer_of, counted
from .fills import FILLS, filled
from .narrowed import asked_once
from .settings import Settings, check_in_time, setting
from .types import Method, Progress


@dataclass(frozen=True)
class RiseSettings(Settings):
    """Settings of RISE."""

    masks: int = setting(500, "random masks", low=1, high=1_000_000)
    grid: tuple[int, int, int] = setting((4, 7, 7), "cells of a mask in time, rows, columns", low=1)
    open: float = setting(0.5, "share of the cells that can be seen", low=0.01, high=0.99)
    fill: str = setting("mean", "what stands where nothing can be seen", choices=FILLS)
    seed: int = setting(0, "of the masks", low=0, high=MAX_SEED)

    def check_clip(self, shape: tuple[int, ...]) -> None:
        """A mask has at most as many cells as the clip."""
        check_in_time("rise", shape)
        if any(g > n for g, n in zip(self.grid, shape, strict=True)):
            raise VizError(f"rise.grid {self.grid} is finer than the clip {shape}")


def rise(
    model: nn.Module,
    x: Tensor,
    unit: Unit,
    *,
    settings: RiseSettings,
    progress: Progress | None = None,
) -> Tensor:
    """x (1, C, T, H, W), result (1, 1, T, H, W); one pass for each mask."""
    shape = tuple(x.shape[2:])
    answer = asked_once(model, x, answer_of(model, unit))
    with undisturbed(x.device), torch.no_grad():
        masks = (mask.to(x.device, x.dtype) for mask in random_masks(settings, shape))
        told = counted(answer, settings.masks, progress)
        return seen_less_mean(told, x, filled(x, settings.fill), masks)


def seen_less_mean(answer: Answer, x: Tensor, fill: Tensor, masks: Iterator[Tensor]) -> Tensor:
    """(1, 1, T, H, W): each cell's mean answer when it is seen, less the mean answer.

    Args:
        masks: each (T, H, W), 0 (hidden) to 1 (seen).
    """
    seen = x.new_zeros(x.shape[2:])
    share, total, count = torch.zeros_like(seen), x.new_zeros(()), 0
    for mask in masks:
        value = answer(x * mask + fill * (1 - mask))[0]
        seen += value * mask
        share += mask
        total += value
        count += 1
    mean = total / max(count, 1)
    # a cell that no mask shows says nothing
    values = torch.where(share > 0, seen / share.clamp_min(1e-12) - mean, 0)
    return values[None, None]


def random_masks(settings: RiseSettings, shape: tuple[int, ...]) -> Iterator[Tensor]:
    """Masks (T, H, W) of float32 on the CPU, one after the other."""
    chance = torch.Generator().manual_seed(settings.seed)
    cell = [-(-n // g) for n, g in zip(shape, settings.grid, strict=True)]
    large = [(g + 1) * c for g, c in zip(settings.grid, cell, strict=True)]
    for _ in range(settings.masks):
        grid = torch.rand([g + 1 for g in settings.grid], generator=chance) < settings.open
        drawn = F.interpolate(grid[None, None].float(), large, mode="trilinear")[0, 0]
        t, h, w = (int(torch.randint(c, (), generator=chance)) for c in cell)
        yield drawn[t : t + shape[0], h : h + shape[1], w : w + shape[2]]


RISE = Method(
    "RISE",
    "The mean activation under random masks that leave a place and time visible, less the mean "
    "under all masks.",
    "Petsiuk et al. 2018, RISE: Randomized Input Sampling for Explanation of Black-box Models",
    function=rise,
    reports=True,
    settings=RiseSettings,
    scope="clip",
)
