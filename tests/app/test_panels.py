"""What the pages hand to their players: the chosen map, and maps on the scale they state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pages_drawn import drawn, window_of_bikes

import c3d_viz as viz
from app import components, drawing, patches, work
from c3d_viz import render


@pytest.fixture
def sprites(monkeypatch: pytest.MonkeyPatch) -> list[tuple[viz.Attribution, float | None]]:
    """Every map that is drawn from now on, and the upper end of its colours."""
    found: list[tuple[viz.Attribution, float | None]] = []
    original = drawing.overlay

    def overlay(win: Any, att: Any, look: str, upper: float | None = None) -> Any:
        found.append((att, upper))
        return original(win, att, look, upper)

    monkeypatch.setattr(drawing, "overlay", overlay)
    work.CACHE.clear()
    return found


@pytest.mark.parametrize("page", ["clip", "layers"])
def test_the_large_player_shows_the_chosen_map(
    page: str, sprites: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    players: dict[str, Any] = {}
    monkeypatch.setattr(
        components, "player", lambda key, panels, **_: players.update({key: panels})
    )
    drawn(page, layer="conv4b", map="5", method="guided", look="signed")
    (panel,) = players["answer"]
    att, upper = sprites[0]  # it is drawn before anything else
    assert (att.unit.layer, att.unit.channel, att.method, upper) == ("conv4b", 5, "guided", None)
    net = work.network("compact")
    win = window_of_bikes(net)
    assert panel["src"] == drawing.overlay_sprite(win, att, "signed", 336)
    sprites.clear()
    drawn(page, layer="conv3b", map="5")
    near, back, whole, places = players["answer"]
    patch = patches.patch_of(net, win, work.spot(net, win, "conv3b", 5, None))
    assert patch is not None
    att = sprites[0][0]
    assert (near["src"], back["src"]) == patches.panels(net, win, att, patch, 240)
    assert whole["src"] == drawing.overlay_sprite(win, att, "magnitude", 240)
    assert (whole["box"], whole["frames"]) == (patch.box, list(patch.frames))
    assert places["src"] == patches.mosaic(net, win, "conv3b", 5, 240)


def test_two_methods_are_compared_on_the_scale_of_the_stronger(sprites: list[Any]) -> None:
    drawn("compare", layer="conv3b", versus="method:gradient")
    assert {att.method for att, _ in sprites} == {"deconvnet", "gradient"}
    ends = [float(render.scale_of(render.magnitude(att)).max()) for att, _ in sprites]
    assert {upper for _, upper in sprites} == {max(ends)}
    assert max(ends) > min(ends)


def test_two_networks_are_compared_at_the_very_same_cell(sprites: list[Any]) -> None:
    """Only the weights differ; and one scale is for maps that can both be seen on it."""
    drawn("compare", layer="conv3b", versus="net:untrained")
    left, right = (att for att, _ in sprites)
    assert left.unit == right.unit
    assert not np.array_equal(left.values, right.values)
    ends = [float(render.scale_of(render.magnitude(att)).max()) for att, _ in sprites]
    assert {upper for _, upper in sprites} == {max(ends)}
    sprites.clear()
    drawn("compare", layer="conv3b", versus="layer:conv5b")
    ends = [float(render.scale_of(render.magnitude(att)).max()) for att, _ in sprites]
    assert max(ends) > drawing.COMPARABLE * min(ends)
    assert {upper for _, upper in sprites} == {None}


def test_methods_side_by_side_share_one_scale(sprites: list[Any]) -> None:
    drawn("layers", layer="conv3b")
    together = [(att, upper) for att, upper in sprites if upper is not None]
    assert {att.method for att, _ in together} == {"deconvnet", "guided", "gradient"}
    ends = [float(render.scale_of(render.magnitude(att)).max()) for att, _ in together]
    assert {upper for _, upper in together} == {max(ends)}
