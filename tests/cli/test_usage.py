"""What the parser refuses, and paths without a name: one printable line that says where to look."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from command_line import call

from c3d_viz.cli.options import clip_named
from c3d_viz.clips import Clip, read_clip
from c3d_viz.errors import ClipError


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["export", "c", "-o", "o", "--layr", "x"],
            "no such option: --layr .*--layer.*c3d-viz export",
        ),
        (["finding", "test", "c", "-o", "o", "--twn", "x"], "--twin.*c3d-viz finding test --help"),
        (["exprt"], "no such command 'exprt'. Did you mean 'export'"),
        (["weights", "nope"], r"no such command 'nope' \(c3d-viz weights --help"),
        (["export", "-o", "o"], r"missing argument 'CLIPS\.\.\.' \(c3d-viz export --help"),
        (["export", "c"], "missing option '--out' / '-o'"),
        (["export", "c", "-o"], "requires an argument"),
        (["layers", "--seed", "x"], "invalid value for '--seed'"),
        (["layers", "more\n"], r"unexpected extra argument"),
        (["--nonsense"], "no such option: --nonsense"),
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


def test_an_empty_path_in_python() -> None:
    with pytest.raises(ClipError, match="name is empty"):
        read_clip("")


def test_a_demo_clip_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bikes: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert clip_named("demo:/bikes.mp4") == bikes
    with pytest.raises(ClipError, match="no demo clip 'demo:/x'; choose from demo:/bikes"):
        clip_named("demo:/x")
    (tmp_path / "demo:").mkdir()
    (tmp_path / "demo:" / "x").touch()
    assert clip_named("demo:/x") == Path("demo:/x")  # a file of one's own goes first
    assert Clip(np.zeros((1, 2, 2, 3), np.uint8), 25.0, "demo:/bikes.mp4", 0).name == "bikes"
