"""What stands beside a picture is what the picture shows: labels of colours, frames, scales."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from pictures import H, T, W, attribution, gray_frames, noise_map, tiles

from c3d_viz.render import (
    activation_sheet,
    contact_sheet,
    filmstrip,
    magnitude,
    raw_frames,
    scale_of,
    signed,
)
from c3d_viz.render.canvas import Canvas, colour_table

Place = tuple[int, int, str]


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[Place]:
    """(x, y, text) of every line that pages draw from now on."""
    found: list[Place] = []
    original = Canvas.text

    def spy(self: Canvas, x: int, y: int, text: str, *args: Any, **kwargs: Any) -> None:
        found.append((x, y, text))
        original(self, x, y, text, *args, **kwargs)

    monkeypatch.setattr(Canvas, "text", spy)
    return found


def bar_labels(page: np.ndarray, places: list[Place], table: str) -> list[tuple[str, float]]:
    """Each label under the colour bar, and where in the colour map (0-1) the colour above it is."""
    colours = colour_table(table).astype(int)
    row = next(y for y in range(page.shape[0] - 1, 0, -1) if _matches(page[y], colours))
    under = [(x, text) for x, y, text in places if 0 < y - row < 40 and x < page.shape[1] // 2]
    labels = []
    for x, text in sorted(under)[:3]:
        apart = np.abs(colours - page[row, x].astype(int)).sum(1)
        assert apart.min() < 12, text
        labels.append((text, float(apart.argmin()) / 255))
    return labels


def _matches(line: np.ndarray, colours: np.ndarray) -> bool:
    """Whether a row of pixels runs through the colour map from one end to the other."""
    start, stop = 28, 28 + 420
    bar = line[start:stop].astype(int)
    wanted = colours[np.linspace(0, 255, len(bar)).round().astype(int)]
    return len(bar) == 420 and int(np.abs(bar - wanted).max()) < 12


@pytest.mark.parametrize("mode", ["magnitude", "signed"])
def test_labels_of_a_filmstrip_name_the_colours_above_them(mode: Any, places: list[Place]) -> None:
    values = noise_map()
    page = filmstrip(gray_frames(), values, mode=mode)
    plane = magnitude(values) if mode == "magnitude" else signed(values)
    upper = float(scale_of(plane).max())
    low, table = (0.0, "inferno") if mode == "magnitude" else (-upper, "blue-orange")
    labels = bar_labels(page, places, table)
    assert len(labels) == 3
    for text, share in labels:
        assert float(text) == pytest.approx(low + share * (upper - low), abs=0.02 * upper)


def test_labels_of_a_sheet_of_activations_name_the_colours_above_them(places: list[Place]) -> None:
    answers = np.random.default_rng(0).uniform(0, 6, (4, 2, 7, 7)).astype(np.float32)
    answers[2, 0, 0, 0] = 8.0
    labels = bar_labels(activation_sheet(answers), places, "inferno")
    assert [text for text, _ in labels] == ["0", "4", "8"]
    assert [share for _, share in labels] == pytest.approx([0, 0.5, 1], abs=0.01)


@pytest.mark.parametrize(
    ("mode", "table", "words"),
    [("magnitude", "inferno", "0 half upper end"), ("signed", "blue-orange", "- end 0 + end")],
)
def test_labels_of_a_contact_sheet_run_from_low_to_high(
    mode: Any, table: str, words: str, places: list[Place]
) -> None:
    page = contact_sheet(gray_frames(), [attribution(noise_map())], mode=mode)
    labels = bar_labels(page, places, table)
    assert " ".join(text for text, _ in labels) == words
    assert [share for _, share in labels] == pytest.approx([0, 0.5, 1], abs=0.01)


def test_all_channels_of_a_sheet_share_the_scale_of_the_strongest(places: list[Place]) -> None:
    answers = np.zeros((3, 1, 7, 7), dtype=np.float32)
    answers[0, 0, 3, 3], answers[1, 0, 3, 3], answers[2, 0, 3, 3] = 2.0, 8.0, 4.0
    page = activation_sheet(answers)
    table = colour_table("inferno")
    heads = {m[1]: (x, y) for x, y, text in places if (m := re.match(r"channel (\d+)", text))}
    for channel, level in (("0", 0.25), ("1", 1.0), ("2", 0.5)):
        x, y = heads[channel]
        colour = page[y + 28 + 3 * 16 + 8, x + 3 * 16 + 8]
        assert np.abs(colour.astype(int) - table[round(255 * level)]).max() <= 3, channel


def small_map() -> np.ndarray:
    """What a unit of a shallow layer sees: 8 x 8 pixels of a few frames, another in each."""
    values = np.zeros((3, T, H, W), dtype=np.float32)
    rng = np.random.default_rng(5)
    values[:, 4:9, 50:58, 60:68] = rng.normal(size=(3, 5, 8, 8))
    values[:, 7] *= 3  # the strongest
    return values


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_a_close_up_is_of_the_frame_it_names(order: Any, places: list[Place]) -> None:
    """The clip and the raw map, of one frame: the strongest, under its number in the source."""
    values = small_map()
    frames = np.random.default_rng(3).integers(0, 256, (T, H, W, 3), dtype=np.uint8)
    page = contact_sheet(
        frames, [attribution(values)], numbers=range(40, 56), tile=160, channel_order=order
    )
    assert "close up: frame 47" in [text for _, _, text in places]
    raw = raw_frames(values, channel_order=order)
    for pictures in (frames, raw):
        at = [
            t
            for t in range(T)
            if tiles(page, pictures[t, 46:62, 56:72].repeat(10, axis=0).repeat(10, axis=1))
        ]
        assert at == [7]


def test_the_close_ups_stand_beside_the_map_they_are_of(places: list[Place]) -> None:
    first = small_map()
    second = np.roll(first, (2, 20), axis=(1, 3))  # strongest two frames later
    frames = np.random.default_rng(3).integers(0, 256, (T, H, W, 3), dtype=np.uint8)
    page = contact_sheet(frames, [attribution(first), attribution(second)], tile=160)
    named = {text: y for _, y, text in places if text.startswith("close up: ")}
    assert list(named) == ["close up: frame 7", "close up: frame 9"]
    for (top, left), text in (((46, 56), "close up: frame 7"), ((46, 76), "close up: frame 9")):
        frame = int(text.split()[-1])
        patch = frames[frame, top : top + 16, left : left + 16]
        ((y, _),) = tiles(page, patch.repeat(10, axis=0).repeat(10, axis=1))
        assert y < named[text] < y + 160
