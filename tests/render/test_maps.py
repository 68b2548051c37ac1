"""Maps: the right colour at the right pixel, and one scale."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from pictures import H, T, W, attribution, gray_frames, noise_map

from c3d_viz.errors import ShapeError
from c3d_viz.render import (
    activation_sheet,
    contact_sheet,
    filmstrip,
    magnitude,
    normalised,
    overlay,
    raw_frames,
    scale_of,
    signed,
)

# --- numbers --------------------------------------------------------------------------------


def test_magnitude_and_signed_by_hand() -> None:
    values = np.zeros((3, 2, 1, 2), dtype=np.float32)
    values[:, 0, 0, 0] = (1, -2, 4)
    values[:, 1, 0, 1] = (-1, -1, 0)
    assert magnitude(values).tolist() == [[[7, 0]], [[0, 2]]]
    assert signed(attribution(values)).tolist() == [[[3, 0]], [[0, -2]]]
    assert magnitude(values[0]).tolist() == np.abs(values[0]).tolist()  # a map without colours


def test_scale_is_a_percentile_of_what_is_not_zero() -> None:
    values = np.zeros((2, 10, 100), dtype=np.float32)
    values[0].flat[:] = -np.arange(1000)
    values[1].flat[:200] = np.arange(1, 201)
    by_frame = scale_of(values, "frame")
    assert by_frame.tolist() == [995, 200]  # of 999 and of 200 values, one that occurs
    assert scale_of(values).tolist() == [994, 994]
    assert scale_of(values, percentile=100).tolist() == [999, 999]
    single = np.zeros((16, 4, 4), dtype=np.float32)
    single[3, 1, 1] = 1e-30
    assert scale_of(single)[0] == np.float32(1e-30)
    assert scale_of(single, "frame").nonzero()[0].tolist() == [3]


def test_normalised_cuts_and_never_divides_by_zero() -> None:
    values = np.array([[[5.0, -20.0]], [[0.0, 3.0]]], dtype=np.float32)
    assert normalised(values, 10).tolist() == [[[0.5, -1]], [[0, np.float32(0.3)]]]
    assert normalised(values, [5, 0]).tolist() == [[[1, -1]], [[0, 0]]]


# --- pixels ---------------------------------------------------------------------------------


def test_overlay_colours_the_pixel_the_map_marks() -> None:
    values = np.zeros((3, T, H, W), dtype=np.float32)
    values[0, 5, 20, 70] = 2.0
    values[1, 5, 20, 71] = -2.0
    frames = gray_frames()
    plain = overlay(frames, np.zeros_like(values))
    got = overlay(frames, attribution(values), alpha=1)
    assert got.shape == (T, H, W, 3)
    assert got.dtype == np.uint8
    changed = np.argwhere((got != plain).any(axis=-1)).tolist()
    assert changed == [[5, 20, 70], [5, 20, 71]]
    top = np.round(np.array(matplotlib.colormaps["inferno"](1.0)[:3]) * 255)
    assert got[5, 20, 70].tolist() == got[5, 20, 71].tolist() == top.tolist()
    both = overlay(frames, values, mode="signed", alpha=1)
    assert both[5, 20, 70].tolist() == [255, 192, 96]  # orange: positive
    assert both[5, 20, 71].tolist() == [130, 208, 255]  # blue: negative


def test_overlay_covers_more_where_the_map_is_stronger() -> None:
    values = np.zeros((T, H, W), dtype=np.float32)
    values[0, 0] = np.linspace(0, 1, W)
    row = overlay(np.full((T, H, W, 3), 0, np.uint8), values)[0, 0].astype(int).sum(axis=-1)
    assert row[0] == 0
    assert np.all(np.diff(row) >= -1)
    assert row[-1] > 400


def test_one_scale_for_the_clip_unless_asked_otherwise() -> None:
    values = np.zeros((3, T, H, W), dtype=np.float32)
    values[0, 2, 10, 10], values[0, 9, 10, 10] = 1.0, 0.01
    frames = gray_frames()
    clip, frame = overlay(frames, values), overlay(frames, values, scale="frame")
    plain = overlay(frames, np.zeros_like(values))
    assert np.array_equal(frame[2], clip[2])
    assert np.array_equal(frame[9, 10, 10], clip[2, 10, 10])  # the weak frame made to look strong
    weak = np.abs(clip[9, 10, 10].astype(int) - plain[9, 10, 10]).max()
    assert weak < 10
    shared = overlay(frames, values, upper=0.01)
    assert np.array_equal(shared[9, 10, 10], clip[2, 10, 10])


def test_raw_frames_are_the_signed_map_around_mid_grey() -> None:
    values = np.zeros((3, T, H, W), dtype=np.float32)
    values[:, 4, 7, 8] = (1.0, -1.0, 0.5)
    got = raw_frames(values)
    assert got.shape == (T, H, W, 3)
    assert got[4, 7, 8].tolist() == [255, 1, 192]
    assert np.all(np.delete(got.reshape(-1, 3), (4 * H + 7) * W + 8, axis=0) == 128)
    assert raw_frames(values, channel_order="BGR")[4, 7, 8].tolist() == [192, 1, 255]
    half = raw_frames(values, upper=2.0)
    assert half[4, 7, 8].tolist() == [192, 64, 160]


def test_an_all_zero_map_is_blank() -> None:
    values = np.zeros((3, T, H, W), dtype=np.float32)
    frames = gray_frames()
    got = overlay(frames, values)
    assert np.all(got == got[0, 0, 0])
    assert np.all(raw_frames(values) == 128)
    page = filmstrip(frames, values)
    assert not np.array_equal(page, filmstrip(frames, values, notes=["note"]))


@pytest.mark.parametrize("mode", ["magnitude", "signed"])
def test_bad_arrays_are_refused(mode: str) -> None:
    values = noise_map()
    frames = gray_frames()
    broken = values.copy()
    broken[1, 2, 3, 4] = np.nan
    with pytest.raises(ShapeError, match="holds NaN or infinite values"):
        overlay(frames, broken, mode=mode)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"frames \(16, 112, 112\) and map \(8, 112, 112\) differ"):
        overlay(frames, values[:, :8], mode=mode)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"uint8 RGB \(T, H, W, 3\), got float64"):
        overlay(frames / 255, values, mode=mode)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"must have shape \(3, T, H, W\), got \(112, 112\)"):
        overlay(frames, values[0, 0], mode=mode)  # type: ignore[arg-type]


def test_unknown_choices_are_refused() -> None:
    frames, values = gray_frames(), noise_map()
    with pytest.raises(ShapeError, match="mode must be 'magnitude' or 'signed', got 'heat'"):
        overlay(frames, values, mode="heat")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="scale must be 'clip' or 'frame', got 'video'"):
        overlay(frames, values, scale="video")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="rows must be a list of 'input' or 'raw' or 'overlay'"):
        filmstrip(frames, values, rows=("film",))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="3 frame numbers given for 16 frames"):
        filmstrip(frames, values, numbers=[1, 2, 3])
    with pytest.raises(ShapeError, match="at least one attribution"):
        contact_sheet(frames, [])
    with pytest.raises(ShapeError, match=r"channels must be 0..3, got \[4\]"):
        activation_sheet(np.ones((4, 2, 7, 7)), channels=[4])
