"""The command line called in this process or in another, for its tests."""

from __future__ import annotations

import subprocess
import sys
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
