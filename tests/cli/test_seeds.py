"""A seed that not everything that draws by it can carry is refused at the door, by one bound."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from command_line import call

from c3d_viz.arguments import MAX_SEED
from c3d_viz.cli import commands as cli
from c3d_viz.errors import FindingError, VizError, WeightsError
from c3d_viz.finding.types import StudySettings
from c3d_viz.trust import CheckSettings
from c3d_viz.weights import NetworkChoice

ONE = ["--layer", "conv1a", "--channel", "1", "-o", "out"]
COMMANDS = {  # every command that takes --seed, with what it cannot be called without
    "export": ["CLIP", "-o", "out"],
    "features": ["CLIP", "-o", "out.parquet"],
    "atlas": ["CLIP", "-o", "out"],
    "search": ["CLIP", "--in", "gone.parquet"],
    "map": ["gone.parquet", "-o", "out"],
    "check": ["-o", "out"],
    "layers": [],
    "app": [],
    "finding figure": ["CLIP", "-o", "out"],
    "finding test": ["CLIP", "-o", "out"],
    "units kernels": ["-o", "out"],
    "units tuning": ["-o", "out"],
    "units maximise": ONE,
    "units concepts": ["-o", "out"],
    "units dynamic": ["-o", "out"],
    "units report": ONE,
}
TRAINING = {  # by argparse
    "train stills": ["data", "-o", "out"],
    "train joint": ["data", "-o", "out", "--flat", "gone"],
    "train videos": ["data", "-o", "out"],
}
FACTORY = """import torch
from torch import nn
from c3d_viz.nets import InputSpec
def make():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.Conv3d(4, 6, 3), nn.ReLU())
    return net, InputSpec('RGB', (127.5,) * 3, 1 / 60, (16, 16), (16, 16), 8)
"""


def with_a_seed(group: typer.main.TyperGroup, before: str = "") -> set[str]:  # type: ignore[name-defined]
    found = set()
    for name, command in group.commands.items():
        words = f"{before}{name}"
        if hasattr(command, "commands"):
            found |= with_a_seed(command, f"{words} ")
        elif any("--seed" in option.opts for option in command.params):
            found.add(words)
    return found


def test_every_command_with_a_seed_is_asked() -> None:
    assert with_a_seed(typer.main.get_command(cli.app)) == set(COMMANDS)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", [*COMMANDS, *TRAINING])
def test_one_bound_at_the_door(
    command: str,
    bikes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    rest = (COMMANDS | TRAINING)[command]
    words = [str(bikes) if word == "CLIP" else word for word in rest]
    status, out, err = call(capsys, *command.split(), *words, "--seed", str(MAX_SEED + 1))
    wanted = rf"seed:? must be 0 to {MAX_SEED}, got {MAX_SEED + 1}"
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert re.search(wanted, err.replace(f"{MAX_SEED:,}", str(MAX_SEED)))
    assert list(tmp_path.iterdir()) == []


def test_the_same_bound_in_python() -> None:
    assert MAX_SEED * 100_003 * 1000 < 2**63  # the largest product, again multiplied by trust
    for error, make in (
        (WeightsError, lambda seed: NetworkChoice(weights="random", seed=seed).load()),
        (FindingError, lambda seed: StudySettings(seed=seed)),
        (VizError, lambda seed: CheckSettings(seed=seed)),
    ):
        make(MAX_SEED)
        for seed in (-1, MAX_SEED + 1, 2**64 - 1):
            with pytest.raises(error, match=f"^seed must be 0 to {MAX_SEED}, got"):
                make(seed)


@pytest.mark.parametrize(
    "words",
    [
        ["maximise", "--layer", "3", "--channel", "2", "--films", "1", "--steps", "2"],
        ["concepts", "--layer", "1", "--controls", "2", "--clips", "4"],
        ["dynamic", "--layer", "1", "--controls", "1", "--pairs", "4"],
        ["report", "--layer", "3", "--channel", "2", "--steps", "2", "--coarse"],
    ],
)
def test_the_largest_seed_carries_a_whole_run(
    words: list[str], tmp_path: Path, bikes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    factory = tmp_path / "net.py"
    factory.write_text(FACTORY)
    network = ["--model", f"{factory}:make", "--seed", str(MAX_SEED)]
    status, _, err = call(capsys, "units", *words, *network, "-o", str(tmp_path / "out"))
    assert status == 0, err
