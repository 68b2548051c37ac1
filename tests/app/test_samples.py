"""Where a clip begins, and the samples that can be opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app import samples


@pytest.mark.parametrize(
    ("energy", "start"),
    [
        ([1] * 20 + [9] * 16 + [1] * 20, 20),
        ([1] * 56, 0),
        ([1] * 10 + [200] + [1] * 10 + [5] * 16 + [1] * 20, 21),  # a cut is no motion
    ],
)
def test_the_liveliest_window(energy: list[float], start: int) -> None:
    values = np.asarray(energy, np.float32)
    assert samples.liveliest(values, len(values), 16) == start


def test_a_clip_of_one_window_begins_at_0() -> None:
    assert samples.liveliest(np.ones(16, np.float32), 16, 16) == 0


def test_every_sample_can_be_opened(tmp_path: Path) -> None:
    for key in samples.samples():
        of = samples.sample_source(key, tmp_path)
        assert of.info.frames >= 16
        assert of.start is not None
        assert of.start + 16 <= of.info.frames
        for address in (samples.stills(of)[-1][1], samples.thumb(of, of.start)):
            assert address.startswith("data:image/jpeg;base64,")
