"""Labels of synthetic clips: every pixel belongs somewhere, edges lie where the motion says."""

from __future__ import annotations

import numpy as np
import pytest

from c3d_viz.synthetic import HOWS, PARTS, LabelledClip, labelled_clips, procedural_library


@pytest.fixture(scope="module")
def clips() -> list[LabelledClip]:
    return list(labelled_clips(procedural_library(0), 20, 3, frames=8, size=56))


def part(clip: LabelledClip, name: str) -> np.ndarray:
    return clip.masks[PARTS.index(name)]


def test_the_parts_share_every_pixel_out(clips: list[LabelledClip]) -> None:
    for clip in clips:
        assert clip.frames.shape == (8, 56, 56, 3)
        assert clip.frames.dtype == np.uint8
        assert (clip.masks[:4].sum(0) == 1).all()
        assert part(clip, "object").any()
    assert [clip.how for clip in clips] == [*range(10), *range(10)]
    for name in ("distractor", "occluder"):
        share = np.mean([part(clip, name).any() for clip in clips])
        assert 0.1 < share < 0.95


def test_edges_lie_on_the_object_on_the_side_of_its_motion() -> None:
    library, seen = procedural_library(0), 0
    for clip in labelled_clips(library, 40, 5, frames=8, size=56):
        shown = part(clip, "object")
        lead, trail = part(clip, "leading edge"), part(clip, "trailing edge")
        assert not (lead & ~shown).any()
        assert not (trail & ~shown).any()
        if HOWS[clip.how] in ("left", "right") and lead[4].any() and trail[4].any():
            columns = [np.nonzero(mask[4])[1].mean() for mask in (lead, trail)]
            # a pan may turn the motion: the object's own wins in most clips
            seen += 1 if (columns[0] > columns[1]) == (HOWS[clip.how] == "right") else -1
    assert seen >= 4


def test_a_clip_of_a_seed_is_the_same_clip(clips: list[LabelledClip]) -> None:
    again = next(iter(labelled_clips(procedural_library(0), 20, 3, frames=8, size=56)))
    assert (again.frames == clips[0].frames).all()
    assert (again.masks == clips[0].masks).all()
    other = next(iter(labelled_clips(procedural_library(0), 20, 4, frames=8, size=56)))
    assert (other.masks != clips[0].masks).any()
