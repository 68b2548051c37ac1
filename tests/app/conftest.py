"""Videos, a network, and a served dashboard with a real Chromium for the ``browser`` tests."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import chromium

from app import work

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "test-artefacts"  # git-ignored; looked at by people


@dataclass
class Server:
    """A running dashboard."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path
    log: Path


def serve(folder: Path, **environment: str) -> Server:
    """Start the dashboard as `c3d-viz app` does, with its temporary files under ``folder``."""
    from c3d_viz.cli.dashboard import command

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "server.log"
    env = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT), **environment}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command("127.0.0.1", port), cwd=folder, env=env, stdout=out, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended: {log.read_text()}")
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return Server(url, process, folder, log)
        except OSError:
            time.sleep(0.2)
    process.kill()
    raise RuntimeError(f"the server does not answer: {log.read_text()}")


def stop(server: Server) -> None:
    """End the server as a service manager does."""
    server.process.terminate()
    try:
        server.process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all browser tests, as one server is there for all people."""
    if chromium() is None:
        pytest.skip("no Chromium found: install one or set C3D_VIZ_BROWSER to its path")
    made = serve(tmp_path_factory.mktemp("server"))
    yield made
    stop(made)
    assert "Traceback" not in made.log.read_text()
    assert list(made.folder.glob("c3d-viz-app-*")) == []  # the sessions were closed


@pytest.fixture
def open_page(server: Server, browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """``open_page(path, width=1280, theme="light")`` gives a page in a session of its own.

    After a failure a screenshot of each open page lies in test-artefacts/.
    """
    contexts = []

    def open_one(
        path: str = "/",
        *,
        width: int = 1280,
        height: int = 860,
        theme: str = "light",
        motion: str = "no-preference",
    ) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,
            reduced_motion=motion,
            accept_downloads=True,
        )
        context.set_default_timeout(150_000)
        contexts.append(context)
        page = context.new_page()
        page.goto(server.url + path)
        page.wait_for_selector("h1")
        return page

    yield open_one
    SHOTS.mkdir(exist_ok=True)
    for number, context in enumerate(contexts):
        for page in context.pages:
            page.screenshot(path=SHOTS / f"last-{request.node.name[:60]}-{number}.png")
        context.close()


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> list[Path]:
    folder, made = tmp_path_factory.mktemp("videos"), []
    for n in range(5):
        frames = np.random.default_rng(n).integers(0, 255, (18, 60, 80, 3), dtype=np.uint8)
        made.append(make_video(folder / f"{n}.mp4", frames))
    return made


@pytest.fixture(scope="module")
def net() -> work.Net:
    return work.network("compact")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> list[Path]:
    """Five different real files: a bright square over a textured ground, each its own way."""
    folder = tmp_path_factory.mktemp("clips")
    made = []
    for n in range(5):
        rng = np.random.default_rng(n)
        ground = rng.integers(0, 120, (24, 32, 3), dtype=np.uint8).repeat(6, 0).repeat(6, 1)
        frames = np.repeat(ground[None], 40, axis=0)
        for t in range(40):
            x, y = (10 + (n + 2) * t) % 150, 20 + 15 * n
            frames[t, y : y + 36, x : x + 36] = (250, 240 - 30 * n, 60 + 30 * n)
        suffix = ("mp4", "mov", "mkv", "mp4", "mp4")[n]
        made.append(make_video(folder / f"clip number {n}.{suffix}", frames))
    return made
