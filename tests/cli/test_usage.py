"""What the parser refuses, and paths without a name: one printable line that says where to look."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import typer
from command_line import call

from c3d_viz.cli.commands import app
from c3d_viz.cli.options import clip_named, path_named
from c3d_viz.clips import Clip, read_clip
from c3d_viz.errors import ClipError
from c3d_viz.training import commands as training


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["export", "c", "-o", "o", "--layr", "x"],
            "no such option:? .?--layr.*--layer.*c3d-viz export",
        ),
        (["finding", "test", "c", "-o", "o", "--twn", "x"], "--twin.*c3d-viz finding test --help"),
        (["exprt"], "no such command 'exprt'. Did you mean 'export'"),
        (["weights", "nope"], r"no such command 'nope' \(c3d-viz weights --help"),
        (["export", "-o", "o"], r"missing argument 'CLIPS\.\.\.' \(c3d-viz export --help"),
        (["export", "c"], "missing option '--out' / '-o'"),
        (["export", "c", "-o"], "requires an argument"),
        (["layers", "--seed", "x"], "invalid value for '--seed'"),
        (["layers", "--seed", "\u0663"], "value for '--seed': '\u0663' is no whole number"),
        (["layers", "--input-scale", "\u0663"], "'--input-scale': '\u0663' is no number"),
        (["export", "c", "-o", "o", "--top", "\u0967"], "'--top': '\u0967' is no whole number"),
        (["layers", "more\n"], r"unexpected extra argument"),
        (["--nonsense"], "no such option:? .?--nonsense"),
        (["layers", "--" + "x" * 5000], "no such option.*xx … xx.*c3d-viz layers --help"),
    ],
)
def test_one_line_of_the_parser(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    status, out, err = call(capsys, *words)
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("c3d-viz: ")
    assert err.rstrip("\n").isprintable()
    assert len(err) < 1100

    assert re.search(said, err), err


@pytest.mark.parametrize(
    "words",
    [
        ["export", "", "-o", "out"],
        ["export", "clip.mp4", "-o", " "],
        ["finding", "figure", "", "-o", "out"],
        ["finding", "test", "", "-o", "out"],
        ["finding", "test", "clip.mp4", "", "-o", "out"],
        ["finding", "test", "clip.mp4", "-o", "out", "--weights", ""],
        ["features", "", "-o", "out.parquet"],
        ["features", "clip.mp4", "-o", ""],
        ["weights", "inspect", ""],
        ["weights", "download", "--cache", ""],
        *(["layers", f"--{name}", ""] for name in ("model", "weights", "mean", "classes", "input")),
    ],
)
def test_an_empty_path_is_no_folder(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: list[str],
) -> None:
    """Path("") is the folder the command runs in, and there lies a video."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").write_bytes(b"x")
    status, out, err = call(capsys, *words)
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert "is empty" in err
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]


def commands(app: typer.Typer) -> Iterator[Callable[..., None]]:
    for command in app.registered_commands:
        assert command.callback is not None
        yield command.callback
    for group in app.registered_groups:
        yield from commands(group.typer_instance)


def test_every_number_is_in_digits_of_ascii() -> None:
    """int() and float() take digits of any script, which look like other numbers."""
    parsers = {
        (command.__name__, parameter.name): parameter.annotation.__metadata__[0].parser
        for command in commands(app)
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if {int, float} & set(_kinds(parameter.annotation))
    }
    assert len(parsers) > 100
    for of, parser in parsers.items():
        assert parser is not None, of
        assert parser("7") == parser(7) == 7, of
        with pytest.raises(typer.BadParameter, match=r"is no (whole )?number"):
            parser("\u0667")


def test_training_takes_digits_of_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    for work, option, what in (
        ("videos", "--seed", "whole number"),
        ("videos", "--minutes", "number"),
        ("depths", "--epochs", "whole number"),
    ):
        status, _, err = call(capsys, "train", work, "x", "-o", "y", option, "\u0663")
        assert (status, err.count("\n")) == (2, 1)
        assert f"argument {option}: '\u0663' is no {what}" in err
    (commands_of,) = (action for action in training.parser()._actions if action.choices)
    kinds = {action.type for sub in commands_of.choices.values() for action in sub._actions}
    numbers = kinds - {None, Path}
    assert len(numbers) > 4
    for kind in numbers:
        with pytest.raises(argparse.ArgumentTypeError, match=r"is no (whole )?number"):
            kind("\u0663")


def _kinds(annotation: object) -> Iterator[object]:
    yield annotation
    for part in get_args(annotation):
        yield from _kinds(part)


def test_an_empty_path_in_python() -> None:
    with pytest.raises(ClipError, match="name is empty"):
        read_clip("")


def test_every_path_goes_through_a_parser_and_every_clip_may_be_the_demo_s() -> None:
    clips = set()
    for command in commands(app):
        for parameter in inspect.signature(command, eval_str=True).parameters.values():
            if Path not in _kinds(parameter.annotation):
                continue
            given = parameter.annotation.__metadata__[0]
            wanted = clip_named if "CLIP" in given.metavar else path_named
            assert given.parser is wanted, (command.__name__, parameter.name)
            clips |= {command.__name__} if wanted is clip_named else set()
    assert clips == {
        "export", "features", "atlas", "search", "check", "finding_figure", "finding_test",
        "units_maximise", "units_report",
    }  # fmt: skip


def test_a_clip_of_the_demo_to_compare_a_stimulus_with(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bikes: Path
) -> None:
    asked = []

    def write(out: Path, settings: object, *more: object) -> None:
        asked.append(settings)
        raise ClipError("enough")

    monkeypatch.setattr("c3d_viz.units.write_stimulus", write)
    words = ["units", "maximise", "--layer", "conv1a", "--channel", "0", "-o", "out"]
    assert call(capsys, *words, "--clip", "demo:/bikes.mp4", "--clip", "x.mp4")[0] == 2
    assert asked[0].clips == (str(bikes), "x.mp4")
    assert "no demo clip 'demo:/x'" in call(capsys, *words, "--clip", "demo:/x")[2]


def test_a_demo_clip_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bikes: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert clip_named("demo:/bikes.mp4") == bikes
    with pytest.raises(ClipError, match="no demo clip 'demo:/x'; choose from demo:/bikes"):
        clip_named("demo:/x")
    (tmp_path / "demo:").mkdir()
    (tmp_path / "demo:" / "x").touch()
    assert clip_named("demo:/x") == Path("demo:/x")  # a file of one's own goes first
    assert Clip(np.zeros((1, 2, 2, 3), np.uint8), 25.0, "demo:/bikes.mp4", 0).name == "bikes"
