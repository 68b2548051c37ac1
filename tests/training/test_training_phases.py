"""Training: batches, the joint phase, the commands."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from c3d_viz.errors import WeightsError
from c3d_viz.synthetic.library import WHATS, Library, load_library, procedural_library
from c3d_viz.training import data, loop, main, phases, stills
from c3d_viz.training.nets import TrainNet


def test_batches_depend_on_the_seed_alone() -> None:
    batch = data.clips(procedural_library(), 3)
    (x, _, how), (again, _, _), (other, _, _) = batch(5, 0.5), batch(5, 0.5), batch(6, 0.5)
    assert torch.equal(x, again)
    assert not torch.equal(x, other)
    assert x.shape == (3, 3, 16, 112, 112)
    assert -1.84 < float(x.min()) < float(x.max()) < 2.42  # (0 - 110) / 60, (255 - 110) / 60
    assert set(how.tolist()) <= set(range(10))


def test_blended_backgrounds_are_made_of_the_given_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    colours = torch.tensor([[10, 100, 200], [20, 110, 220]], dtype=torch.uint8)
    plain = colours[:, :, None, None].expand(2, 3, 16, 24).contiguous()
    patterns = data.patterns
    striped = data.blended(plain, 96, torch.Generator().manual_seed(0))
    assert striped.shape == (96, 3, 16, 24)
    assert striped.dtype == torch.uint8
    assert torch.equal(striped, data.blended(plain, 96, torch.Generator().manual_seed(0)))
    with_pattern = striped.float().std((2, 3)).amax(1) > 2
    assert 0.2 < float(with_pattern.float().mean()) < 0.5

    monkeypatch.setattr(data, "patterns", lambda *asked: patterns(*asked) * 0 + 15)
    made = data.blended(plain, 96, torch.Generator().manual_seed(0))[~with_pattern, :, 8, 12]
    ordered = made.sort(1).values.int()
    same = (ordered >= colours.min(0).values.int()).all(1) & (ordered <= 220).all(1)
    assert same.float().mean() > 0.9  # between the two, in some order of the channels
    exchanged = (made.argsort(1) != torch.arange(3)).any(1).float().mean()
    assert 0.25 < float(exchanged) < 0.6  # half, less one order in six that changes nothing


def test_clips_over_blended_backgrounds_have_other_grounds() -> None:
    library = procedural_library()
    plain, blended = (data.clips(library, 4, clutter=1.0, blend=b)(5, 0.0) for b in (False, True))
    again = data.clips(library, 4, clutter=1.0, blend=True)(5, 0.0)
    assert torch.equal(blended[0], again[0])
    assert not torch.equal(blended[0], plain[0])


@pytest.mark.parametrize(
    ("words", "weights", "lr"),
    [((), (1.5, 1.0), 1.5e-3), (("--how-weight", "3", "--lr", "0.001"), (1.5, 3.0), 1e-3)],
)
def test_the_joint_command_passes_everything_on(
    words: tuple[str, ...],
    weights: tuple[float, float],
    lr: float,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    seen: dict[str, object] = {}

    def record(*given: object, **more: object) -> None:
        seen.update(more, given=given)

    monkeypatch.setattr(phases, "train_joint", record)
    told = ["joint", "data", "--joint", "before", "-o", str(tmp_path), "--clips", "48"]
    assert main([*told, "--stills", "7", *words]) == 0
    settings = seen["given"][4]  # type: ignore[index]
    assert (settings.steps, settings.head_weights, settings.lr) == (2, weights, lr)
    assert (seen["warm"], seen["pictures"]) == (True, 7)
    assert seen["given"][:3] == (Path("data"), Path("before"), tmp_path)  # type: ignore[index]


def test_patterns_repeat_at_their_period() -> None:
    made = data.patterns(40, (96, 128), torch.Generator().manual_seed(1))
    assert made.shape == (40, 3, 96, 128)
    assert 0 <= float(made.min()) < float(made.max()) <= 255
    spectrum = torch.fft.rfft2(made[:, 1] - made[:, 1].mean((1, 2), keepdim=True)).abs()
    flat = spectrum.flatten(1)
    peak = flat.argmax(1)
    row, column = peak // spectrum.shape[2], peak % spectrum.shape[2]
    frequency = torch.hypot(torch.minimum(row, 96 - row) / 96, column / 128)  # cycles a pixel
    # a crossed pattern's peak lies at the sum of its two frequencies
    assert float(frequency.min()) > 1 / 60
    assert float(frequency.max()) < 2**0.5 / 8 + 0.02


def test_pictures_at_full_clutter_from_the_first_step() -> None:
    library = procedural_library()
    library = dataclasses.replace(library, what=torch.arange(len(library.what)) % len(WHATS))
    pieces = stills.pieces(library, 4, torch.Generator().manual_seed(0))
    fixed = stills.batches(library, 5, pieces, clutter=1.0)
    grown = stills.batches(library, 5, pieces)
    assert torch.equal(fixed(3, 0.0)[0], grown(3, 1.0)[0])
    assert not torch.equal(fixed(3, 0.0)[0], grown(3, 0.0)[0])
    assert fixed(3, 0.0)[0].shape == (5, 3, 112, 112)


def test_a_joint_run_goes_on_from_another(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    before = TrainNet(phases.HEADS, depth=1, plain=phases.PLAIN)
    torch.save({"ema": before.state_dict(), "seen": 48}, tmp_path / "joint.pt")
    few, everything = data.fixed_clips, load_library(sources, "all", "all")
    monkeypatch.setattr(data, "fixed_clips", lambda library, n, seed: few(library, 2, seed))
    monkeypatch.setattr(phases, "load_library", lambda *_: everything)
    settings = loop.Settings(steps=1, batch=2, head_weights=(1.5, 1.0), lr=1e-3, warmup=100)
    drawn: list[dict[str, object]] = []
    original = data.clips

    def clips(library: Library, n: int, **how: object) -> Callable[[int, float], loop.Batch]:
        drawn.append(how)
        return original(library, n, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(data, "clips", clips)
    state = phases.train_joint(
        sources, tmp_path / "joint.pt", tmp_path / "run", 1, settings, warm=True, pictures=3
    )
    assert (state.seen, state.stills) == (50, 3)
    assert drawn == [{"clutter": 1.0, "blend": True}]  # what it was at when it stopped
    assert state.net.dropout.p == phases.DROPOUT
    moved = (state.net.fc8.weight - before.fc8.weight).detach().abs().max()
    assert 0 < float(moved) < 1e-4  # one step of AdamW at a hundredth of the learning rate
    net, seen = phases.joint_net(tmp_path / "run")
    assert (net.depth, seen) == (1, 50)
    with pytest.raises(WeightsError, match="has temporal depth 1; give --depth 1"):
        phases.train_joint(sources, tmp_path / "run", tmp_path / "3d", 3, settings, warm=True)


def test_commands_fail_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stills", str(tmp_path), "-o", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("c3d-viz: no animal cut-outs")
    assert error.count("\n") == 1
