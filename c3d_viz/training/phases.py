"""The runs behind the shipped weights: stills, then the 3D net and its 2D twin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from ..errors import WeightsError
from ..progress import Progress
from ..synthetic import HOWS, WHATS, load_library
from . import data, stills
from .loop import Batch, Settings, State, fit, start
from .nets import TrainNet, inflate

HEADS = (len(WHATS), len(HOWS))
PLAIN = ("conv1a", "conv2a")  # no batch normalisation in the joint phase: half the time is here
DROPOUT = 0.2  # in the joint phase
PIECES = 2400  # backgrounds cut out before the stills

# As the shipped weights were trained. docs/training.md says what was tried.
STILLS = Settings(
    minutes=26, batch=64, lr=2e-3, warmup=200, clip=2.0, ema=0.998, ema_lag=20, bf16=True
)
JOINT = Settings(
    minutes=31, batch=24, lr=1.5e-3, warmup=60, clip=3.0, head_weights=(1.5, 1.0), bf16=True
)


def train_stills(
    sources: Path, out: Path, settings: Settings = STILLS, progress: Progress | None = None
) -> State[TrainNet]:
    """Phase 1: *what* alone, on single composed pictures, with the flat net."""
    library = load_library(sources)
    unseen = load_library(sources, "val", "val")
    generator = torch.Generator().manual_seed(settings.seed + 1)
    backgrounds = stills.pieces(library, PIECES, generator)
    held_out = stills.pieces(unseen, 200, generator)
    kinds = torch.arange(200) % len(WHATS)

    def checks(seen: bool, n: int, clutter: float, seed: int) -> list[Batch]:
        found: list[Batch] = []
        for i in range(n):
            g = torch.Generator().manual_seed(seed + i)
            own = (library, backgrounds) if seen else (unseen, held_out)
            image, what = stills.compose(*own, len(kinds), g, clutter, kinds)
            found.append((data.to_input(image), what))
        return found

    sets = {
        "what_unseen": checks(False, 6, 1.0, 100),
        "what_unseen_plain": checks(False, 3, 0.0, 100),
        "what_seen": checks(True, 2, 1.0, 200),
    }

    def evaluate(net: TrainNet) -> dict[str, float]:
        return {name: data.accuracy(net, held, settings.bf16)[0] for name, held in sets.items()}

    torch.manual_seed(settings.seed)
    state = start(TrainNet(HEADS[:1], depth=0), settings)
    batches = stills.batches(library, settings.batch, backgrounds)
    return fit(
        state, batches, settings, out, evaluate=evaluate, evaluate_every=60, progress=progress
    )


def train_joint(
    sources: Path,
    start_from: Path,
    out: Path,
    depth: int,
    settings: Settings = JOINT,
    progress: Progress | None = None,
    *,
    warm: bool = False,
    pictures: int = 0,
) -> State[TrainNet]:
    """Phase 2: *what* and *how* on clips, from the inflated flat net (depth 1: the 2D twin).

    Args:
        sources: folder with sprites/ and backgrounds/.
        start_from: run (or checkpoint) of phase 1; with ``warm``, of an earlier phase 2 of the
            same depth, whose averaged weights go on with a new schedule, at full clutter and over
            blended backgrounds.
        pictures: stills beside the clips of every step, for *what* alone.
    """
    settings = replace(settings, seed=settings.seed + depth)
    library = load_library(sources)
    unseen = load_library(sources, "val", "val")
    sets = {
        "unseen": [data.fixed_clips(unseen, 60, 300 + i) for i in range(4)],
        "seen": [data.fixed_clips(library, 60, 400 + i) for i in range(2)],
    }

    def evaluate(net: TrainNet) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, held in sets.items():
            found[f"what_{name}"], found[f"how_{name}"] = data.accuracy(net, held, settings.bf16)
        return found

    if warm:
        net, before = joint_net(start_from)
        if net.depth != depth:
            raise WeightsError(
                f"{start_from} has temporal depth {net.depth}; give --depth {net.depth}"
            )
        net.dropout.p = DROPOUT
    else:
        before = 0
        net = inflate(flat_net(start_from), depth, HEADS, noise=0.25, plain=PLAIN, dropout=DROPOUT)
    state = start(net, settings)
    state.seen = before
    still_batches = None
    if pictures:
        generator = torch.Generator().manual_seed(settings.seed + 1)
        pieces = stills.pieces(library, PIECES, generator)
        still_batches = stills.batches(library, pictures, pieces, clutter=1.0)
    return fit(
        state,
        data.clips(library, settings.batch, clutter=1.0 if warm else 0.15, blend=warm),
        settings,
        out,
        evaluate=evaluate,
        evaluate_every=240,
        progress=progress,
        stills=still_batches,
    )


def flat_net(checkpoint: Path) -> TrainNet:
    """The averaged net of a finished phase 1.

    Raises:
        WeightsError: no such file, or not a checkpoint of the flat net.
    """
    return _averaged(TrainNet(HEADS[:1], depth=0), checkpoint, "stills")[0]


def joint_net(checkpoint: Path) -> tuple[TrainNet, int]:
    """The averaged net of phase 2, of the depth its tensors have, and how many clips it saw.

    Raises:
        WeightsError: no such file, or not a checkpoint of that phase.
    """
    depth = 1 if _saved(checkpoint, "joint")[0]["conv1a.weight"].shape[2:3] == (1,) else 3
    return _averaged(TrainNet(HEADS, depth=depth, plain=PLAIN), checkpoint, "joint")


def _averaged(net: TrainNet, checkpoint: Path, phase: str) -> tuple[TrainNet, int]:
    tensors, seen = _saved(checkpoint, phase)
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        raise _wrong(checkpoint, phase) from error
    return net.eval(), seen


def _saved(checkpoint: Path, phase: str) -> tuple[dict[str, torch.Tensor], int]:
    """Averaged weights and number of samples seen; a run's folder stands for its checkpoint."""
    path = checkpoint / "checkpoint.pt" if checkpoint.is_dir() else checkpoint
    if not path.is_file():
        raise WeightsError(f"no checkpoint {path}; run `python -m c3d_viz.training {phase}` first")
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        # "model" and "n" are the names of the first version of this procedure
        tensors = saved["ema"] if "ema" in saved else saved["model"]
        return {"conv1a.weight": tensors["conv1a.weight"], **tensors}, int(
            saved.get("seen", saved.get("n", 0))
        )
    except Exception as error:  # torch.load raises whatever the bytes make it raise
        raise _wrong(path, phase) from error


def _wrong(path: Path, phase: str) -> WeightsError:
    return WeightsError(
        f"{path} is not a checkpoint of the {phase} phase; give the folder of a "
        f"`python -m c3d_viz.training {phase}` run"
    )
