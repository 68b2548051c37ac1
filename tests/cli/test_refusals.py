"""What a person can get wrong ends in one line and status 2, and leaves nothing behind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import call

from c3d_viz.cli.options import by_option

LONG = "x" * 300
HUGE, MANY = str(2**64), str(2**63)
CONV1A = ["--layer", "conv1a"]
ONE = [*CONV1A, "--channel", "1"]
OCCLUSION = [*ONE, "--method", "occlusion", "--set"]
RISE = [*ONE, "--method", "rise", "--set"]


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
        (
            ["-o", "out", *ONE, "--at", f"{HUGE},0,0"],
            "--at takes time,row,column .*64-bit whole number",
        ),
        (
            ["-o", "out", *CONV1A, "--method", "integrated_gradients", "--precision", "bf16"],
            "integrated_gradients has no bf16 preview",
        ),
        (["-o", "out", *CONV1A, "--device", "cpu:7"], "no device 'cpu:7'"),
        (
            ["-o", "out", *CONV1A, "--weights", "random", "--seed", HUGE],
            "'--seed': .* no whole number of 64 bits",
        ),
        *(
            (["-o", "out", option, HUGE], f"'{option}': '{HUGE}' is no whole number of 64 bits")
            for option in ("--top", "--start", "--stride", "--windows", "--channel")
        ),
        (["-o", "out", "--top", "0"], "^c3d-viz: --top must be at least 1, got 0"),
        (["-o", "out", "--start=-1"], "^c3d-viz: --start must be 0 or more"),
        (["-o", "out", "--at", "mean"], "^c3d-viz: --at needs channel"),
        (["-o", "out", "--frame-stride", "0"], "^c3d-viz: --frame-stride must be a number"),
        (["-o", "out", "--num-classes", "0"], "^c3d-viz: --num-classes must be"),
        (["-o", "out", "--classes", "gone"], "gone: no such file of class names"),
        (["-o", "out", "--mean", "gone"], "gone: no such mean file"),
        (["-o", "out", "--input", "gone"], "gone: no such TOML file of an input"),
        (["-o", "out", "--mean", "."], "is a folder; give the mean file inside it"),
        (
            ["-o", "out", *CONV1A, "--start", str(10**10)],
            "start 10000000000 .*behind the end of any",
        ),
        (["-o", "out", *CONV1A, "--start", "240", "--windows", "2"], "last possible start is 234"),
        (["-o", "out", *CONV1A, "--weights", "random", "--seed", "-1"], "seed must be 0 to"),
        (["-o", "out", *CONV1A, "--input-scale", "1e300"], "--input-scale must be a number from"),
        (["-o", "out", *CONV1A, "--input-scale", "1e-300"], "--input-scale must be a number from"),
        (["-o", "out", *CONV1A, "--mean", "1e300,0,0"], "--mean must be three numbers"),
        (["-o", "out", *CONV1A, "--std", "1,1,1e-300"], "--std must be 3 positive numbers"),
        (["-o", "out", *ONE, "--at", "\u0663,0,0"], "--at takes time,row,column"),
        (["-o", "out", *OCCLUSION, "occlusion.window=4,200,16"], "is larger than the clip"),
        (["-o", "out", *OCCLUSION, f"occlusion.window={HUGE},2,2"], "is larger than the clip"),
        (["-o", "out", *OCCLUSION, "occlusion.stride=99,99,99"], "steps over cells that no window"),
        (["-o", "out", *OCCLUSION, "occlusion.window=\u0663,2,2"], "takes 3 whole numbers"),
        (
            ["-o", "out", *OCCLUSION, "occlusion.fill=blur", "--set", "occlusion.fill=blur"],
            "occlusion.fill is given twice",
        ),
        (["-o", "out", *RISE, "rise.grid=99,4,4"], "is finer than the clip"),
        (["-o", "out", *CONV1A, "--resize", "4096"], "9638 x 4096 have more than 18 million"),
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
        ["units", "maximise", "--layer", "conv1a", "-o", "u", "--smoothness", "nan"],
        ["check", "", "-o", "out"],
        ["train", "--nonsense"],
        *(
            ["train", "videos", "data", "-o", "y", *wrong.split()]
            for wrong in (
                "--minutes nan",
                "--minutes inf",
                "--minutes -1",
                "--minutes x",
                "--clips 0",
                "--clips \u0663",
                f"--clips {HUGE}",
                "--lr nan",
                "--lr 0",
                "--lr 1e9",
                "--batch 0",
                f"--seed {MANY}",
                "--seed -1",
            )
        ),
        ["train", "depths", "data", "-o", "y", "--seeds", "0"],
        ["train", "joint", "data", "--flat", "x", "-o", "y", "--how-weight", "nan"],
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
    if words[0] == "train" and "-o" in words and words[-1] != "2":
        assert f"argument {words[-2]}: " in err


def test_a_precision_that_was_not_used_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bikes: Path
) -> None:
    monkeypatch.setattr("c3d_viz.engine.precision.bf16_share", lambda _device: 15.7)
    note = "bf16 takes 15.7 times as long as float32 on this processor: float32 was used"
    for precision, said in (("bf16", 1), ("float32", 0)):
        words = ["export", str(bikes), "-o", str(tmp_path / precision), *ONE]
        status, _, err = call(capsys, *words, "--precision", precision)
        assert status == 0, err
        assert err.splitlines().count(f"note: {note} (conv1a)") == said


def test_less_than_was_asked_for_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, make_video: object
) -> None:
    import numpy as np

    frames = np.random.default_rng(0).integers(0, 255, (17, 48, 64, 3), dtype=np.uint8)
    clip = make_video(tmp_path / "short.mp4", frames)  # type: ignore[operator]
    words = ["export", str(clip), "-o", str(tmp_path / "out"), *CONV1A, "--weights", "random"]
    status, _, err = call(capsys, *words, "--windows", MANY, "--start", "1", "--top", MANY)
    assert status == 0, err
    assert "export: 0 of 17, 1 windows, the video has no room for more\n" in err
    assert f"windows: 1, not {MANY}: the video has no more room" in err
    assert "\nframes 1-16 of 17\n" in err
    assert f"maps: all of a layer where it has fewer than {MANY}: conv1a has 16" in err


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("top must be at least 1, got 0", "--top must be at least 1, got 0"),
        ("scale must be a positive number", "--input-scale must be a positive number"),
        ("windows must be at least 1", "windows must be at least 1"),
        ("overlap must be 0 to 7", "--overlap must be 0 to 7"),
        ("m.npy: is 8 x 9; pass resize=(8, 9) if so", "m.npy: is 8 x 9; give --resize 8,9 if so"),
        ("a: has 7 classes; leave num_classes out", "a: has 7 classes; leave --num-classes out"),
        ("top of the heap", "top of the heap"),
    ],
)
def test_a_parameter_is_told_by_its_option(said: str, told: str) -> None:
    assert by_option(said, ["export", "--top=0", "--input-scale", "0"], ["--overlap"]) == told
