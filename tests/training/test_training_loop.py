"""Training: a run learns, logs, and goes on where it stopped."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from c3d_viz.errors import ExportError, WeightsError
from c3d_viz.training import loop
from c3d_viz.training.nets import TrainNet


def pictures(seed: int, share: float) -> loop.Batch:
    """Bright against dark pictures: a question a net answers within a few steps."""
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, 2, (8,), generator=g)
    noise = torch.randn(8, 3, 112, 112, generator=g) * 0.3
    return noise + (label * 2.0 - 1)[:, None, None, None], label


def small_run(**changes: object) -> tuple[loop.State, loop.Settings]:
    settings = loop.Settings(**{"steps": 8, "lr": 0.005, "warmup": 5, "ema": 0.5, **changes})  # type: ignore[arg-type]
    torch.manual_seed(0)
    return loop.start(TrainNet((2,), width=4, fc=16, depth=0, dropout=0.1), settings), settings


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    state, settings = small_run()
    whole = loop.fit(state, pictures, settings, tmp_path / "whole")
    state, settings = small_run()
    loop.fit(state, pictures, settings, tmp_path / "parts", stop_after=3)
    state, settings = small_run(seed=0)
    torch.manual_seed(99)  # what happened in between does not matter
    parts = loop.fit(state, pictures, settings, tmp_path / "parts")
    assert parts.step == whole.step == 8
    assert parts.seen == 64
    for key, value in whole.net.state_dict().items():
        assert torch.equal(value, parts.net.state_dict()[key]), key
    for key, value in whole.ema.state_dict().items():
        assert torch.equal(value, parts.ema.state_dict()[key]), key


def test_a_finished_run_does_nothing_more(tmp_path: Path) -> None:
    state, settings = small_run(steps=2)
    loop.fit(state, pictures, settings, tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    state, settings = small_run(steps=2)
    assert loop.fit(state, pictures, settings, tmp_path).step == 2
    assert len((tmp_path / "checkpoint.pt").read_bytes()) == len(before)
    assert not list(tmp_path.glob("*.part"))


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    state, settings = small_run()
    path = tmp_path / "checkpoint.pt"
    loop.save(state, path)
    whole, other = path.read_bytes(), tmp_path / "other.pt"
    torch.save({"net": state.net.state_dict()}, other)
    narrow = loop.start(TrainNet((2,), width=2, fc=16, depth=0), settings)
    loop.save(narrow, tmp_path / "narrow.pt")
    turned = bytearray(whole)
    turned[len(whole) // 2] ^= 255
    for content in (
        b"", whole[:50], whole[:-50], b"x" * 100, bytes(turned), other.read_bytes(),
        (tmp_path / "narrow.pt").read_bytes(),
    ):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"checkpoint.pt is damaged, .*; remove it, and"):
            loop.fit(small_run()[0], pictures, settings, tmp_path)
    (tmp_path / "log.jsonl").mkdir()
    path.unlink()
    with pytest.raises(ExportError, match=r"cannot write .*log.jsonl: Is a directory"):
        loop.fit(state, pictures, replace(settings, steps=1, log_every=0), tmp_path)


def still_pictures(seed: int, share: float) -> loop.Batch:
    x, label = pictures(seed + 1, share)
    return x[:4], label[:4]


def test_pictures_beside_the_clips_teach_the_first_head(tmp_path: Path) -> None:
    """The gradient of a step is that of the clips' loss plus the weighted loss of the pictures."""
    settings = loop.Settings(
        steps=1, clip=1e9, still_weight=2.0, smoothing=0.0, head_weights=(1.0, 0.5)
    )
    net = TrainNet((2, 3), width=2, fc=8, depth=0, dropout=0.0)

    def clips(seed: int, share: float) -> loop.Batch:
        x, label = pictures(seed, share)
        return x, label, label + 1

    state = loop.start(copy.deepcopy(net), settings)
    loop.fit(state, clips, settings, tmp_path, stills=still_pictures)
    assert (state.seen, state.stills) == (8, 4)

    net.train()
    seed = loop.step_seed(0, 0)
    x, what, how = clips(seed, 0.0)
    picture, seen = still_pictures(seed, 0.0)
    entropy = nn.functional.cross_entropy
    first, second = net.split(net(x))
    loss = entropy(first, what) + 0.5 * entropy(second, how)
    loss = loss + 2.0 * entropy(net.split(net(picture))[0], seen)
    loss.backward()
    taken, wanted = state.net.fc8.weight.grad, net.fc8.weight.grad
    assert taken is not None
    assert wanted is not None
    assert torch.allclose(taken, wanted, atol=1e-3)


@pytest.mark.slow
def test_a_resumed_run_with_pictures_counts_them(tmp_path: Path) -> None:
    state, settings = small_run(steps=2)
    loop.fit(state, pictures, settings, tmp_path, stop_after=1, stills=still_pictures)
    state, settings = small_run(steps=2)
    state = loop.fit(state, pictures, settings, tmp_path, stills=still_pictures)
    assert (state.seen, state.stills) == (16, 8)


def test_a_checkpoint_holds_every_count(tmp_path: Path) -> None:
    state, _ = small_run()
    state.step, state.seen, state.stills, state.spent = 3, 24, 7, 1.5
    state.net.fc8.bias.data.fill_(2.0)
    state.ema.fc8.bias.data.fill_(3.0)
    loop.save(state, tmp_path / "checkpoint.pt")
    again, _ = small_run()
    loop.restore(again, tmp_path / "checkpoint.pt")
    assert (again.step, again.seen, again.stills, again.spent) == (3, 24, 7, 1.5)
    assert again.net.fc8.bias.detach().eq(2.0).all()
    assert again.ema.fc8.bias.detach().eq(3.0).all()


def test_averages_lag_behind_and_counters_do_not(tmp_path: Path) -> None:
    """After a step the averaged weights lie between old and new; whole numbers are the new."""
    state, settings = small_run(steps=1, ema=0.99, ema_lag=3)
    old = {k: v.clone() for k, v in state.ema.state_dict().items()}
    loop.fit(state, pictures, settings, tmp_path)
    decay, new, mean = 1 / 4, state.net.state_dict(), state.ema.state_dict()
    counters = [k for k, v in new.items() if not v.is_floating_point()]
    assert counters
    for key, value in mean.items():
        if key in counters:
            assert int(value) == int(new[key]) == int(old[key]) + 1
        else:
            assert torch.allclose(value, decay * old[key] + (1 - decay) * new[key], atol=1e-6), key


@pytest.mark.slow
def test_training_learns_and_logs(tmp_path: Path) -> None:
    state, settings = small_run(steps=40, log_every=0.0)
    lines: list[str] = []

    def right(net: TrainNet) -> dict[str, float]:
        with torch.no_grad():
            x, y = pictures(12345, 1.0)
            return {"accuracy": float((net(x).argmax(1) == y).float().mean())}

    loop.fit(
        state,
        pictures,
        settings,
        tmp_path,
        evaluate=right,
        progress=lambda done, total, what: lines.append(f"{done}/{total} {what}"),
    )
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["accuracy"] == 1.0
    assert log[-1]["step"] == 40
    assert log[-1]["loss"] < log[0]["loss"]
    assert re.match(r"0/1000 a step of \d+ takes \d+\.\d s$", lines[0])
    assert "min left" in lines[1]
    assert lines[-1].startswith("1000/1000 320 seen, 0.0 min left")


def test_learning_rate_warms_up_and_falls() -> None:
    settings = loop.Settings(lr=1.0, warmup=100)
    assert loop.learning_rate(0, 0.0, settings) == pytest.approx(0.01, abs=1e-5)
    assert loop.learning_rate(99, 0.0, settings) == pytest.approx(1.0, abs=1e-5)
    assert loop.learning_rate(500, 0.5, settings) == pytest.approx(0.5, abs=1e-5)
    assert loop.learning_rate(999, 1.0, settings) == pytest.approx(0.0, abs=1e-5)


def test_a_step_longer_than_the_time_asked_for_is_announced() -> None:
    settings = loop.Settings(minutes=1, batch=16)
    line = loop._first_step(61.0, settings)
    assert line.startswith("a step of 16 takes 61.0 s, longer than the 1 min asked for")
    assert "longer" not in loop._first_step(59.0, settings)
    assert "longer" not in loop._first_step(61.0, replace(settings, steps=3))
