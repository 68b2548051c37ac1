"""What a person can get wrong ends in one line and status 2, and leaves nothing behind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import call

LONG = "x" * 300
HUGE = str(2**64)
CONV1A = ["--layer", "conv1a"]
ONE = [*CONV1A, "--channel", "1"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "/dev/null/x", *CONV1A], "cannot write"),
        (["-o", LONG, *CONV1A], "cannot write .*name too long"),
        (["-o", "", *CONV1A], "'--out' / '-o': the name is empty"),
        (["-o", "out", *CONV1A, "--channel", "-1"], "channels 0-15, got -1"),
        (["-o", "out", *CONV1A, "--channel", "16"], "channels 0-15, got 16"),
        (["-o", "out", *ONE, "--at", "0"], "positions"),
        (["-o", "out", *ONE, "--at", "0,0"], "positions"),
        (["-o", "out", *ONE, "--at", "-1,0,0"], "positions"),
        (["-o", "out", *ONE, "--at", f"{HUGE},0,0"], "positions"),
        (
            ["-o", "out", *CONV1A, "--method", "integrated_gradients", "--precision", "bf16"],
            "integrated_gradients has no bf16 preview",
        ),
        (["-o", "out", *CONV1A, "--device", "cpu:7"], "no device 'cpu:7'"),
        (["-o", "out", *CONV1A, "--weights", "random", "--seed", HUGE], "seed must be"),
        (["-o", "out", *CONV1A, "--stride", HUGE], "stride"),
        (["-o", "out", *CONV1A, "--start", HUGE], "frames"),
    ],
)
def test_a_refused_export_leaves_nothing_behind(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    bikes: Path,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = call(capsys, "export", str(bikes), *words)
    lines = err.splitlines()
    assert (status, out, len(lines)) == (2, "", 1), err
    assert re.search(said, lines[0]), err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["demo", "-o", ""],
        ["layers", "--weights", "random", "--seed", HUGE],
        ["layers", "--weights", "random", "--num-classes", "99999999999999"],
        ["layers", "--weights", LONG],
        ["weights", "inspect", LONG],
        ["finding", "figure", "clip.mp4", "-o", ""],
        ["export", f"{LONG}.mp4", "-o", "out"],
        ["train", "--nonsense"],
        ["train", "joint", "data"],
        ["train", "joint", "data", "--flat", "x", "-o", "y", "--depth", "2"],
    ],
)
def test_one_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = call(capsys, *words)
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert list(tmp_path.iterdir()) == []


def test_less_than_was_asked_for_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, make_video: object
) -> None:
    import numpy as np

    frames = np.random.default_rng(0).integers(0, 255, (17, 48, 64, 3), dtype=np.uint8)
    clip = make_video(tmp_path / "short.mp4", frames)  # type: ignore[operator]
    words = ["export", str(clip), "-o", str(tmp_path / "out"), *CONV1A, "--weights", "random"]
    status, _, err = call(capsys, *words, "--windows", HUGE, "--start", "1", "--top", HUGE)
    assert status == 0, err
    assert f"windows: 1, not {HUGE}: the video has no more room" in err
    assert f"maps: all of a layer where it has fewer than {HUGE}: conv1a has 16" in err
