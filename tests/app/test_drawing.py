"""The pictures of the pages: one scale where one is said, and sprites frame by frame."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from asked import source
from PIL import Image

import c3d_viz as viz
from app import drawing, windows, work
from c3d_viz import render


def frames_of(address: str) -> np.ndarray:
    """The 16 frames of a sprite's data address, which must be that of a JPEG."""
    head, _, data = address.partition(",")
    assert head == "data:image/jpeg;base64"
    whole = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
    return np.stack(np.split(whole, 16, axis=1))


@pytest.fixture(scope="module")
def pair(net: work.Net, videos: list[Path]) -> tuple[work.Window, list[viz.Attribution]]:
    """A window, and maps of two layers, whose numbers differ in size."""
    win = windows.window(source(videos[2], "drawn"), net, 0, 1)
    spots = [work.spot(net, win, layer, None, None) for layer in ("conv3b", "conv5b")]
    return win, [work.back_projection(net, win, spot, "deconvnet") for spot in spots]


def top(att: viz.Attribution, look: str) -> float:
    plane = render.magnitude(att) if look == "magnitude" else render.signed(att)
    return float(render.scale_of(plane).max())


@pytest.mark.parametrize("look", ["magnitude", "signed"])
def test_a_scale_for_two_maps_ends_at_the_larger(
    pair: tuple[work.Window, list[viz.Attribution]], look: str
) -> None:
    _, maps = pair
    ends = [top(att, look) for att in maps]
    assert max(ends) > 1.5 * min(ends)
    assert drawing.bound(maps, look) == drawing.bound(maps[::-1], look) == max(ends)


def test_on_one_scale_equal_colours_are_equal_numbers(
    pair: tuple[work.Window, list[viz.Attribution]],
) -> None:
    """Asked for after the map's own scale, and before it: neither picture is taken for another."""
    win, maps = pair
    weak = min(maps, key=lambda att: top(att, "magnitude"))
    own = drawing.overlay(win, weak, "magnitude")
    shared = drawing.overlay(win, weak, "magnitude", drawing.bound(maps, "magnitude"))
    again = drawing.overlay(win, weak, "magnitude")
    assert np.array_equal(own, again)
    assert not np.array_equal(own, shared)
    dark = drawing.overlay(win, weak, "magnitude", 1e9)  # nothing lights up on a scale so long
    lit = [np.abs(picture.astype(int) - dark).mean() for picture in (own, shared)]
    assert lit[0] > lit[1] > 0


@pytest.mark.parametrize("look", ["magnitude", "signed"])
def test_while_the_window_is_dragged_the_same_is_drawn_small(
    pair: tuple[work.Window, list[viz.Attribution]], look: str
) -> None:
    win, maps = pair
    small = frames_of(drawing.small_overlay(win, maps[0], look)).astype(int)
    assert small.shape == (16, drawing.SMALL, drawing.SMALL, 3)
    large = frames_of(drawing.overlay_sprite(win, maps[0], look, drawing.SMALL)).astype(int)
    apart = np.abs(small[:, None] - large[None]).mean((2, 3, 4))
    assert apart.argmin(1).tolist() == list(range(16))
    assert apart.diagonal().max() < 10


@pytest.mark.parametrize("look", ["magnitude", "signed"])
def test_the_pages_sprite_is_the_overlay_frame_by_frame(
    pair: tuple[work.Window, list[viz.Attribution]], look: str
) -> None:
    win, maps = pair
    overlay = drawing.overlay(win, maps[0], look)
    frames = frames_of(drawing.overlay_sprite(win, maps[0], look, overlay.shape[1]))
    assert frames.shape == overlay.shape
    apart = np.abs(frames.astype(int)[:, None] - overlay.astype(int)[None]).mean((2, 3, 4))
    assert apart.argmin(1).tolist() == list(range(16))  # each frame is nearest to its own
    assert apart.diagonal().max() < 6
