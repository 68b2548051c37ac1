"""C, P and K by hand."""

from __future__ import annotations

import numpy as np
import pytest
from planted import mirrored

from c3d_viz.finding.measure.contrasts import (
    contrast,
    paired_positional,
    perturbation_delta,
    positional,
)
from c3d_viz.finding.types import DECIDING


def test_contrast_by_hand() -> None:
    delta = np.full(16, np.nan)
    delta[1:8], delta[8:15] = 0.1, 0.4
    assert contrast(delta) == pytest.approx(0.3)
    delta[1:4] = np.nan
    assert contrast(delta) == pytest.approx(0.3)  # four values left
    delta[4] = np.nan
    assert np.isnan(contrast(delta))
    delta[[0, 15]] = 9.0  # border frames never count
    assert np.isnan(contrast(delta))


def test_a_clip_that_mirrors_has_content_and_no_position() -> None:
    p, k = positional(mirrored(0.3, 0.2))["gradient"]
    assert p == pytest.approx(0.0)
    assert k == pytest.approx(0.5)


def test_pairing_frames_gives_the_same_p_and_bears_a_blind_half() -> None:
    g = np.random.default_rng(0)
    arrays = {"M": g.normal(size=(2, 2, 3, 16)), "A": g.normal(size=(2, 2, 3, 16))}
    for method in DECIDING:
        assert paired_positional(arrays)[method] == pytest.approx(positional(arrays)[method][0])
    # a unit that sees the first half, and on the reversed clip the second, mirrored: no position
    blind = mirrored(0.3, 0.2)
    blind["M"][0, ..., 8:] = np.nan
    blind["M"][1, ..., :8] = np.nan
    assert np.isnan(positional(blind)["guided"][0])
    assert paired_positional(blind)["guided"] == pytest.approx(0.0)
    blind["M"][0] += 0.4  # more motion on the clip than on its mirror image: position
    assert paired_positional(blind)["guided"] == pytest.approx(-0.2)
    blind["M"][:] = np.nan
    assert np.isnan(paired_positional(blind)["guided"])


def test_perturbation_delta_by_hand() -> None:
    motion, texture = np.full(16, np.nan), np.full(16, np.nan)
    motion[1:15], texture[1:15] = 0.0, 0.02
    motion[8:15] = 0.4  # shape: 0 then 2; texture's shape: 1 throughout
    delta = perturbation_delta(motion, texture)
    assert delta[1:8] == pytest.approx(-1)
    assert delta[8:15] == pytest.approx(1)
    assert np.isnan(perturbation_delta(np.where(np.isnan(motion), np.nan, 0.0), texture)).all()
