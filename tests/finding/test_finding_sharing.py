"""Units classified by what they share over pairs of clips."""

from __future__ import annotations

import numpy as np

from c3d_viz.finding.measure import sharing


def test_units_are_classified_by_what_they_share() -> None:
    g = np.random.default_rng(0)
    move, look, more_move, more_look, dust = g.normal(size=(5, 60))
    base = np.stack([move, look, move + look, dust, np.zeros(60)], 1)
    same_move = np.stack([move, more_look, move + more_look, g.normal(size=60), np.zeros(60)], 1)
    same_look = np.stack([more_move, look, more_move + look, g.normal(size=60), np.zeros(60)], 1)
    for unit, kind in enumerate(("dynamic", "static", None, "none", "none")):
        got = sharing.classify(*(v[:, [unit]] for v in (base, same_move, same_look)))
        assert sum(got[k] for k in sharing.KINDS) == 1
        if kind is not None:
            assert got[kind] == 1
            assert got["unrelated"] == 0
    joint = np.stack([3 * move + look], 1)
    both_parts = sharing.classify(joint, joint + 0.1, joint * 2)
    assert both_parts["joint"] == 1


def test_paired_clips_share_one_factor_exactly() -> None:
    clips = sharing.paired_clips(3, 0, size=56)
    assert set(clips) == set(sharing.ROLES)
    for stack in clips.values():
        assert stack.shape == (3, 16, 56, 56, 3)
        assert stack.dtype == np.uint8
    assert np.abs(clips["base"].astype(int) - clips["dynamics"]).mean() > 5
    assert np.abs(clips["base"].astype(int) - clips["appearance"]).mean() > 1
    again = sharing.paired_clips(3, 0, size=56)
    np.testing.assert_array_equal(again["dynamics"], clips["dynamics"])
