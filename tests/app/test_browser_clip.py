"""The Clip page in a real Chromium: the player, the choices, the timeline."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from browsing import no_error, not_blank, picture, query, settle

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_first_screen_shows_a_deconvolution(open_page: Any) -> None:
    page = open_page("/")
    films = page.locator(".panels .film")
    films.nth(2).wait_for()
    settle(page)
    no_error(page)
    assert films.count() == 3
    for n in range(3):
        not_blank(picture(page, films.nth(n)))
    assert "Bikes" in page.content() or "Moving things" in page.content()


def another_video(page: Any, before: str) -> str:
    """The address of the overlay video, once it is another one than ``before``."""
    for _ in range(1500):
        now = page.locator("video").first.evaluate("v => v.currentSrc")
        if now and now != before:
            return str(now)
        page.wait_for_timeout(100)
    pytest.fail("no other video came")


def plays_round(page: Any) -> None:
    """Nobody touched it: the video plays, gets to its end and begins again."""
    video = page.locator("video").first
    times: list[float] = []
    for _ in range(1500):
        paused, at = video.evaluate("v => [v.paused || v.readyState < 2, v.currentTime]")
        times = [] if paused else [*times, at]
        steps = np.diff(times)
        if (steps > 0).any() and (steps < -0.5).any() and steps[-1] > 0:
            return
        page.wait_for_timeout(100)
    pytest.fail(f"the video does not go round: {times[-20:]}")


def test_the_overlay_video_really_plays(open_page: Any) -> None:
    page = open_page("/layers")
    video = page.locator("video").first
    video.wait_for()
    settle(page)
    video.scroll_into_view_if_needed()
    plays_round(page)
    assert video.evaluate("v => [v.videoWidth, v.videoHeight]") == [336, 336]
    assert video.evaluate("v => v.muted && v.loop && v.playsInline && v.controls")
    assert "feature map" in video.get_attribute("aria-label")
    not_blank(picture(page, video))
    for method in ("Guided backpropagation", "Gradient"):  # drawn again in the same session
        before = video.evaluate("v => v.currentSrc")
        page.get_by_role("radio", name=method).first.click()
        another_video(page, before)
        plays_round(page)
    no_error(page)


def test_the_overlay_video_stays_paused_once_somebody_paused_it(open_page: Any) -> None:
    page = open_page("/layers")
    video = page.locator("video").first
    video.wait_for()
    settle(page)
    plays_round(page)
    video.focus()
    page.keyboard.press("Space")
    page.wait_for_timeout(300)
    assert video.evaluate("v => v.paused")
    before = video.evaluate("v => v.currentSrc")
    page.get_by_role("radio", name="Guided backpropagation").first.click()
    another_video(page, before)
    settle(page)
    assert video.evaluate("v => v.paused && v.readyState > 1")
    video.focus()
    page.keyboard.press("Space")
    plays_round(page)


def test_whoever_wants_less_motion_starts_the_video_himself(open_page: Any) -> None:
    page = open_page("/layers", motion="reduce")
    video = page.locator("video").first
    video.wait_for()
    settle(page)
    assert video.evaluate("v => v.readyState > 1 && v.paused")
    not_blank(picture(page, video))
    video.focus()
    page.keyboard.press("Space")
    plays_round(page)


def test_layer_map_method_and_link(open_page: Any) -> None:
    page = open_page("/layers")
    settle(page)
    page.locator(".block[data-id=conv3b]").click()
    page.get_by_role("heading", name=re.compile("^conv3b, map")).wait_for()
    settle(page)
    tiles = page.locator(".tile")
    assert tiles.count() == 12
    tiles.nth(3).click()
    settle(page)
    chosen = page.locator(".tile[aria-checked=true]").get_attribute("data-id")
    page.get_by_role("heading", name=f"conv3b, map {chosen}", exact=True).wait_for()
    before = page.locator("video").first.evaluate("v => v.currentSrc")
    page.get_by_role("radio", name="Guided backpropagation").first.click()
    another_video(page, before)
    settle(page)
    assert f"layer=conv3b&map={chosen}&method=guided" in query(page)
    no_error(page)
    other = open_page("/layers?" + query(page))
    settle(other)
    other.get_by_role("heading", name=f"conv3b, map {chosen}", exact=True).wait_for()
    assert query(other) == query(page)


def test_frame_slider_and_play(open_page: Any) -> None:
    page = open_page("/layers")
    settle(page)
    slider = page.get_by_label("Frame of the window").first
    film = page.locator(".panels .film").nth(1)
    slider.focus()
    page.keyboard.press("Home")
    before = picture(page, film)
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    assert "9/16" in page.locator("output").first.inner_text()
    after = picture(page, film)
    assert np.abs(before - after).mean() > 2
    page.get_by_role("button", name="Play").first.click()
    page.locator("output").first.filter(has_not_text="· 9/16").wait_for()
    page.get_by_role("button", name="Pause").first.click()
    page.locator(".cell").nth(2).click()
    assert "3/16" in page.locator("output").first.inner_text()


def test_a_click_on_the_activation_map_chooses_a_cell(open_page: Any) -> None:
    page = open_page("/layers")
    settle(page)
    cell = page.locator(".slice").first
    box = cell.bounding_box()
    cell.click(position={"x": box["width"] * 0.9, "y": box["height"] * 0.1})
    page.wait_for_function("location.search.includes('at=0-0-6')")
    settle(page)
    no_error(page)
    page.get_by_role("button", name="Back to the strongest cell").click()
    page.wait_for_function("!location.search.includes('at=')")


def test_the_window_moves_on_the_timeline(open_page: Any) -> None:
    page = open_page("/")
    settle(page)
    slider = page.get_by_label("First frame of the window")
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_function("location.search.includes('start=0')")
    settle(page)
    assert page.locator("output").first.inner_text().startswith("Frame ")
    box = page.locator(".box").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30, steps=4)
    page.mouse.up()
    page.wait_for_function("!/start=0(&|$)/.test(location.search)")
    settle(page)
    no_error(page)
