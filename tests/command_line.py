"""The command line called in this process or in another, for its tests."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from c3d_viz.cli import commands as cli

COMMAND = [sys.executable, "-m", "c3d_viz.cli"]


def run(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False, **more)


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command in this process: (exit status, stdout, stderr)."""
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def killed_command(
    words: Sequence[str], folder: Path, pattern: str, **more: Any
) -> subprocess.Popen[bytes]:
    """The command, killed as soon as a file of that pattern lies in the folder."""
    process = subprocess.Popen([*COMMAND, *words], **more)
    deadline = time.monotonic() + 240
    while not list(folder.glob(pattern)):
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return process
