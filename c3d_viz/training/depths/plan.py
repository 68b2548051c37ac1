"""What a study trains on what, and what its networks said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ...errors import ExportError
from ..loop import Settings
from .net import DEPTHS, DepthNet

MOST = {"clips": 120_000, "epochs": 1000, "seeds": 1000}  # so many clips take 9 GB of memory
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

    def check(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            ExportError: a number out of its range; which.
        """
        for name, most in MOST.items():
            value, least = getattr(self, name), self.batch if name == "clips" else 1
            if not least <= value <= most or (name == "clips" and value % self.batch):
                of = f" and a multiple of {self.batch}" if name == "clips" else ""
                raise ExportError(f"{name} must be {least} to {most:,}{of}, got {value:,}")

    def asked(self, epoch: int) -> int:
        """How many held-out clips are asked after this epoch."""
        return self.test if epoch == self.epochs else min(self.curve, self.test)

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


def file_of(out: Path, name: str, seed: int, epoch: int) -> Path:
    """Where a network's answers after an epoch lie."""
    return folder_of(out, name, seed) / f"said-{epoch:02d}.npz"


def read(out: Path, plan: Plan) -> Said:
    """All answers that lie in a study's folder, of the epochs that every network has reached.

    Raises:
        ExportError: a file of answers is damaged, also of an epoch that not all have reached.
    """
    found: Said = {}
    reached = True
    for epoch in range(1, plan.epochs + 1):
        files = {run: file_of(out, *run, epoch) for run in plan.runs}
        said = {(*run, epoch): _said(file, plan.asked(epoch))
                for run, file in files.items() if file.exists()}  # fmt: skip
        reached = reached and len(said) == len(files)
        found |= said if reached else {}
    return found


def _said(file: Path, count: int) -> Ints:
    """(count, 2): what, how of a file of answers."""
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
            said = np.asarray(stored["said"])
    except Exception:  # numpy raises whatever the bytes make it raise
        said = np.zeros(0)
    if said.shape != (count, 2) or said.dtype != np.int64:
        raise ExportError(again(file, "is damaged"))
    return said


def again(file: Path, wrong: str) -> str:
    """What to do about a network's file: its answers of one epoch are not those of another."""
    return (
        f"{file} {wrong}; remove the folder {file.parent}, and the same command trains this "
        f"network again"
    )
