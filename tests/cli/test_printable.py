"""What a command prints never does anything to a terminal, whatever is in a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import call
from safetensors.torch import save_file

from c3d_viz.cli import progress as cli_progress
from c3d_viz.nets.spec import COMPACT_INPUT, ModelSpec
from c3d_viz.weights import save_model

RED = "\x1b[31m"
NASTY = f"{RED}\r\n\x07x"


def printable_lines(text: str, lines: int | None = None) -> bool:
    found = text.split("\n")
    assert found.pop() == ""
    return all(line.isprintable() for line in found) and lines in (None, len(found))


@pytest.mark.parametrize(
    "words",
    [
        ["export", NASTY, "-o", "out"],
        ["layers", "--weights", NASTY],
        ["layers", "--model", NASTY],
        ["layers", "--mean", NASTY],
        ["layers", "--resize", NASTY],
        ["layers", "--channel-order", NASTY],
        ["layers", "--pool5", NASTY],
        ["layers", "--fc6-order", NASTY],
        ["layers", "--classes", NASTY],
        ["weights", "inspect", NASTY],
        ["weights", "download", NASTY],
        ["app", "--host", NASTY],
        ["finding", "figure", NASTY, "-o", "out"],
        ["finding", "test", NASTY, "-o", "out"],
    ],
)
def test_an_argument_is_told_in_one_printable_line(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    status, out, err = call(capsys, *words)
    assert (status, out) == (2, "")
    assert printable_lines(err, 2 if words[1] == "test" else 1), err  # it tells its progress
    assert r"\x1b[31m\r\n\x07x" in err


@pytest.mark.parametrize(
    "words",
    [[NASTY], ["--" + NASTY], ["layers", NASTY], ["layers", "--" + NASTY], ["app", RED]],
)
def test_the_parser_too(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    status, out, err = call(capsys, *words)
    assert (status, out) == (2, "")
    assert printable_lines(err), err
    assert r"\x1b[31m" in err


def test_names_inside_a_checkpoint(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_c3d: Any
) -> None:
    foreign = tmp_path / "foreign.safetensors"
    save_file({f"{NASTY}.weight": torch.zeros(2)}, foreign)
    for words in (["weights", "inspect", str(foreign)], ["layers", "--weights", str(foreign)]):
        status, out, err = call(capsys, *words)
        assert status == 2
        assert printable_lines(err, 1), err
        assert not out or printable_lines(out), out
    own = tmp_path / "own.safetensors"
    spec = ModelSpec("compact", "own", True, COMPACT_INPUT, 5, classes=(NASTY, "b", "c", "d", "e"))
    save_model(own, tiny_c3d, spec, description=f"mine {NASTY}")
    for words in (["weights", "inspect", str(own)], ["layers", "--weights", str(own)]):
        status, out, err = call(capsys, *words)
        assert (status, err) == (0, "")
        assert printable_lines(out), out
        assert "mine" in out


def test_names_in_the_progress(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli_progress.lines("finding")(1, 1, f"trained: {NASTY}")
    assert printable_lines(capsys.readouterr().err, 1)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with cli_progress.progress_bar("finding") as progress:
        progress(1, 2, "trained: [/b]clip[red]")  # no markup: it would be an error


def test_a_name_never_makes_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    cli_progress.say("open a\nb/index.html", "second")
    assert capsys.readouterr().out == "open a\\nb/index.html\nsecond\n"
