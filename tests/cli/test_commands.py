"""The commands: what they parse, pass on and say on errors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import call, run

import c3d_viz
from c3d_viz import METHODS, export
from c3d_viz.cli import commands as cli
from c3d_viz.cli.options import NETWORK_OPTIONS
from c3d_viz.weights import NetworkChoice


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "--help")
    assert status == 0
    for word in ("export", "layers", "demo", "app", "weights", "finding", "train", "--version"):
        assert word in out
    for group, words in {
        "weights": ("inspect", "download"),
        "finding": ("figure", "test"),
        "export": ("--layer", "--method", "--top", "--channel", "--start", "--stride", "--seed"),
        "app": ("--weights", "--host", "--port"),
    }.items():
        status, out, _ = call(capsys, group, "--help")
        assert status == 0
        assert all(word in out for word in words), group


def test_help_names_every_method(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "export", "--help")
    for method in METHODS:
        assert method in " ".join(out.split()), method


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom c3d_viz import cli\n"
        "try: cli.main(['--help'])\nexcept SystemExit: pass\n"
        "print(*{m.split('.')[0] for m in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"torch", "streamlit", "matplotlib", "cv2", "numpy", "rich"} & set(
        done.stderr.split()
    ) == set()


def test_help_answers_at_once() -> None:
    """Half a second of processor time: the clock on the wall is the machine's, not ours."""
    spent = []
    for _ in range(3):
        before = os.times()
        assert run("--help").returncode == 0
        after = os.times()
        spent.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
    assert min(spent) < 0.5


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "--version")[:2] == (0, f"c3d-viz {c3d_viz.__version__}\n")


def test_no_command_shows_help(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = call(capsys)
    assert status == 2
    assert "export" in out + err


def test_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["export"],
        ["export", "a.mp4"],
        ["export", "a", "-o", "b", "--top", "x"],
        ["fly"],
    ):
        status, _, err = call(capsys, *words)
        assert status == 2
        assert "Traceback" not in err


def test_errors_for_people_are_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video in here")
    out = tmp_path / "out"
    for path in (text, tmp_path / "nowhere.mp4", tmp_path):
        status, printed, err = call(capsys, "export", str(path), "-o", str(out))
        assert status == 2
        assert printed == ""
        assert err.count("\n") == 1
        assert err.startswith("c3d-viz: ")
        assert path.name in err
        assert not out.exists()
    status, _, err = call(
        capsys, "export", str(text), "-o", str(out), "--channel", "1", "--at", "x"
    )
    assert (status, "time,row,column" in err) == (2, True)


def test_other_errors_keep_to_one_line_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(export, "export_clip", broken)
    status, _, err = call(capsys, "export", "a.mp4", "-o", "b")
    assert status == 1
    assert err.count("\n") == 1
    assert "unexpected RuntimeError in test_commands.py" in err
    assert "two lines" in err
    assert "--debug" in err
    monkeypatch.setenv("C3D_VIZ_DEBUG", "")
    with pytest.raises(RuntimeError, match="two"):
        cli.main(["--debug", "export", "a.mp4", "-o", "b"])


def test_memory_that_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def large(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(export, "export_clip", large)
    status, _, err = call(capsys, "export", "a.mp4", "-o", "b")
    assert status == 2
    assert err.startswith("c3d-viz: not enough memory: ")
    assert err.count("\n") == 1


def test_ctrl_c(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "export_clip", stop)
    words = ["export", "a.mp4", "-o", "b"]
    monkeypatch.setattr(sys, "argv", ["c3d-viz", *words])
    status, _, err = call(capsys, *words)
    assert status == 130
    assert "--resume" in err


def test_export_passes_everything_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: dict[str, Any] = {}

    def record(clip: Path, out: Path, **wanted: Any) -> Path:
        seen.update(wanted, clip=clip, out=out)
        return out / "manifest.json"

    monkeypatch.setattr(export, "export_clip", record)
    words = "export a.mp4 -o out --layer conv5b --layer conv2a --method guided --top 3 --start 40"
    words += " --stride 2 --windows 5 --model c3d --weights w.pth --seed 7 --scale frame --resume"
    status, out, _ = call(capsys, *words.split())
    assert (status, out) == (0, "open out/index.html\n")
    expected = {
        "clip": Path("a.mp4"),
        "out": Path("out"),
        "layers": ["conv5b", "conv2a"],
        "methods": ["guided"],
        "top": 3,
        "channel": None,
        "start": 40,
        "stride": 2,
        "windows": 5,
        "network": NetworkChoice("c3d", "w.pth", 7),
        "scale": "frame",
        "resume": True,
        "overwrite": False,
    }
    assert {k: seen[k] for k in expected} == expected
    call(
        capsys,
        *["export", "a.mp4", "-o", "out", "--channel", "12", "--channel", "3", "--at", "1,2,3"],
    )
    assert (seen["channel"], seen["at"], seen["layers"]) == ([12, 3], (1, 2, 3), "all")


NETWORK = tuple(f"--{name.replace('_', '-')}" for name in NETWORK_OPTIONS)


@pytest.mark.parametrize("command", ["export", "layers", "finding figure", "finding test", "app"])
def test_every_command_takes_the_same_options_of_a_network(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    def lines(text: str) -> list[str]:
        kept = [ln for ln in text.splitlines() if ln.strip().startswith(NETWORK)]
        return [ln.split() for ln in kept]  # type: ignore[misc]

    _, out, _ = call(capsys, *command.split(), "--help")
    _, other, _ = call(capsys, "layers", "--help")
    assert len(lines(out)) == len(NETWORK)
    assert lines(out) == lines(other)


def test_what_is_said_against_a_checkpoint_is_passed_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def record(clip: Path, out: Path, **wanted: Any) -> Path:
        seen.update(wanted)
        return out / "manifest.json"

    monkeypatch.setattr(export, "export_clip", record)
    words = "export a.mp4 -o out --channel-order BGR --mean 104,117.5,123 --resize 128,171"
    words += " --pool5 padded --fc6-order hwc --classes names.txt"
    assert call(capsys, *words.split())[0] == 0
    assert seen["network"] == NetworkChoice(
        channel_order="BGR",
        mean=(104, 117.5, 123),
        resize=(128, 171),
        pool5="padded",
        fc6_order="hwc",
        classes="names.txt",
    )
    call(capsys, *["export", "a.mp4", "-o", "out", "--resize", "128", "--mean", "mean.npy"])
    assert seen["network"] == NetworkChoice(resize=128, mean="mean.npy")
    for option, value in (("--resize", "big"), ("--at", "1,x,2")):
        status, _, said = call(capsys, "export", "a.mp4", "-o", "out", option, value)
        assert status == 2
        assert f"{option} takes" in said
        assert repr(value) in said
    status, _, said = call(capsys, "layers", "--channel-order", "GBR")
    assert (status, "--channel-order must be RGB or BGR" in said) == (2, True)


def test_layers(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "layers", "--weights", "random")
    assert status == 0
    assert "random weights (seed 0), untrained" in out
    rows = {line.split()[0]: line for line in out.splitlines() if line}
    assert re.search(r"16 x 16 x 112 x 112 +3 x 3 x 3 +1,312$", rows["conv1a"])
    assert re.search(r"64 x 8 x 28 x 28 +14 x 26 x 26 +110,656$", rows["conv3b"])
    assert re.search(r"128 x 2 x 7 x 7 +68 x 134 x 134 +442,496$", rows["conv5b"])
    assert re.search(r"60 +the whole clip +30,780$", rows["fc8"])
    assert rows["total"].endswith("3,072,508")
