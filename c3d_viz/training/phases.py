"""The three runs behind the shipped weights: stills, then the 3D net and its 2D twin."""

from __future__ import annotations

from pathlib import Path

import torch

from ..errors import WeightsError
from ..synthetic_library import WHATS, load_library
from ..synthetic_scene import HOWS
from . import data
from .loop import Progress, Settings, State, fit, start
from .nets import TrainNet, inflate

HEADS = (len(WHATS), len(HOWS))
PLAIN = ("conv1a", "conv2a")  # no batch normalisation in the joint phase: half the time is here


def train_stills(
    sources: Path, out: Path, settings: Settings, progress: Progress | None = None
) -> State:
    """Phase 1: *what* alone, on single composed pictures, with the flat net."""
    library = load_library(sources)
    unseen = load_library(sources, "val", "val")
    checks = [data.fixed_clips(unseen, 300, 100 + i, frames=1) for i in range(3)]
    seen = [data.fixed_clips(library, 300, 200 + i, frames=1) for i in range(2)]

    def evaluate(net: TrainNet) -> dict[str, float]:
        return {
            "what_unseen": data.accuracy(net, checks)[0],
            "what_seen": data.accuracy(net, seen)[0],
        }

    torch.manual_seed(settings.seed)
    state = start(TrainNet(HEADS[:1], depth=0), settings)
    batches = data.stills(library, settings.batch)
    return fit(state, batches, settings, out, evaluate=evaluate, progress=progress)


def flat_net(checkpoint: Path) -> TrainNet:
    """The averaged net of a finished phase 1.

    Raises:
        WeightsError: no such file, or not a checkpoint of the flat net.
    """
    if not checkpoint.is_file():
        raise WeightsError(f"no checkpoint {checkpoint}; run `... training stills` first")
    saved = torch.load(checkpoint, weights_only=True)
    net = TrainNet(HEADS[:1], depth=0)
    try:
        net.load_state_dict(saved["ema"])
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"{checkpoint} is not a checkpoint of the stills phase") from error
    return net.eval()


def train_joint(
    sources: Path,
    flat: Path,
    out: Path,
    depth: int,
    settings: Settings,
    progress: Progress | None = None,
) -> State:
    """Phase 2: *what* and *how* on clips, from the inflated flat net (depth 1: the 2D twin)."""
    library = load_library(sources)
    unseen = load_library(sources, "val", "val")
    checks = [data.fixed_clips(unseen, 60, 300 + i) for i in range(4)]
    seen = [data.fixed_clips(library, 60, 400 + i) for i in range(2)]

    def evaluate(net: TrainNet) -> dict[str, float]:
        what, how = data.accuracy(net, checks)
        return {
            "what_unseen": what,
            "how_unseen": how,
            "what_seen": data.accuracy(net, seen)[0],
        }

    net = inflate(
        flat_net(flat), depth, HEADS, noise=0.25, plain=PLAIN, dropout=0.2, seed=settings.seed
    )
    batches = data.clips(library, settings.batch)
    return fit(start(net, settings), batches, settings, out, evaluate=evaluate, progress=progress)


def joint_net(checkpoint: Path, depth: int) -> TrainNet:
    """The averaged net of phase 2.

    Raises:
        WeightsError: no such file, or not a checkpoint of that phase and depth.
    """
    if not checkpoint.is_file():
        raise WeightsError(f"no checkpoint {checkpoint}; run `... training joint` first")
    saved = torch.load(checkpoint, weights_only=True)
    net = TrainNet(HEADS, depth=depth, plain=PLAIN)
    try:
        net.load_state_dict(saved["ema"])
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"{checkpoint} is not a checkpoint of depth {depth}") from error
    return net.eval()
