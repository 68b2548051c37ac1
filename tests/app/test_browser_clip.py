"""The Clip page in a real Chromium: the player, the choices, pointing."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from browsing import answer, method, no_error, not_blank, picture, places, query, settle

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_answer_is_on_the_first_screen(open_page: Any, theme: str) -> None:
    """1280 x 800: the network on top, the clip left, the map in the middle, the strongest right."""
    page = open_page("/", height=800, theme=theme)
    page.locator(".st-key-stage .tile").nth(16).wait_for()
    settle(page)
    no_error(page)
    strip, clip, over, play, tiles, upload, tabs = (
        places(wanted)
        for wanted in (
            page.locator(".block"),
            page.get_by_role("img", name="as filmed"),
            answer(page),
            page.get_by_role("button", name="Pause"),
            page.get_by_role("radiogroup", name="Feature map of conv5b").locator(".tile"),
            page.get_by_role("button", name="Upload a clip of your own"),
            page.get_by_role("link", name="Layers"),
        )
    )
    assert tabs[3] <= strip[1] < strip[3] <= over[1]
    assert over[3] - over[1] >= 400
    assert clip[2] <= over[0] < over[2] <= tiles[0]
    assert max(play[3], tiles[3], upload[3]) <= 800  # nothing of it needs scrolling
    not_blank(picture(page, answer(page)))
    not_blank(picture(page, page.get_by_role("img", name="as filmed")))
    page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 400)")
    page.wait_for_timeout(200)
    assert places(page.locator(".block"))[1] >= 0  # the network stays in sight


def test_on_a_phone_the_map_comes_first_and_the_pages_are_below(open_page: Any) -> None:
    page = open_page("/", width=390, height=844)
    page.locator(".st-key-stage .tile").nth(16).wait_for()
    settle(page)
    strip, clip, over, tiles = (
        places(wanted)
        for wanted in (
            page.locator(".scroll"),
            page.get_by_role("img", name="as filmed"),
            answer(page),
            page.get_by_role("radiogroup", name="Feature map of conv5b").locator(".tile"),
        )
    )
    assert strip[3] <= over[1] < over[3] <= 844 - 60
    assert over[2] - over[0] >= 340
    assert over[3] <= clip[1] < clip[3] <= tiles[1]
    for name in ("Clip", "Layers", "Motion", "Compare", "Export"):
        box = places(page.get_by_role("link", name=name))
        assert 780 <= box[1] < box[3] <= 844
    chosen = page.locator(".block[aria-checked=true]")
    assert chosen.evaluate("b => b.closest('.scroll').scrollLeft") > 0
    page.get_by_role("button", name="More layers").click()
    page.wait_for_function("document.querySelector('.st-key-network-place')")
    page.get_by_role("button", name="More layers").wait_for(state="hidden")
    not_blank(picture(page, answer(page)))
    page.set_viewport_size({"width": 1280, "height": 844})
    page.set_viewport_size({"width": 390, "height": 844})  # the phone is turned round
    page.wait_for_timeout(300)
    assert 0 <= places(chosen)[0] < places(chosen)[2] <= 390


def frames_shown(page: Any, seconds: float = 2.5) -> list[int]:
    """Which frame the map's player shows, every tenth of a second."""
    shown = []
    for _ in range(round(10 * seconds)):
        shown.append(int(page.locator(".bar input").first.input_value()))
        page.wait_for_timeout(100)
    return shown


def test_the_map_plays_round_and_the_clip_beside_it_follows(open_page: Any) -> None:
    page = open_page("/")
    page.get_by_role("button", name="Pause").wait_for()
    settle(page)
    steps = np.diff(frames_shown(page, 4))
    assert (steps > 0).sum() > 8
    assert (steps < -10).any()  # to its end and on from the beginning
    page.get_by_role("button", name="Pause").click()
    assert len(set(frames_shown(page, 0.5))) == 1
    filmed = page.get_by_role("img", name="as filmed")
    page.locator(".bar input").first.focus()
    page.keyboard.press("Home")
    before = [picture(page, which) for which in (answer(page), filmed)]
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    after = [picture(page, which) for which in (answer(page), filmed)]
    assert min(np.abs(a - b).mean() for a, b in zip(before, after, strict=True)) > 2
    method(page, "Guided backpropagation")  # drawn again in the same session: it stays paused
    page.wait_for_function("location.search.includes('method=guided')")
    settle(page)
    assert set(frames_shown(page, 0.5)) == {8}
    guided, side = picture(page, answer(page)), min(after[0].shape[0], 400)
    assert np.abs(guided[:side, :side] - after[0][:side, :side]).mean() > 0.5
    page.get_by_role("button", name="Play").focus()
    page.keyboard.press("Space")
    assert len(set(frames_shown(page, 1))) > 2
    still = open_page("/", motion="reduce")  # whoever wants less motion starts it himself
    still.get_by_role("button", name="Play").wait_for()
    settle(still)
    assert len(set(frames_shown(still, 0.5))) == 1


def test_layer_map_method_and_link(open_page: Any) -> None:
    page = open_page("/layers")
    settle(page)
    page.locator(".block[data-id=conv3b]").click()
    page.get_by_role("heading", name=re.compile("^conv3b, map")).wait_for()
    settle(page)
    tiles = page.get_by_role("radiogroup", name="Feature map of conv3b").get_by_role("radio")
    assert tiles.count() == 12
    tiles.nth(3).click()
    settle(page)
    chosen = page.get_by_role("radio", checked=True).and_(tiles).get_attribute("data-id")
    page.get_by_role("heading", name=f"conv3b, map {chosen}", exact=True).wait_for()
    method(page, "Guided backpropagation")
    page.wait_for_function("location.search.includes('method=guided')")
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
    player = page.locator(".st-key-frames-place")
    film = player.locator(".panels .film").nth(1)
    player.get_by_label("Frame of the window").focus()
    page.keyboard.press("Home")
    before = picture(page, film)
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    assert "9/16" in player.locator("output").inner_text()
    after = picture(page, film)
    assert np.abs(before - after).mean() > 2
    player.get_by_role("button", name="Play").click()
    player.locator("output").filter(has_not_text="· 9/16").wait_for()
    player.get_by_role("button", name="Pause").click()
    player.locator(".cell").nth(2).click()
    assert "3/16" in player.locator("output").inner_text()


def lit(picture: Any) -> tuple[float, float, float, float] | None:
    """Left, top, width and height of what is lit on a picture, as shares of it; None if nothing."""
    mark = picture.locator(".lit:visible")
    if not mark.count():
        return None
    box, whole = mark.bounding_box(), picture.bounding_box()
    return (
        (box["x"] - whole["x"]) / whole["width"],
        (box["y"] - whole["y"]) / whole["height"],
        box["width"] / whole["width"],
        box["height"] / whole["height"],
    )


def test_pointing_at_a_place_lights_the_others_and_a_click_chooses_it(open_page: Any) -> None:
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
    settle(page)
    # pointing at that cell lights its place in the map on the clip and in every tile
    slices = page.locator(".slice")
    slices.first.hover(position={"x": box["width"] * 0.9, "y": box["height"] * 0.1})
    over = page.locator(".st-key-answer .film")
    corner = (6 / 7, 0, 1 / 7, 1 / 7)
    assert lit(over) == pytest.approx(corner, abs=0.02)
    tiles = page.locator(".st-key-maps .tile .film")
    assert [lit(tile) for tile in tiles.all()] == [pytest.approx(corner, abs=0.1)] * 12
    whole = over.bounding_box()
    over.hover(position={"x": whole["width"] * 0.1, "y": whole["height"] * 0.5})
    row = [lit(slices.nth(n)) for n in range(2)]
    assert [where for where in row if where] == [pytest.approx((0, 3 / 7, 1 / 7, 1 / 7), abs=0.05)]
    tiles.nth(5).hover()  # of another map: where that one answers most
    assert len([n for n in range(2) if lit(slices.nth(n))]) == 1
    page.mouse.move(2, 2)
    assert lit(over) is None
    page = open_page("/")  # the clip as it was filmed: its outline is what the network gets
    settle(page)
    filmed = page.get_by_role("img", name="as filmed")
    outline, whole = filmed.locator(".outline").bounding_box(), filmed.bounding_box()
    left, top = outline["x"] - whole["x"], outline["y"] - whole["y"]
    spot = {"x": left + outline["width"] * 0.5, "y": top + outline["height"] * 0.93}
    filmed.hover(position=spot)
    assert lit(answer(page)) == pytest.approx((3 / 7, 6 / 7, 1 / 7, 1 / 7), abs=0.02)
    filmed.click(position=spot)
    page.wait_for_function("/at=[01]-6-3/.test(location.search)")
    settle(page)
    no_error(page)
    page.locator(".st-key-answer .bar input").focus()  # by keyboard: from the cell that is chosen
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    assert lit(answer(page)) == pytest.approx((4 / 7, 5 / 7, 1 / 7, 1 / 7), abs=0.02)
    page.keyboard.press("Enter")
    page.wait_for_function("/at=[01]-5-4/.test(location.search)")
    settle(page)
    no_error(page)
    filmed.hover(position={"x": 2, "y": whole["height"] / 2})  # beside the outline
    assert lit(answer(page)) is None
