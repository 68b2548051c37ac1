"""The training loop: time- or step-budgeted, resumable, one line of progress, a JSON-lines log."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from ..errors import WeightsError, memory_ended
from ..files import cannot_write, make_folder, whole_file, write_text
from ..progress import Progress
from .nets import Headed

_WITH_STATE, _COUNTS = ("net", "ema", "optimiser"), ("step", "seen", "stills", "spent")
Net = TypeVar("Net", bound=Headed)
Batch = tuple[Tensor, ...]  # input first, then one int64 target per head
Batches = Callable[[int, float], Batch]  # (seed, share of the run done) -> batch


@dataclass(frozen=True)
class Settings:
    """How to optimise.

    Attributes:
        steps: length of the run in steps, or None for a length in minutes.
        minutes: length in minutes of training time (pauses between resumed runs do not count).
        batch: clips (pictures) a step.
        lr: peak of the learning rate; ``warmup`` steps of linear rise, then a cosine to zero.
        head_weights: weight of each head's loss.
        still_weight: weight of the first head's loss on single pictures, where there are any.
        smoothing: label smoothing. clip: maximum norm of the gradient.
        ema: decay of the averaged weights, which are the ones evaluated and shipped; step k has
            k / (k + ``ema_lag``) while that is less.
        bf16: conv1-conv4 in bfloat16.
        seed: of everything random. Step k draws from (seed, k), so a resumed run sees what an
            uninterrupted one would.
        log_every, save_every: seconds.
    """

    steps: int | None = None
    minutes: float = 10.0
    batch: int = 24
    lr: float = 1.5e-3
    warmup: int = 60
    weight_decay: float = 0.05
    head_weights: tuple[float, ...] = (1.0,)
    still_weight: float = 1.5
    smoothing: float = 0.05
    clip: float = 3.0
    ema: float = 0.99
    ema_lag: int = 10
    bf16: bool = False
    seed: int = 0
    log_every: float = 30.0
    save_every: float = 60.0


@dataclass
class State(Generic[Net]):
    """A run at one moment; what a checkpoint holds."""

    net: Net
    ema: Net
    optimiser: torch.optim.Optimizer
    step: int = 0
    seen: int = 0
    stills: int = 0  # pictures seen beside the clips
    spent: float = 0.0  # seconds of training


def start(net: Net, settings: Settings) -> State[Net]:
    """A run that has made no step."""
    net = net.to(memory_format=net.memory_format)  # type: ignore[call-overload,unused-ignore]
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
    )
    return State(net, copy.deepcopy(net), optimiser)


def save(state: State[Net], path: Path) -> None:
    """Write a checkpoint, whole or not at all."""
    make_folder(path.parent)
    saved = {name: getattr(state, name).state_dict() for name in _WITH_STATE}
    saved |= {name: getattr(state, name) for name in _COUNTS}
    with whole_file(path) as part:
        torch.save(saved, part)


def restore(state: State[Net], path: Path) -> None:
    """Continue from a checkpoint that ``save`` wrote, in place.

    Raises:
        WeightsError: it is damaged, or of another network; the state is then of no use.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load does not look at the checksums
            if archive.testzip() is not None:
                raise ValueError("a checksum is wrong")
        saved = torch.load(path, weights_only=True)
        for name in _WITH_STATE:
            getattr(state, name).load_state_dict(saved[name])
        for name in _COUNTS:
            kind = type(getattr(state, name))
            setattr(state, name, kind(saved.get(name, 0)))  # older checkpoints have no stills
    except Exception as error:  # torch.load raises whatever the bytes make it raise
        if memory_ended(error) is not None:
            raise
        raise WeightsError(
            f"{path} is damaged, or of another network: nothing can go on from it; remove it, and "
            f"the same command trains this network from its first step"
        ) from error


def share_done(state: State[Net], settings: Settings) -> float:
    """How much of the run is over, 0-1."""
    if settings.steps is not None:
        return min(1.0, state.step / max(1, settings.steps))
    return min(1.0, state.spent / max(1e-9, settings.minutes * 60))


def learning_rate(step: int, share: float, settings: Settings) -> float:
    """Linear warm-up times half a cosine over the run, and never quite zero."""
    rise = min(1.0, (step + 1) / settings.warmup)
    return settings.lr * rise * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-6


def step_seed(seed: int, step: int) -> int:
    """Seed of step ``step``'s batch and dropout."""
    return (seed * 1_000_003 + step) % 2**62


def fit(
    state: State[Net],
    batches: Batches,
    settings: Settings,
    out: Path,
    *,
    evaluate: Callable[[Net], dict[str, float]] | None = None,
    evaluate_every: float = 180.0,
    progress: Progress | None = None,
    stop_after: int | None = None,
    stills: Batches | None = None,
) -> State[Net]:
    """Train until the budget is spent; checkpoint ``out/checkpoint.pt``, log ``out/log.jsonl``.

    Args:
        state: from ``start``; continued from the checkpoint in ``out`` where there is one.
        batches: (seed, share of the run done) -> batch.
        evaluate: called on the averaged weights about every ``evaluate_every`` seconds of
            training and at the end; its numbers go to the log.
        progress: called with (seconds or steps done, total, one line with the time left).
        stop_after: leave after this many steps of this call (to be resumed).
        stills: (seed, share) -> (pictures, target of the first head), a second loss in every step.

    Raises:
        WeightsError: the checkpoint is damaged. ExportError: ``out`` cannot be written.
    """
    checkpoint = out / "checkpoint.pt"
    if checkpoint.is_file():
        restore(state, checkpoint)
    make_folder(out)
    write_text(out / "settings.json", json.dumps(dataclasses.asdict(settings), indent=1))
    mean = 0.0
    made, started, base = 0, time.monotonic(), state.spent
    logged = saved = evaluated = state.spent
    state.net.train()
    while share_done(state, settings) < 1 and (stop_after is None or made < stop_after):
        loss = _one_step(state, batches, settings, stills)
        made += 1
        mean = loss if made == 1 else 0.97 * mean + 0.03 * loss
        state.spent = base + time.monotonic() - started
        if made == 1 and progress is not None:
            progress(0, 1000, _first_step(state.spent - base, settings))
        record: dict[str, float] = {}
        if evaluate is not None and state.spent - evaluated > evaluate_every:
            state.ema.eval()
            record, evaluated = evaluate(state.ema), state.spent
        if record or state.spent - logged > settings.log_every:
            _log(out, state, settings, {"loss": mean, **record}, made, progress)
            logged = state.spent
        if state.spent - saved > settings.save_every:
            save(state, checkpoint)
            saved = state.spent
    save(state, checkpoint)
    if evaluate is not None and share_done(state, settings) >= 1:
        state.ema.eval()
        _log(out, state, settings, {"loss": mean, **evaluate(state.ema)}, made, progress)
    return state


def _first_step(seconds: float, settings: Settings) -> str:
    """What the first step says of the run: a budget is only looked at between two steps."""
    line = f"a step of {settings.batch} takes {seconds:.1f} s"
    if settings.steps is None and seconds > settings.minutes * 60:
        line += (
            f", longer than the {settings.minutes:g} min asked for: one step was made; "
            "take a smaller batch"
        )
    return line


def _one_step(
    state: State[Net], batches: Batches, settings: Settings, stills: Batches | None
) -> float:
    share, seed = share_done(state, settings), step_seed(settings.seed, state.step)
    x, *targets = batches(seed, share)
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(state.step, share, settings)
    torch.manual_seed(seed)  # dropout
    logits = state.net(x.contiguous(memory_format=state.net.memory_format), bf16=settings.bf16)
    total = logits.new_zeros(())
    parts = zip(state.net.split(logits), targets, settings.head_weights, strict=True)
    for head, target, weight in parts:
        loss = nn.functional.cross_entropy(head, target, label_smoothing=settings.smoothing)
        total = total + weight * loss
    state.optimiser.zero_grad()
    total.backward()
    if stills is not None:
        pictures, target = stills(seed, share)
        logits = state.net(pictures, bf16=settings.bf16)
        loss = nn.functional.cross_entropy(
            state.net.split(logits)[0], target, label_smoothing=settings.smoothing
        )
        torch.autograd.backward(settings.still_weight * loss)
        state.stills += len(pictures)
    nn.utils.clip_grad_norm_(state.net.parameters(), settings.clip)
    state.optimiser.step()
    state.step += 1
    state.seen += len(x)
    _average(state, min(settings.ema, state.step / (state.step + settings.ema_lag)))
    return float(total.detach())


@torch.no_grad()
def _average(state: State[Net], decay: float) -> None:
    pairs = zip(state.ema.state_dict().values(), state.net.state_dict().values(), strict=True)
    for mean, now in pairs:
        if mean.is_floating_point():
            mean.lerp_(now, 1 - decay)
        else:
            mean.copy_(now)


def _log(
    out: Path,
    state: State[Net],
    settings: Settings,
    numbers: dict[str, float],
    made: int,
    progress: Progress | None,
) -> None:
    share = share_done(state, settings)
    left = state.spent * (1 - share) / max(share, 1e-6)
    record = {
        "minutes": round(state.spent / 60, 2),
        "step": state.step,
        "seen": state.seen,
        **({"stills": state.stills} if state.stills else {}),
        "lr": round(learning_rate(state.step, share, settings), 7),
        "minutes_left": round(left / 60, 1),
        **{k: round(v, 4) for k, v in numbers.items()},
    }
    log = out / "log.jsonl"
    try:
        with log.open("a") as file:
            file.write(json.dumps(record) + "\n")
    except OSError as error:
        raise cannot_write(log, error) from None
    if progress is not None:
        shown = "  ".join(f"{k} {v:.3f}" for k, v in numbers.items())
        line = f"{state.seen} seen, {left / 60:.1f} min left  {shown}"
        progress(round(share * 1000), 1000, line)
