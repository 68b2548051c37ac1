"""Where pages, start options and lines beside a map are added."""

from __future__ import annotations

import pytest
from test_pages import of, settled

from app import chooser, pages
from app.views import lines
from c3d_viz.cli import STARTED


def test_a_page_is_there_when_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(pages.there())
    monkeypatch.setitem(STARTED, "extra", "C3D_VIZ_EXTRA")
    extra = pages.Page("Extra", "star", lambda: pages.started("extra") is not None)
    monkeypatch.setitem(chooser.PAGES, "extra", extra)
    assert list(pages.there()) == before
    monkeypatch.setenv("C3D_VIZ_EXTRA", "/somewhere")
    assert list(pages.there()) == [*before, "extra"]
    assert pages.started("extra") == "/somewhere"


def test_a_line_stands_beside_the_map(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def line(shown: object, unit: object, method: str) -> str:
        told.append((shown, unit, method))
        return "A <line> of mine."

    monkeypatch.setattr(lines, "LINES", (line, lambda *_: ""))
    test = settled(of("clip", clip="shapes", layer="conv5b"))
    bodies = [each.proto.body for each in test.get("html")]
    assert '<p class="fact">A &lt;line&gt; of mine.</p>' in bodies
    assert told[0][1].layer == "conv5b"
    assert told[0][2] == "deconvnet"
