"""The commands for many videos: the server of processes begins before anything is imported."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import call

from c3d_viz.cli import corpus


@pytest.mark.parametrize(
    ("words", "begun"),
    [
        (["--jobs", "2"], 1),
        ([], 1),
        (["--jobs", "1"], 0),
        (["--device", "cuda"], 0),
        (["--engine", "ray"], 0),
    ],
)
@pytest.mark.parametrize("command", ["features", "atlas"])
def test_commands_begin_the_server_first(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: str,
    words: list[str],
    begun: int,
) -> None:
    begins: list[int] = []
    monkeypatch.setattr(corpus, "begin_server", lambda: begins.append(1))
    monkeypatch.setattr(corpus, "processors", lambda: 4)
    out, clip = str(tmp_path / "f.parquet"), tmp_path / "a.mp4"
    clip.touch()
    status, _, error = call(capsys, command, str(clip), "-o", out, "--resize", "", *words)
    assert (status, "--resize is empty" in error) == (2, True)  # before any network
    assert begins == [1] * begun


@pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="no such system"
)
def test_the_server_is_the_one_that_workers_come_from() -> None:
    code = (
        "import sys\n"
        "from c3d_viz.cli.corpus import begin_server\n"
        "begin_server()\n"
        "assert 'torch' not in sys.modules\n"
        "from multiprocessing import forkserver\n"
        "first = forkserver._forkserver._forkserver_pid\n"
        "from c3d_viz.corpus.workers import Workers\n"
        "from operator import getitem\n"
        "with Workers(list, ([5, 6, 7],), 2) as team:\n"
        "    print(sorted(result for _, result in team.run(getitem, [1, 2])))\n"
        "assert forkserver._forkserver._forkserver_pid == first\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[6, 7]\n", "")


def test_processors_are_those_of_this_process() -> None:
    assert corpus.processors() >= 1


@pytest.mark.parametrize(
    "words",
    [
        ["features", "-o", "f.parquet"],
        ["atlas", "-o", "atlas"],
        ["search", "--in", "f.parquet"],
    ],
)
def test_clips_that_are_missing_are_said_before_anything_is_imported(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "c3d_viz.corpus", None)  # an import of it would fail
    give = "; give a video file or a folder of frames\n"
    status, _, error = call(capsys, *words, "gone.mp4")
    assert (status, error) == (2, f"c3d-viz: gone.mp4 does not exist{give}")
    if words[0] != "search":
        status, _, error = call(capsys, *words, "gone.mp4", "b.mp4")
        others = ", nor does any other of the 2 named"
        assert (status, error) == (2, f"c3d-viz: gone.mp4 does not exist{others}{give}")


@pytest.mark.parametrize("command", ["features", "atlas"])
def test_ctrl_c_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: str,
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"c3d_viz.corpus.write_{command}", stop)
    words = [command, str(tmp_path), "-o", str(tmp_path / "f.parquet"), "--jobs", "1"]
    said = "c3d-viz: stopped. The same command goes on from what was done.\n"
    assert call(capsys, *words) == (130, "", said)
