"""What a rule could not change is said on every page that shows the map."""

from __future__ import annotations

import dataclasses
import html
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

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

    def script(page: str) -> None:
        import importlib

        import streamlit as st

        from app import state

        st.session_state["pages"] = {"layers": st.Page(lambda: None, url_path="layers")}
        st.navigation([st.session_state["pages"]["layers"]], position="hidden")
        state.view()
        importlib.import_module(f"app.views.{page}").page()

    test = AppTest.from_function(script, default_timeout=120, args=(page,))
    test.query_params["method"] = "guided"
    test.query_params["layer"] = "conv3a"
    test.run()
    assert not test.exception
    said += [html.unescape(element.proto.body) for element in test.get("html")]
    assert sum(NOTE in line for line in said) == 2
