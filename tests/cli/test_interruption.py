"""A real interruption of the command line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import killed_command, run


@pytest.mark.slow
def test_a_killed_export_leaves_whole_files_and_resumes(
    tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    import numpy as np

    frames = np.random.default_rng(0).integers(0, 255, (16, 64, 64, 3), dtype=np.uint8)
    clip = make_video(tmp_path / "clip.mp4", frames)
    words = ["export", str(clip), "-o", str(tmp_path / "out"), "--layer", "conv1a", "--layer"]
    words += ["conv2a", "--layer", "conv3b", "--weights", "random"]
    killed_command(words, tmp_path / "out", "conv1a/*/ch*/filmstrip.png", stderr=subprocess.DEVNULL)
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
