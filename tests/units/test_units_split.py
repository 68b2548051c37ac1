"""A film of one moved picture is explained by it; a film of other pictures is not."""

from __future__ import annotations

import numpy as np
import pytest

from c3d_viz.synthetic import drifting_texture
from c3d_viz.units.preferred import split

SIZE = {"frames": 8, "height": 48, "width": 48}


def test_a_drifting_texture_is_one_picture_and_its_drift() -> None:
    film = drifting_texture(0, 1.5, **SIZE)
    found = split(film)
    assert found.explained > 0.9
    assert found.by_still < 0.6
    inside = found.flow[:, 12:-12, 12:-12]
    # frame t shows the picture where it was: 1.5 pixels a frame to the right, from the middle frame
    steps = np.median(np.diff(inside, axis=0), axis=(1, 2))
    assert np.median(steps[:, 0]) == pytest.approx(-1.5, abs=0.25)
    assert np.abs(np.median(steps[:, 1])) < 0.25
    assert np.abs(np.median(inside[4], axis=(0, 1))).max() < 0.5


def test_up_is_down_in_the_flow() -> None:
    found = split(drifting_texture(90, 1.5, **SIZE))
    steps = np.median(np.diff(found.flow[:, 12:-12, 12:-12], axis=0), axis=(1, 2))
    assert np.median(steps[:, 1]) == pytest.approx(1.5, abs=0.25)


def test_a_still_film_needs_no_flow() -> None:
    film = drifting_texture(0, 0, **SIZE)
    found = split(film, steps=30)
    assert found.by_still > 0.95
    assert np.abs(found.flow).max() < 0.7
    assert np.abs(found.picture.astype(int) - film[0]).mean() < 8


def test_frames_of_their_own_are_not_explained() -> None:
    rng = np.random.default_rng(0)
    film = rng.integers(0, 255, (6, 32, 32, 3), dtype=np.uint8)
    assert split(film, steps=30).explained < 0.5


def test_the_flow_alone_has_the_spectrum_and_no_picture() -> None:
    film = drifting_texture(0, 1.5, **SIZE)
    found = split(film, steps=30)
    other = found.flow_alone[4].astype(float)
    picture = found.picture.astype(float)
    likeness = np.corrcoef(other[..., 0].ravel(), picture[..., 0].ravel())[0, 1]
    assert abs(likeness) < 0.5
    assert other.std() == pytest.approx(picture.std(), rel=0.3)
    again = split(film, steps=30)
    assert (again.flow_alone == found.flow_alone).all()
    assert (split(film, steps=30, seed=1).flow_alone != found.flow_alone).any()
