"""Files for a run of the finding."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from tiny import tiny

from c3d_viz.finding.measure.windows import synthetic_windows
from c3d_viz.nets import COMPACT_INPUT, ModelSpec
from c3d_viz.weights import save_model


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny checkpoints and two folders of frames. Do not change them."""
    root = tmp_path_factory.mktemp("finding")
    for name, depth in (("compact", 3), ("compact-2d", 1)):
        spec = ModelSpec(name, f"tiny {name}", True, COMPACT_INPUT, 4, tuple("abcd"))
        save_model(root / f"{name}.safetensors", tiny(depth), spec)
    for window in synthetic_windows(1, 9):
        folder = root / "clips" / window.name
        folder.mkdir(parents=True)
        for t, frame in enumerate(window.frames):
            whole = cv2.copyMakeBorder(frame, 8, 8, 29, 30, cv2.BORDER_REFLECT)
            cv2.imwrite(str(folder / f"{t}.png"), whole[..., ::-1])
    return root
