"""Where pages, start options and lines beside a map are added."""

from __future__ import annotations

from importlib import import_module

import pytest
from test_pages import of, settled

from app import atlas, pages
from c3d_viz.cli import STARTED


def test_every_page_is_a_module_of_its_name() -> None:
    for name in pages.PAGES:
        assert callable(import_module(f"app.views.{name}").page)


@pytest.mark.parametrize("name", list(STARTED))
def test_what_the_server_is_started_with_reaches_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(STARTED[name], raising=False)
    assert pages.started(name) is None
    monkeypatch.setenv(STARTED[name], "/somewhere")
    assert pages.started(name) == "/somewhere"


def test_a_line_stands_beside_the_map(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr(atlas, "said", lambda net, unit: told.append(unit) or "a <line> of mine")
    test = settled(of("clip", clip="shapes", layer="conv5b"))
    (unit,) = set(told)
    body = f'<p class="fact">Answers {unit.activation:.3g}: a &lt;line&gt; of mine.</p>'
    assert body in [each.proto.body for each in test.get("html")]
    assert unit.layer == "conv5b"
