"""Pictures: the right colour at the right pixel, one scale, and nothing lost on the page."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest

from c3d_viz import render
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
    time_note,
)
from c3d_viz.render.canvas import PAPER, Canvas, colour_table, fitted, text_width, wrapped
from c3d_viz.render.contact import CloseUp, close_up

T, H, W = 16, 112, 112


def gray_frames(value: int = 100) -> np.ndarray:
    return np.full((T, H, W, 3), value, dtype=np.uint8)


def noise_map(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, T, H, W)).astype(np.float32)


def attribution(values: np.ndarray, channel: int = 12, activation: float = 4.25) -> SimpleNamespace:
    unit = SimpleNamespace(layer="conv5b", channel=channel, at=(1, 3, 4))
    return SimpleNamespace(values=values, unit=unit, method="deconvnet", activation=activation)


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
    with pytest.raises(ShapeError, match="rows must be some of input, raw, overlay"):
        filmstrip(frames, values, rows=("film",))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="3 frame numbers given for 16 frames"):
        filmstrip(frames, values, numbers=[1, 2, 3])
    with pytest.raises(ShapeError, match="at least one attribution"):
        contact_sheet(frames, [])
    with pytest.raises(ShapeError, match=r"channels must be 0..3, got \[4\]"):
        activation_sheet(np.ones((4, 2, 7, 7)), channels=[4])


# --- colour maps ----------------------------------------------------------------------------


def lightness(table: np.ndarray) -> np.ndarray:
    """CIE L* of sRGB colours (n, 3) uint8."""
    linear = table / 255.0
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    y = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(y > 0.008856, 116 * np.cbrt(y) - 16, 903.3 * y)


def test_sequential_map_is_evenly_perceived() -> None:
    steps = np.diff(lightness(colour_table("inferno")))
    assert steps.min() > -0.1
    assert steps.std() < 0.2


def test_diverging_map_is_balanced_and_safe_for_colour_blind_people() -> None:
    table = colour_table("blue-orange")
    light = lightness(table)
    assert np.abs(light - light[::-1]).max() < 8  # both signs equally light
    assert np.all(np.diff(light[128:]) > 0)
    assert np.all(np.diff(light[:128]) < 0)
    assert light[127:129].max() < 8
    # Machado et al. 2009, full deuteranopia and protanopia, on linear light approximated by RGB
    for matrix in (
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    ):
        seen = np.clip(table @ np.array(matrix).T, 0, 255)
        apart = np.abs(seen - seen[::-1]).max(axis=1)
        assert apart[np.abs(np.linspace(-1, 1, 256)) > 0.25].min() > 40


# --- pages ----------------------------------------------------------------------------------


def tiles(page: np.ndarray, tile: np.ndarray) -> list[tuple[int, int]]:
    """Top left corners (y, x) of exact copies of ``tile`` in a page."""
    height, width = tile.shape[:2]
    first = (page == tile[0, 0]).all(axis=-1)
    found = []
    for y, x in np.argwhere(first[: page.shape[0] - height + 1, : page.shape[1] - width + 1]):
        if np.array_equal(page[y : y + height, x : x + width], tile):
            found.append((int(y), int(x)))
    return found


def test_filmstrip_holds_every_frame_in_order_at_its_place() -> None:
    frames = np.random.default_rng(2).integers(0, 256, (T, H, W, 3), dtype=np.uint8)
    values = noise_map()
    page = filmstrip(frames, values, rows=("input", "raw", "overlay"), tile=112, title="x")
    rows = {"input": frames, "raw": raw_frames(values), "overlay": overlay(frames, values)}
    places = {
        name: [tiles(page, picture) for picture in pictures] for name, pictures in rows.items()
    }
    assert all(len(place) == 1 for found in places.values() for place in found)
    for name, found in places.items():
        corner = [place[0] for place in found]
        assert corner == sorted(corner), name  # 8 to a line, lines downwards
        assert len({x for _, x in corner}) == 8
        assert len({y for y, _ in corner}) == 2
    for i in range(T):  # one below the other, in the order asked for
        (y0, x0), (y1, x1), (y2, x2) = (places[n][i][0] for n in ("input", "raw", "overlay"))
        assert x0 == x1 == x2
        assert y0 < y1 < y2


def margins_are_clear(page: np.ndarray, width: int = 12) -> bool:
    edges = (page[:width], page[-width:], page[:, :width], page[:, -width:])
    return all(bool((edge == np.array(PAPER)).all()) for edge in edges)


def test_nothing_runs_off_a_page() -> None:
    frames, values = gray_frames(), noise_map()
    long = "a long line about the weights that were used " * 8
    word = "w" * 400
    atts = [attribution(values, channel=i) for i in range(3)]
    for page in (
        filmstrip(frames, values, title=long, subtitle=word, notes=[long, word]),
        filmstrip(frames, values, scale="frame", rows=("input", "overlay"), columns=3, tile=80),
        filmstrip(frames, values, columns=1, title=long, mode="signed"),
        filmstrip(frames, values * 1e-30, rows=("raw", "overlay"), numbers=range(10**6, 10**6 + T)),
        contact_sheet(frames, atts, title=long, subtitle=word, labels=[long, word, "a\nb\nc"]),
        contact_sheet(frames, atts, kind="raw", at=[0, 15]),
        activation_sheet(np.abs(values).transpose(0, 1, 2, 3), title=word, subtitle=long),
        activation_sheet(np.ones((20, 2, 7, 7)), top=20),
        activation_sheet(np.zeros((2, 1, 3, 5))),
    ):
        assert page.dtype == np.uint8
        assert margins_are_clear(page)


def test_page_width_suits_a_screen() -> None:
    frames, values = gray_frames(), noise_map()
    assert 1400 <= filmstrip(frames, values).shape[1] <= 1800
    assert 1400 <= filmstrip(frames, values, rows=("input", "raw", "overlay")).shape[1] <= 1800
    assert 1400 <= contact_sheet(frames, [attribution(values)]).shape[1] <= 1800


def test_pages_are_the_same_every_time() -> None:
    frames, att = gray_frames(), attribution(noise_map())
    assert np.array_equal(filmstrip(frames, att), filmstrip(frames, att))


def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every line of text that pages draw from now on."""
    lines: list[str] = []
    original = Canvas.text

    def spy(self: Canvas, x: int, y: int, text: str, *args: object, **kwargs: object) -> None:
        lines.append(text)
        original(self, x, y, text, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Canvas, "text", spy)
    return lines


def test_pages_say_what_they_show(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = written(monkeypatch)
    frames, values = gray_frames(), np.zeros((3, T, H, W), dtype=np.float32)
    values[0, 3, 4, 5] = 0.125
    filmstrip(
        frames,
        attribution(values),
        subtitle="random weights (seed 0)",
        numbers=range(40, 56),
        notes=[time_note("conv5b", 2)],
    )
    text = " ".join(lines)
    assert "conv5b · channel 12 · deconvnet" in text
    assert "random weights (seed 0)" in text
    assert [f"frame {n}" for n in range(40, 56)] == [ln for ln in lines if ln.startswith("frame ")]
    assert "one scale for the whole clip" in text
    assert "99.5th percentile" in text
    assert {"0", "0.0625", "0.125"} <= set(lines)
    assert "conv5b has 2 time positions over 16 frames" in text
    lines.clear()
    filmstrip(frames, values, scale="frame")
    text = " ".join(lines)
    assert "EACH FRAME BY ITSELF" in text
    assert "one scale" not in text
    assert lines.count("all zero") == 15
    assert "up to 0.125" in lines
    lines.clear()
    filmstrip(frames, values * 0)
    assert "zero everywhere" in " ".join(lines)
    lines.clear()
    filmstrip(frames, values, mode="signed", rows=("raw",))
    assert {"-0.125", "0", "0.125"} <= set(lines)
    assert "mid-grey is 0, full colour is ±0.125" in " ".join(lines)


def test_contact_sheet_says_whose_maps_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = written(monkeypatch)
    values = noise_map()
    zero = attribution(values * 0, channel=7, activation=0.0)
    contact_sheet(gray_frames(), [attribution(values), zero], numbers=range(100, 116))
    assert "channel 12" in lines
    assert "activation 4.25" in lines
    assert "at (t, h, w) = 1, 3, 4" in lines
    assert "all zero" in lines
    assert [n for n in lines if n.startswith("frame ")] == [
        f"frame {100 + i}" for i in (0, 3, 6, 9, 12, 15)
    ]
    assert "each map has its own scale" in " ".join(lines)


def test_small_maps_are_shown_close_up(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.zeros((3, T, H, W), dtype=np.float32)
    values[:, 4:9, 50:58, 0:8] = 0.5  # what a unit of conv2a sees, at the left border
    values[:, 6, 50:58, 0:8] = 1.0
    place = close_up(magnitude(values))
    assert place == CloseUp(frame=6, top=46, left=0, size=16)
    assert close_up(magnitude(noise_map())) is None  # conv5b sees everything
    assert close_up(np.zeros((T, H, W), dtype=np.float32)) is None
    frames = np.random.default_rng(3).integers(0, 256, (T, H, W, 3), dtype=np.uint8)
    lines = written(monkeypatch)
    page = contact_sheet(frames, [attribution(values)], numbers=range(40, 56), tile=160)
    patch = frames[6, 46:62, 0:16].repeat(10, axis=0).repeat(10, axis=1)
    assert len(tiles(page, patch)) == 1
    assert "close up: frame 46" in lines
    lines.clear()
    contact_sheet(frames, [attribution(noise_map())])
    assert not any("close up" in line for line in lines)


def test_activation_sheet_shows_positions_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = written(monkeypatch)
    activation = np.zeros((5, 2, 7, 7), dtype=np.float32)
    activation[3, 1, 2, 4] = 8.0
    activation[1, 0, 6, 0] = 4.0
    page = activation_sheet(activation, top=2)
    assert [n for n in lines if n.startswith("channel")] == ["channel 3: max 8", "channel 1: max 4"]
    text = " ".join(lines)
    assert "Native resolution 2 x 7 x 7" in text
    assert "nothing interpolated" in text
    assert "2 time positions over 16 frames" in text
    table = colour_table("inferno")
    square = np.tile(table[255], (16, 16, 1))  # one position is 16 x 16 pixels, hard-edged
    hits = tiles(page, square)
    assert len(hits) >= 1
    y, x = hits[0]
    left, above = page[y, x - 1], page[y - 1, x]
    assert left.tolist() == above.tolist() == table[0].tolist()
    half = np.tile(table[128], (16, 16, 1))
    assert len(tiles(page, half)) >= 1


def test_text_fits() -> None:
    assert text_width("frame 12", 17) < text_width("frame 123", 17)
    assert fitted("short", 500, 17) == "short"
    cut = fitted("a-very-long-name-of-a-file.mp4", 120, 17)
    assert "…" in cut
    assert cut.startswith("a-")
    assert cut.endswith("p4")
    assert text_width(cut, 17) <= 120
    assert wrapped("one two three", 80, 17) == ["one two", "three"]


def test_time_note() -> None:
    assert time_note("conv4b", 4).startswith("conv4b has 4 time positions over 16 frames; ")
    assert time_note("fc6", 1).startswith("fc6 has 1 time position over 16 frames; ")


def test_public_names() -> None:
    assert all(hasattr(render, name) for name in render.__all__)
