"""What a rule could not change is said on every page that shows the map."""

from __future__ import annotations

import dataclasses
import html
from typing import Any

import pytest
from pages_drawn import drawn, window_of_bikes

from app import components, work
from c3d_viz.engine import RuleReport

REPORT = RuleReport(2, ("SiLU",))
(NOTE,) = REPORT.notes("guided")


@pytest.mark.parametrize("page", ["layers", "compare", "motion"])
def test_notes_of_a_map_stand_on_its_page(monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    """Twice each: under the film and among the methods, on both sides, with both maps."""
    said: list[str] = []
    original, player = work.back_projection, components.player

    def noted(net: Any, win: Any, unit: Any, method: str) -> Any:
        att = original(net, win, unit, method)
        return dataclasses.replace(att, report=REPORT) if method == "guided" else att

    def listening(key: str, panels: list[dict[str, Any]], *rest: Any, **more: Any) -> Any:
        said.extend(panel.get("note", "") for panel in panels)
        return player(key, panels, *rest, **more)

    monkeypatch.setattr(work, "back_projection", noted)
    monkeypatch.setattr(components, "player", listening)

    test = drawn(page, method="guided", layer="conv3a")
    said += [html.unescape(element.proto.body) for element in test.get("html")]
    assert sum(NOTE in line for line in said) == 2


def test_a_silent_cell_is_called_so(net: work.Net) -> None:
    """What deconvolution draws of it is no answer; and the atlas, which knows windows' strongest
    cells, is asked for those alone."""
    win = window_of_bikes(net)
    spots = [work.spot(net, win, "conv5b", 57, (t, y, 6)) for t in range(2) for y in range(7)]
    at = next(spot.at for spot in spots if spot.activation == 0)

    def said(**query: str) -> str:
        test = drawn("clip", layer="conv5b", map="57", **query)
        return "\n".join(html.unescape(element.proto.body) for element in test.get("html"))

    strongest, silent = said(), said(at="-".join(map(str, at)))
    assert "does not answer here, above" in silent
    assert "This cell is silent" in silent
    assert "windows in the atlas" not in silent
    assert "silent" not in strongest
    assert "windows in the atlas" in strongest


def test_layers_cannot_be_chosen_where_one_map_is() -> None:
    test = drawn("export")
    pills = {group.key: group for group in test.get("button_group")}
    assert not pills["export-layers"].disabled
    test.radio(key="export-which").set_value("one").run()
    pills = {group.key: group for group in test.get("button_group")}
    assert pills["export-layers"].disabled
    assert not pills["export-methods"].disabled
