"""Windows of a clip that cannot be read everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asked import source

import c3d_viz as viz
from app import windows, work
from c3d_viz.errors import ClipError


@pytest.fixture
def damaged(
    tmp_path: Path, make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A clip of 60 frames of which those from 30 on cannot be read."""
    path = make_video(tmp_path / "half.mp4", np.zeros((60, 48, 64, 3), np.uint8))
    real = viz.read_clip

    def read(path: Path, start: int = 0, frames: int = 16, stride: int = 1) -> Any:
        if start + (frames - 1) * stride >= 30:
            raise ClipError(f"{path} ends before frame {start}: copy it again")
        return real(path, start, frames, stride)

    monkeypatch.setattr(viz, "read_clip", read)
    return path


def test_an_earlier_window_is_taken_and_it_is_said_why(net: work.Net, damaged: Path) -> None:
    win, why = windows.readable(source(damaged, "half"), net, 40, 1)
    assert win.start == 10
    assert "ends before frame 40" in why
    win, why = windows.readable(source(damaged, "half"), net, 3, 1)
    assert (win.start, why) == (3, "")


def test_where_none_can_be_read_the_first_error_is_raised(net: work.Net, damaged: Path) -> None:
    with pytest.raises(ClipError, match="ends before frame 8"):
        windows.readable(source(damaged, "half"), net, 8, 4)
