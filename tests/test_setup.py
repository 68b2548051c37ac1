"""Set-up: Python's version, OpenCV without libGL, and the pinned versions."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pytest

from c3d_viz import setup_check
from c3d_viz.setup_check import check_opencv, missing_screen_library

ROOT = Path(__file__).resolve().parent.parent
NO_LIBGL = (
    "Traceback (most recent call last):\n  ...\nImportError: libGL.so.1: cannot open shared object "
    "file: No such file or directory\n"
)


class Pip:
    """Stands in for the shell: answers of ``import cv2`` one after another, commands kept."""

    def __init__(self, *imports: str, install_fails: bool = False) -> None:
        self.imports, self.install_fails = list(imports), install_fails
        self.commands: list[list[str]] = []

    def __call__(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        self.commands.append(list(command))
        error = ""
        if command[-1] == "import cv2":
            error = self.imports.pop(0)
        elif "install" in command and self.install_fails:
            error = "ERROR: No matching distribution found"
        return subprocess.CompletedProcess(command, int(bool(error)), "", error)


@pytest.mark.parametrize(
    ("message", "library"),
    [
        (NO_LIBGL, "libGL"),
        ("ImportError: libgthread-2.0.so.0: cannot open shared object file: No such", "libgthread"),
        ("ModuleNotFoundError: No module named 'cv2'", None),
        ("ImportError: numpy.core.multiarray failed to import", None),
        ("ImportError: libcudart.so.13: cannot open shared object file", None),
    ],
)
def test_what_is_missing(message: str, library: str | None) -> None:
    assert missing_screen_library(message) == library


def test_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    pip = Pip("")
    assert check_opencv(pip, "5.0.0.93") == 0
    assert len(pip.commands) == 1
    assert capsys.readouterr().out == ""


def test_headless_takes_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    pip = Pip(NO_LIBGL, "")
    assert check_opencv(pip, "5.0.0.93") == 0
    _, uninstall, install, again = pip.commands
    assert uninstall[-2:] == ["opencv-python", "opencv-python-headless"]
    assert install[-2:] == ["--no-deps", "opencv-python-headless==5.0.0.93"]
    assert again[-1] == "import cv2"
    said = capsys.readouterr().out
    assert "no libGL" in said
    assert "opencv-python-headless 5.0.0.93 in its place" in said


def test_another_fault_is_reported_and_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    pip = Pip("ImportError: numpy.core.multiarray failed to import\n")
    assert check_opencv(pip, "5.0.0.93") == 1
    assert len(pip.commands) == 1
    assert "numpy.core.multiarray" in capsys.readouterr().out


def test_a_failing_swap_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_opencv(Pip(NO_LIBGL, install_fails=True), "5.0.0.93") == 1
    assert "No matching distribution" in capsys.readouterr().out


def test_a_real_import_error_of_cv2_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cv2 that raises as the real one does without libGL, in a real interpreter."""
    (tmp_path / "cv2.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    commands: list[list[str]] = []

    def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        commands.append(list(command))
        if "pip" in command:  # the test must not change the environment it runs in
            return subprocess.CompletedProcess(command, 0, "", "")
        return setup_check._run(command)

    assert check_opencv(run, "5.0.0.93") == 1  # the fake is still there after the swap
    assert [c[-1] for c in commands if "pip" in c][-1] == "opencv-python-headless==5.0.0.93"
    assert "libGL" in capsys.readouterr().out


def test_the_command_line_says_it_too(tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "c3d_viz.cli",
            "export",
            "clip.mp4",
            "-o",
            str(tmp_path / "out"),
        ],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": ""},
        check=False,
    )
    assert done.returncode == 2
    assert "c3d_viz.setup_check" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_old_python_gets_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import setup_venv

    monkeypatch.setattr(setup_venv.sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(setup_venv.shutil, "which", lambda name: None)
    assert setup_venv.main([]) == 1
    said = capsys.readouterr().out
    assert "needs Python 3.11 or newer, and this is 3.9.2" in said
    assert "make PYTHON=" in said


def test_an_old_python_looks_for_a_newer_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import setup_venv

    calls: list[list[str]] = []
    monkeypatch.setattr(setup_venv.sys, "version_info", (3, 10, 0))
    monkeypatch.setattr(
        setup_venv.shutil, "which", lambda n: "/opt/python3.12" if n == "python3.12" else None
    )
    monkeypatch.setattr(setup_venv.subprocess, "call", lambda c: calls.append(c) or 0)
    assert setup_venv.main(["--extras", "dev"]) == 0
    assert calls[0][0] == "/opt/python3.12"
    assert calls[0][2:] == ["--extras", "dev"]


def name_of(requirement: str) -> str:
    return re.split(r"[<>=!~;\[ ]", requirement)[0].lower().replace("_", "-")


def test_constraints_pin_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(line.lower().split("==") for line in lines if line and line[0] != "#")
    assert {name_of(w) for w in wanted} <= {name.replace("_", "-") for name in pinned}
    assert pinned["torch"] == "2.13.0"
    assert not any("nvidia" in name or "triton" in name for name in pinned)


def test_a_cell_of_the_matrix_holds_its_versions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lowest releases of all that we name; the newest with what is pinned; tests in both."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import matrix

    lowest = dict(line.split("==") for line in matrix.lower_bounds())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for wanted in (*project["dependencies"], *project["optional-dependencies"]["dev"]):
        name = re.split(r"[<>=\[]", wanted)[0]
        assert f">={lowest[name]}" in wanted
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    monkeypatch.setattr(matrix, "ROOT", str(tmp_path))
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(matrix.subprocess, "call", lambda c, **_: ran.append(c) or "pytest" in c)
    for versions in ("lowest", "newest"):
        assert not matrix.cell("3.12", versions, True, ["torch==2.13.0"])  # its tests fail
        held = tmp_path / "build" / "matrix" / f"3.12-{versions}" / "constraints.txt"
        pinned = "torch==2.13.0" if versions == "newest" else f"torch=={lowest['torch']}"
        assert pinned in held.read_text().splitlines()
        assert [c[1:3] for c in ran[-4:]] == [
            ("-m", "venv"), ("-m", "pip"), ("-m", "c3d_viz.setup_check"), ("-m", "pytest")
        ]  # fmt: skip
        assert str(held) in ran[-3]
        assert f"3.12 {versions:<7} tests FAILED" in capsys.readouterr().out
