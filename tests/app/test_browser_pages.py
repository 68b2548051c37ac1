"""Every other page in a real Chromium, wide and narrow, light and dark."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import PAGES, SHOTS, no_error, not_blank, picture, settle, stored_verdict

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_compare_and_motion_have_pictures(open_page: Any) -> None:
    page = open_page("/compare")
    page.locator(".panels .film").nth(1).wait_for()
    settle(page)
    assert page.locator(".panels .film").count() == 2
    for n in range(2):
        not_blank(picture(page, page.locator(".panels .film").nth(n)))
    page = open_page("/motion")
    page.locator(".panels .film").nth(2).wait_for()
    settle(page)
    assert page.locator(".panels .film").count() == 3
    assert page.get_by_test_id("stVegaLiteChart").count() == 5
    page.get_by_role("button", name="Try other networks").click()
    page.get_by_text("re-initialised (3 networks)").wait_for(timeout=400_000)
    assert stored_verdict() in page.get_by_test_id("stAlert").inner_text()
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


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", list(PAGES))
def test_every_page_wide_and_narrow_light_and_dark(
    open_page: Any, name: str, width: int, theme: str
) -> None:
    page = open_page(PAGES[name], width=width, theme=theme)
    settle(page)
    no_error(page)
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width, "the page scrolls sideways"
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width, "height": height + 20})
    page.wait_for_timeout(700)
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}-{width}-{theme}.png")
    pictures = page.locator("[role=img], img")
    named = pictures.evaluate_all(
        "all => all.map(x => x.getAttribute('aria-label') ?? x.getAttribute('alt'))"
    )
    assert all(text is not None for text in named)
