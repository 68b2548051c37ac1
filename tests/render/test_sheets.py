"""Pages: nothing lost, and they say what they show."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import H, T, W, attribution, gray_frames, noise_map, tiles

from c3d_viz.render import (
    Patch,
    activation_sheet,
    contact_sheet,
    cut,
    filmstrip,
    magnitude,
    overlay,
    raw_frames,
    time_note,
)
from c3d_viz.render.canvas import PAPER, Canvas, colour_table
from c3d_viz.render.contact import CloseUp, close_up


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


def test_filmstrip_enlarges_what_a_unit_sees_in_its_frames_alone() -> None:
    frames = np.random.default_rng(2).integers(0, 256, (T, H, W, 3), dtype=np.uint8)
    values = noise_map()
    patch = Patch((9, 40, 60), (3, 14, 14), (T, H, W))
    page = filmstrip(frames, values, rows=("overlay",), tile=112, patch=patch)
    seen = cut(frames, patch, 112)
    back = cut(raw_frames(values), patch, 112, smooth=False)
    over = overlay(frames, values)
    corners = [tiles(page, over[i]) for i in range(T)]
    assert [len(found) for found in corners] == [0 if i in patch.frames else 1 for i in range(T)]
    top, line = corners[0][0][0], corners[8][0][0]
    assert line - top < 2 * 112  # no further rows where no frame is seen
    for i in range(8, T):
        x = corners[i - 8][0][1]
        below = page[line + 112 + 4 : line + 3 * 120 - 4, x : x + 112]
        if i not in patch.frames:
            assert (below == np.array(PAPER)).all()
            continue
        assert tiles(below, seen[i - 9]) == [(4, 0)]
        assert tiles(below, back[i - 9]) == [(4 + 120, 0)]
        marked = page[line : line + 112, x : x + 112]
        edge = (marked != over[i]).any(axis=2)  # a line around the 14 pixels it sees
        assert (edge[39:55, 59:75].sum(), edge.sum()) == (4 * 15, 4 * 15)


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
    assert "signed sum over R, G, B" in " ".join(lines)
    lines.clear()
    filmstrip(frames, values[:1], rows=("raw", "overlay"))
    text = " ".join(lines)
    assert "|attribution|; one scale" in text
    assert "raw map: attribution, mid-grey is 0, black and white are ±0.125" in text
    assert "R, G, B" not in text


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


def test_time_note() -> None:
    assert time_note("conv4b", 4).startswith("conv4b has 4 time positions over 16 frames; ")
    assert time_note("fc6", 1).startswith("fc6 has 1 time position over 16 frames; ")
