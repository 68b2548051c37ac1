"""Train every depth on the same clips, side by side: whoever stops it finds a fair comparison."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ...errors import ExportError
from ...files import make_folder, read_json, write_json, write_npz
from ...progress import Progress
from ...synthetic import load_library
from ..loop import State, fit, restore, start
from .clips import Clips, epochs, fingerprint, rendered
from .net import DepthNet
from .plan import Ints, Plan, again, file_of, folder_of, read
from .show import write


def run(sources: Path, out: Path, plan: Plan, progress: Progress | None = None) -> Path:
    """Train all networks of a plan, epoch by epoch; ``out`` holds everything that is known so far.

    No network begins an epoch before all have ended the one before. What lies in ``out`` is not
    done again: clips, epochs, and within an epoch the steps up to the last checkpoint (a minute).
    After every epoch the figure and the table are written for what all networks have reached.

    Args:
        sources: folder with sprites/ and backgrounds/. out: folder of the study.

    Returns:
        The folder.

    Raises:
        ExportError: ``out`` is of another plan or other pictures, the plan cannot be, or what lies
            in ``out`` is damaged. WeightsError: a checkpoint is. ClipError: pictures are missing.
    """
    plan.check()
    library, unseen = load_library(sources), load_library(sources, "test", "test")
    make_folder(out)
    _claim(out, plan, [fingerprint(library), fingerprint(unseen)])
    states = _states(out, plan)
    clips = out / "clips"
    train = rendered(library, plan.clips, clips, seed=1, plan=plan, progress=progress)
    test = rendered(unseen, plan.test, clips, seed=2, plan=plan, progress=progress)
    for epoch in range(1, plan.epochs + 1):
        for name, seed in plan.runs:
            _epoch(states, name, seed, epoch, plan, train, test, out, progress)
        write(out, plan, test)
    return out


def _states(out: Path, plan: Plan) -> dict[tuple[str, int], State[DepthNet]]:
    """Every network where it stands; what lies in ``out`` is looked through before any work."""
    read(out, plan)
    states = {}
    for name, seed in plan.runs:
        state = states[name, seed] = start(plan.net(name, seed), plan.settings(seed))
        checkpoint = folder_of(out, name, seed) / "checkpoint.pt"
        if checkpoint.is_file():
            restore(state, checkpoint)
        for epoch in range(1, plan.epochs + 1):
            file = file_of(out, name, seed, epoch)
            if not file.is_file() and state.step > epoch * (plan.clips // plan.batch):
                raise ExportError(again(file, "is missing, and the network has gone on since"))
    return states


def _claim(out: Path, plan: Plan, pictures: Sequence[str]) -> None:
    """The folder is of this plan and these pictures, or is not touched."""
    wanted = json.loads(json.dumps({"plan": dataclasses.asdict(plan), "pictures": pictures}))
    try:
        known = read_json(out / "plan.json")
    except ExportError as error:
        raise ExportError(f"{error}; give another -o") from None
    if known is None:
        write_json(out / "plan.json", wanted)
    elif known != wanted:
        raise ExportError(f"{out} holds a study of another plan or other pictures; give another -o")


def _epoch(
    states: dict[tuple[str, int], State[DepthNet]],
    name: str,
    seed: int,
    epoch: int,
    plan: Plan,
    train: Clips,
    test: Clips,
    out: Path,
    progress: Progress | None,
) -> None:
    """Bring one network to the end of an epoch and keep what it says about the held-out clips."""
    folder, state = folder_of(out, name, seed), states[name, seed]
    file = file_of(out, name, seed, epoch)
    if file.is_file():
        return
    each = plan.clips // plan.batch

    def told(done: int, total: int, line: str) -> None:
        if progress is not None:
            steps = sum(s.step for s in states.values())
            left = time_left(states, each * plan.epochs)
            what = f"epoch {epoch} of {plan.epochs}, {name}, seed {seed}: {left / 60:.0f} min left"
            progress(steps, each * plan.epochs * len(states), what)

    if state.step < epoch * each:
        fit(
            state, epochs(train, plan.batch, seed), plan.settings(seed), folder,
            stop_after=epoch * each - state.step, progress=told,
        )  # fmt: skip
    write_npz(file, {"said": said(state.ema, test, plan.asked(epoch))})
    told(0, 0, "")


def time_left(states: dict[tuple[str, int], State[DepthNet]], steps: int) -> float:
    """Seconds until every network has made ``steps``; networks without a step cost the mean."""
    pace = {run: s.spent / s.step for run, s in states.items() if s.step}
    mean = sum(pace.values()) / max(1, len(pace))
    return sum(pace.get(run, mean) * (steps - s.step) for run, s in states.items())


@torch.no_grad()
def said(net: DepthNet, clips: Clips, count: int, batch: int = 60) -> Ints:
    """What a network answers to the first ``count`` clips: (count, 2) what, how."""
    net.eval()
    rows = []
    for first in range(0, count, batch):
        x, *_ = clips.batch(np.arange(first, min(first + batch, count)))
        heads = net.split(net(x.contiguous(memory_format=net.memory_format)))
        rows.append(torch.stack([head.argmax(1) for head in heads], 1).numpy())
    return np.concatenate(rows)
