"""The examples run as they stand, stay short, and use the public API only."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

import c3d_viz

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted((ROOT / "examples").glob("[0-9]*.py"))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """17 frames: a disc that grows."""
    t, y, x = np.mgrid[0:17, 0:72, 0:96]
    frames = np.where((x - 48) ** 2 + (y - 36) ** 2 < (8 + t) ** 2, 220, 60 + x // 2)
    folder = tmp_path_factory.mktemp("videos")
    return make_video(folder / "disc.mp4", np.stack([frames] * 3, axis=-1).astype(np.uint8))


@pytest.fixture(autouse=True)
def warnings_as_here(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings are errors in the examples too, unless this run has a ``-W`` of its own."""
    chosen = pytestconfig.getoption("pythonwarnings") or ["error"]
    monkeypatch.setenv("PYTHONWARNINGS", ",".join(chosen))


def run(script: str, *arguments: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def frames_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_short_and_public(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 30
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert not any(str(m).startswith("c3d_viz") for m in modules)
    for name in re.findall(r"\bviz\.(\w+)", text):
        assert name in c3d_viz.__all__, name


def test_every_example_is_listed() -> None:
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"`(\d\d_\w+\.py)`", page) == [script.name for script in SCRIPTS]
    assert len(SCRIPTS) == 5


def test_one_unit(video: Path, tmp_path: Path) -> None:
    said = run("01_one_unit.py", video, tmp_path / "out", cwd=tmp_path)
    assert re.match(r"conv5b channel \d+ at \(\d, \d, \d\): activation ", said)
    assert frames_of(tmp_path / "out" / "overlay.mp4").shape == (16, 112, 112, 3)
    assert (tmp_path / "out" / "filmstrip.png").stat().st_size > 10_000


@pytest.mark.slow
def test_folder_to_saliency(video: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    shutil.copy(video, folder / "b.mp4")
    (folder / "a.mp4").write_text("not a video")
    (folder / "notes.txt").write_text("no clip")
    said = run("02_folder_to_saliency.py", folder, tmp_path / "out", cwd=tmp_path)
    assert [line.split(":")[0] for line in said.splitlines()] == ["a.mp4", "b.mp4"]
    assert "left out" in said
    for layer in c3d_viz.LAYERS:
        (found,) = (tmp_path / "out" / "b" / layer / "deconvnet").glob("ch*")
        assert {p.name for p in found.iterdir()} == {"filmstrip.png", "overlay.mp4", "map.npz"}
    assert not (tmp_path / "out" / "a").exists()


def test_activation_maps(video: Path, tmp_path: Path) -> None:
    run("03_activation_maps.py", video, tmp_path / "out", cwd=tmp_path)
    maps = np.load(tmp_path / "out" / "conv3b.npy")
    assert maps.shape == (64, 8, 28, 28)
    assert maps.min() == 0.0
    assert maps.max() > 0
    assert (tmp_path / "out" / "conv3b.png").is_file()


def test_three_rules(video: Path, tmp_path: Path) -> None:
    run("04_three_rules.py", video, tmp_path / "out", cwd=tmp_path)
    frames = frames_of(tmp_path / "out" / "rules.mp4")
    assert frames.shape == (16, 224, 4 * 224, 3)
    parts = np.split(frames.astype(float), 4, axis=2)
    assert all(np.abs(parts[i] - parts[0]).mean() > 1 for i in (1, 2, 3))


def test_your_own_network(video: Path, tmp_path: Path) -> None:
    run("05_your_own_network.py", video, tmp_path / "own.png", cwd=tmp_path)
    assert (tmp_path / "own.png").stat().st_size > 10_000
