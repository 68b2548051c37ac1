"""Every command that the documents print is one that the command line takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from c3d_viz.cli import commands as cli
from c3d_viz.training.commands import parser

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "c3d_viz" / "weights" / "CARD.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").glob("*.md")),
]
PROGRAMS = {"c3d-viz": [], "python -m c3d_viz.training": ["train"]}


def printed(path: Path) -> Iterator[list[str]]:
    """The words of every command in code, on a line of its own or within one."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^(?: {4}|\$ )?((?:c3d-viz|python -m c3d_viz\.training) .*)$", text, re.M)
    inline = re.findall(r"`((?:c3d-viz|python -m c3d_viz\.training) [^`\n]*)`", text)
    for found in lines + inline:
        words = shlex.split(found.replace("CLIPS...", "CLIPS"), comments=True)
        for program, first in PROGRAMS.items():
            start = program.split()
            called = [*first, *words[len(start) :]]
            if words[: len(start)] == start and not is_name(called):
                yield called


def is_name(words: list[str]) -> bool:
    """Whether these words name a command, which is not to say that they call it."""
    group = get_command(cli.app)
    for word in words:
        group = getattr(group, "commands", {}).get(word)
        if group is None:
            return "COMMAND" in words
    return True


COMMANDS = [
    pytest.param(words, id=f"{path.name}: {' '.join(words)}")
    for path in DOCUMENTS
    for words in printed(path)
]


def take(words: list[str]) -> None:
    """Parse as the program does, down to the command's own options; nothing is run."""
    if words[:1] == ["train"]:
        parser().parse_args(["1" if word == "N" else word for word in words[1:]])
        return
    group = get_command(cli.app)
    context = group.make_context("c3d-viz", list(words))
    while hasattr(group, "resolve_command"):
        name, group, rest = group.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        context = group.make_context(name, list(rest), parent=context)


def test_there_are_commands_to_try() -> None:
    found = [" ".join(param.values[0]) for param in COMMANDS]  # type: ignore[arg-type]
    assert len(found) > 35
    for start in ("export", "layers", "weights inspect", "finding test", "app", "train joint"):
        assert any(command.startswith(start) for command in found), start


@pytest.mark.parametrize("words", COMMANDS)
def test_a_printed_command_parses(words: list[str]) -> None:
    if "--help" not in words:
        take(words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export", "clip.avi", "out/"], "parameter: out"),
        (["fly"], "fly"),
        (["layers", "--modell", "c3d"], "--modell"),
        (["train", "joint"], "required"),
    ],
)
def test_a_wrong_one_would_be_found(words: list[str], said: str) -> None:
    with pytest.raises(Exception, match=said):
        take(words)
