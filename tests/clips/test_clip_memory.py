"""Reading many windows holds few frames, however long the video is."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
from PIL import Image

from c3d_viz.clips import read_clips

SIDE = 96
FRAME = SIDE * SIDE * 3  # bytes


def test_a_frame_is_let_go_once_no_later_window_needs_it(tmp_path: Path) -> None:
    """Windows that interlock: each leaves frames behind that it did not take itself."""
    rng = np.random.default_rng(0)
    for number in range(256):
        picture = Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
        picture.save(tmp_path / f"{number:03d}.bmp")
    starts = [64 * block + first for block in range(4) for first in range(4)]
    tracemalloc.start()
    try:
        read = [clip.start for clip in read_clips(tmp_path, starts, 16, stride=4)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read == starts
    assert 64 * FRAME < peak < 128 * FRAME  # 64 frames interlock; all together are 256
