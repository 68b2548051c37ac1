"""What a study trains on what, and what its networks said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ..loop import Settings
from .net import DEPTHS, DepthNet

Ints = npt.NDArray[np.int64]
Said = dict[tuple[str, int, int], Ints]  # (depths, seed, epoch from 1) -> (n, 2): what, how


@dataclass(frozen=True)
class Plan:
    """What is trained, on what, for how long.

    Attributes:
        names: keys of ``DEPTHS``.
        seeds: networks of each depth; a seed draws weights, dropout and the clips' order.
        clips: training clips, a multiple of ``batch``. epochs: how often each is seen.
        curve: held-out clips that are asked after every epoch. test: all of them, asked after the
            last; the first ``curve`` are the same.
        frames, size, clutter: of the clips. width, fc: of the networks. batch, lr: of training.
    """

    names: tuple[str, ...] = tuple(DEPTHS)
    seeds: int = 2
    clips: int = 3000
    epochs: int = 4
    curve: int = 480
    test: int = 1800
    frames: int = 16
    size: int = 40
    clutter: float = 0.0
    width: int = 8
    fc: int = 128
    batch: int = 12
    lr: float = 3e-3

    @property
    def runs(self) -> list[tuple[str, int]]:
        """Depths and seed of every network, in the order of training."""
        return [(name, seed) for seed in range(self.seeds) for name in self.names]

    def net(self, name: str, seed: int) -> DepthNet:
        """The network before its first step."""
        torch.manual_seed(seed)
        return DepthNet(
            DEPTHS[name], width=self.width, fc=self.fc, frames=self.frames, size=self.size
        )

    def settings(self, seed: int) -> Settings:
        """How a network is trained: a cosine over all epochs, both heads with equal weight."""
        return Settings(
            steps=self.clips // self.batch * self.epochs, batch=self.batch, lr=self.lr,
            head_weights=(1.0, 1.0), seed=seed,
        )  # fmt: skip


def folder_of(out: Path, name: str, seed: int) -> Path:
    """Where a network's checkpoint, log and answers lie."""
    return out / f"{name}-seed-{seed}"


def read(out: Path, plan: Plan) -> Said:
    """All answers that lie in a study's folder, of the epochs that every network has reached."""
    found: Said = {}
    for epoch in range(1, plan.epochs + 1):
        files = {run: folder_of(out, *run) / f"said-{epoch:02d}.npz" for run in plan.runs}
        if not all(file.is_file() for file in files.values()):
            break
        for (name, seed), file in files.items():
            with np.load(file) as stored:
                found[name, seed, epoch] = stored["said"]
    return found
