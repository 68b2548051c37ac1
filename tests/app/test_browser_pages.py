"""Every other page in a real Chromium, wide and narrow, light and dark."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import PAGES, SHOTS, no_error, not_blank, picture, query, settle, stored_verdict

from app import pages

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CONTRAST = Path(__file__).with_name("contrast.js").read_text()
CUT = """all => all.filter(note => note.scrollWidth > note.clientWidth
  || note.scrollHeight > note.clientHeight + 1).map(note => note.textContent)"""
COLUMNS = "strip => getComputedStyle(strip).gridTemplateColumns.split(' ').length"
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "resultTypes": ["violations", "incomplete"],
}


def curve(page: Any, share: float) -> None:
    """A click on the curves moves the player to that frame, and stops it."""
    plot = page.locator(".st-key-curves svg .background").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.click(box["x"] + 8 + share * (box["width"] - 16), box["y"] + box["height"] / 2)
    page.get_by_role("button", name="Play").first.wait_for()
    assert f"{round(15 * share) + 1}/16" in page.locator("output").first.inner_text()


def test_compare_and_motion_have_pictures(open_page: Any) -> None:
    page = open_page("/compare")
    page.locator(".panels .film").nth(1).wait_for()
    settle(page)
    assert page.locator(".panels .film").count() == 2
    for n in range(2):
        not_blank(picture(page, page.locator(".panels .film").nth(n)))
    curve(page, 0.2)
    page = open_page("/motion")
    page.locator(".panels .film").nth(2).wait_for()
    settle(page)
    assert page.locator(".panels .film").count() == 3
    assert page.get_by_test_id("stVegaLiteChart").count() == 5
    curve(page, 0.8)
    page.get_by_role("button", name="Try other networks").click()
    page.get_by_text("re-initialised (3 networks)").wait_for(timeout=400_000)
    assert stored_verdict() in page.get_by_test_id("stAlert").inner_text()
    no_error(page)


def test_a_window_of_the_atlas_opens_as_the_clip(open_page: Any) -> None:
    page = open_page("/atlas?clip=shapes&layer=conv2a&map=4")
    window = page.get_by_role("radiogroup", name="Window that conv2a map 4").get_by_role("radio")
    window.first.wait_for()
    not_blank(picture(page, window.first))
    window.first.click()
    page.get_by_role("heading", name="What does a video network see?").wait_for()
    settle(page)
    assert "map=4" in query(page)
    assert "clip=shapes" not in query(page)
    no_error(page)


def test_long_work_can_be_stopped(open_page: Any) -> None:
    page = open_page("/export")
    settle(page)
    for layer in ("conv1a", "conv2a", "conv3a", "conv3b"):
        page.get_by_role("button", name=layer, exact=True).click()
        settle(page)
    page.get_by_role("button", name="Make the export").click()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_text("Stopped.").wait_for(timeout=300_000)
    assert page.get_by_role("button", name="Download the zip").count() == 0


def accessible(page: Any, within: str | None = None) -> None:
    """WCAG 2.2 A and AA, as far as axe-core can tell, and the contrast of what it cannot."""
    found = Axe().run(page, context=within, options=RULES).response
    wrong = found["violations"] + [
        one for one in found["incomplete"] if one["id"] != "color-contrast"
    ]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in wrong] == []
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_wide_and_narrow_light_and_dark(open_page: Any, width: int, theme: str) -> None:
    page = open_page("/", width=width, theme=theme, motion="reduce")
    SHOTS.mkdir(exist_ok=True)
    for name, address in PAGES.items():
        page.set_viewport_size({"width": width, "height": 860})
        page.get_by_role("link", name=pages.PAGES[name].title, exact=True).first.click()
        page.wait_for_function(f"location.pathname === {address!r}")
        settle(page)
        no_error(page)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{name} scrolls sideways"
        height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        page.set_viewport_size({"width": width, "height": height + 20})
        page.wait_for_timeout(300)
        page.screenshot(path=SHOTS / f"{name}-{width}-{theme}.png")
        pictures = page.locator("[role=img], img")
        named = pictures.evaluate_all(
            "all => all.map(x => x.getAttribute('aria-label') ?? x.getAttribute('alt'))"
        )
        assert all(text is not None for text in named)
        notes = page.locator(".tile b:not(:last-child), .tile .note").evaluate_all(CUT)
        assert notes == [], f"{name} cuts words off"
        accessible(page)
        if name == "motion":  # also where the screen is another one meanwhile
            for wide, count in ((1280, 16), (390, 8)):
                page.set_viewport_size({"width": wide, "height": 860})
                assert page.locator(".strip").first.evaluate(COLUMNS) == count
    if width > 390:
        return
    page.get_by_role("button", name=re.compile("Network:")).click()  # what opens on the pages
    page.get_by_role("radio", name="2D twin").wait_for()
    accessible(page, "[data-testid=stPopoverBody]")
