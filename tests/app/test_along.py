"""What a map answers along a whole video."""

from __future__ import annotations

from pathlib import Path

import pytest
from asked import source

import c3d_viz as viz
from app import work


def test_the_line_along_the_video_is_the_maps_strongest_answer_in_each_window(
    net: work.Net, clips: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    of = source(clips[0], "along")
    told: list[tuple[int, int]] = []
    frames, values = work.along(
        net, of, 1, "conv4b", 5, lambda done, total, what: told.append((done, total))
    )
    assert frames == [8, 16, 24, 32]  # windows from 0, 8, 16 and 24 of 40 frames
    assert told == [(n, 4) for n in range(5)]
    for start, value in ((0, values[0]), (24, values[3])):
        x = viz.preprocess(viz.read_clip(clips[0], start), net.spec.input)
        seen = viz.trace(net.model, x, ["conv4b"]).activations["conv4b"][5]
        assert value == pytest.approx(float(seen.max()), rel=1e-5)
    monkeypatch.setattr(work, "read_clips", lambda *_: pytest.fail("computed again"))
    assert work.along(net, of, 1, "conv4b", 5, lambda *_: None) == (frames, values)
    with pytest.raises(ZeroDivisionError):  # whoever does not want it any more ends it
        work.along(net, of, 1, "conv4b", 6, lambda *_: 1 / 0)
