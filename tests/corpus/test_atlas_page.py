"""The page of an atlas in a browser: films come and go with the view, maps unfold and sort."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from atlases import SMALL
from video_files import GOP, colour_noise

from c3d_viz.corpus import Atlas, write_atlas

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("atlas")
    videos = [
        make_video(folder / f"{n} <b>&.mp4", colour_noise(24, 32, 48, n), options=GOP)
        for n in range(4)
    ]
    write_atlas(videos, folder / "atlas", SMALL.__class__(SMALL.network, SMALL.layers, top=4))
    return folder / "atlas"


@pytest.mark.parametrize(("width", "scheme"), [(1300, "light"), (390, "dark")])
def test_the_page(browser: Any, atlas: Path, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(f"file://{atlas}/index.html")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.wait_for_function("document.querySelector('video[src]')?.currentTime > 0")
    loaded = page.evaluate("document.querySelectorAll('video[src]').length")
    films = len(list(atlas.rglob("*.mp4")))
    assert 0 < loaded <= films
    card = page.locator("article").first
    windows = card.locator(".windows")
    low = windows.bounding_box()["height"]
    card.locator(".more").click()
    assert windows.bounding_box()["height"] == pytest.approx(low * 4 / 3, rel=0.02)
    rows = card.locator("li")
    assert rows.count() == 4
    assert "<b>&.mp4" in rows.first.inner_text()
    video = card.locator("video").bounding_box()
    for number in range(4):  # each caption stands beside its row
        middle = rows.nth(number).bounding_box()
        middle = middle["y"] + middle["height"] / 2 - video["y"]
        assert number < 4 * middle / video["height"] < number + 1
    opened = Atlas.open(atlas)
    for order, wanted in (
        ("channel", [c for c in range(6) if opened.top("relu1a", c)]),
        ("place", [c for c in opened.order("relu1a") if opened.top("relu1a", c)]),
    ):
        page.select_option("#order", order)
        shown = page.evaluate(
            "[...document.querySelector('.maps').children].map(a => Number(a.dataset.channel))"
        )
        assert shown == wanted
    page.click("#play")
    page.wait_for_function("[...document.querySelectorAll('video')].every(v => v.paused)")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_function("document.querySelectorAll('video[src]').length > 0")
    assert wrong == []
    page.close()
