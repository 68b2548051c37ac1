"""One export that several tests only look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import LINE, Loaded

from c3d_viz.export.run import export_clip
from c3d_viz.nets.spec import COMPACT_INPUT, ModelSpec


@pytest.fixture(scope="session")
def loaded(tiny_c3d: Any) -> Loaded:
    spec = ModelSpec("compact", LINE, False, COMPACT_INPUT, 5)
    return tiny_c3d, spec


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """40 frames of a bright square that moves over a gradient."""
    t, y, x = np.mgrid[0:40, 0:96, 0:128]
    ground = ((x + y) % 128).astype(np.uint8)
    square = (abs(x - 20 - 2 * t) < 12) & (abs(y - 48) < 12)
    frames = np.stack([np.where(square, 230, ground)] * 3, axis=-1).astype(np.uint8)
    return make_video(tmp_path_factory.mktemp("clip") / "mövie & more.mp4", frames)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory, clip: Path, loaded: Loaded) -> Path:
    """One export that several tests only look at."""
    out = tmp_path_factory.mktemp("export") / "out"
    export_clip(
        clip,
        out,
        layers=["conv5b", "conv1a", "fc8"],
        methods=["deconvnet", "guided"],
        top=2,
        start=8,
        loaded=loaded,
    )
    return out
