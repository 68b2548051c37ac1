"""A page's state in a real Chromium: the address, Back, a reload, the keyboard, the first frame."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest
from browsing import answer, method, no_error, not_blank, picture, query, settle, upload

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FOCUS = """() => {
  let a = document.activeElement;
  while (a?.shadowRoot?.activeElement) a = a.shadowRoot.activeElement;
  return a.getAttribute("aria-label") ?? a.tagName;
}"""


def asked(page: Any, **values: str) -> None:
    """Wait until the address has these values, and the page has been drawn."""
    for name, value in values.items():
        page.wait_for_function(
            f"new URLSearchParams(location.search).get('{name}') === {value!r}"
            if value
            else f"!new URLSearchParams(location.search).has('{name}')"
        )
    settle(page)


def heading(page: Any) -> str:
    """The chosen map as the Layers page names it."""
    names = page.get_by_role("heading", name=re.compile("^(conv|fc)")).all_inner_texts()
    return str(names[0])


def test_back_undoes_layer_map_method_and_page(open_page: Any) -> None:
    page = open_page("/")
    asked(page, clip="bikes")
    page.get_by_role("link", name="Layers").first.click()
    page.wait_for_function("location.pathname === '/layers'")
    asked(page, layer="conv5b")
    steps = [(page.url, heading(page))]
    page.locator(".block[data-id=conv3b]").click()
    asked(page, layer="conv3b")
    steps.append((page.url, heading(page)))
    page.locator(".tile").nth(3).click()
    page.wait_for_function("location.search.includes('map=')")
    settle(page)
    steps.append((page.url, heading(page)))
    method(page, "Guided backpropagation")
    asked(page, method="guided")
    assert len({url for url, _ in steps}) == len({name for _, name in steps}) == 3
    for url, name in reversed(steps):
        page.go_back(wait_until="commit")
        page.wait_for_timeout(300)
        settle(page)
        assert (page.url, heading(page)) == (url, name)
        assert page.get_by_text("Deconvolution", exact=True).first.is_visible()
    page.go_back(wait_until="commit")
    page.get_by_role("heading", name="What does a video network see?").wait_for()
    page.go_forward(wait_until="commit")
    page.get_by_role("heading", name="Layer by layer").wait_for()
    settle(page)
    assert page.url == steps[0][0]
    no_error(page)


def test_a_reload_keeps_the_upload_and_a_stranger_does_not_get_it(
    open_page: Any, clips: list[Path]
) -> None:
    page = open_page("/")
    settle(page)
    upload(page, clips[1])
    key = f"upload-{hashlib.sha256(clips[1].read_bytes()).hexdigest()[:12]}"
    asked(page, clip=key)
    before = picture(page, answer(page))
    page.reload()
    page.wait_for_selector("h1")
    asked(page, clip=key)
    no_error(page)
    assert "clip number 1.mov" in page.locator(".tile[role=radio]").first.inner_text()
    after = picture(page, answer(page))
    not_blank(after)
    assert before.shape == after.shape
    other = open_page(f"/?clip={key}")
    settle(other)
    assert parse_qs(query(other))["clip"] == ["bikes"]
    assert "as long as the page is open" in other.get_by_test_id("stAlert").inner_text()


def test_the_keyboard_keeps_its_place(open_page: Any) -> None:
    page = open_page("/")
    settle(page)
    page.get_by_label("First frame of the window").focus()
    for _ in range(2):
        before = query(page)
        page.keyboard.press("ArrowRight")
        page.wait_for_function(f"!location.search.includes({before!r})")
        settle(page)
        assert page.evaluate(FOCUS) == "First frame of the window"
    assert parse_qs(query(page))["start"] == ["192"]
    page.get_by_role("link", name="Layers").first.click()
    page.wait_for_function("location.pathname === '/layers'")
    asked(page, layer="conv5b")
    page.locator(".block[data-id=conv5b]").focus()
    for layer in ("conv5a", "conv4b"):
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Space")
        asked(page, layer=layer)
        assert page.evaluate(FOCUS).startswith(f"{layer}, ")
    page.locator(".board").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("location.search.includes('at=')")
    settle(page)
    assert page.evaluate(FOCUS).startswith("Activation map")


def test_the_players_begin_where_the_map_is(open_page: Any) -> None:
    """A map of conv1a lies in three frames; after a choice of it one of those is seen first."""
    page = open_page("/layers?layer=conv5b", motion="reduce")
    settle(page)
    for slider in page.get_by_label("Frame of the window").all():
        slider.focus()
        page.keyboard.press("Home")
    page.locator(".block[data-id=conv1a]").click()
    asked(page, layer="conv1a")
    levels = page.locator(".level").evaluate_all(
        "all => all.map(x => parseFloat(x.title.split(': ')[1]))"
    )
    assert sum(level > 0 for level in levels) <= 3
    begin = int(np.argmax(levels))
    for n in range(2):  # the map, and frame by frame
        assert f"{begin + 1}/16" in page.locator("output").nth(n).inner_text()
    assert "now" in page.locator(".cell").nth(begin).get_attribute("class")
    # what it sees is enlarged, and where that lies is marked on the frame
    patch, back, most = (
        page.get_by_role("img", name=re.compile(what)).first
        for what in ("that the unit sees", "enlarged, in colour", "answers most")
    )
    marked = page.locator(".outline")  # its own element marks the place
    whole = page.get_by_role("img", name=re.compile("take part")).filter(has=marked).first
    for shown in (patch, back, most):
        assert shown.bounding_box()["width"] > 150
    assert picture(page, back).std() > 5
    assert picture(page, most).std() > 12
    box, frame = whole.locator(".outline").bounding_box(), whole.bounding_box()
    assert box["width"] == pytest.approx(frame["width"] * 3 / 112, rel=0.2)
    page.get_by_role("radiogroup", name="Place of map").get_by_role("radio").nth(2).click()
    page.wait_for_function("location.search.includes('at=')")
    settle(page)
    other = whole.locator(".outline").bounding_box()
    assert (other["x"], other["y"]) != (box["x"], box["y"])
    page.go_back(wait_until="commit")
    page.wait_for_function("!location.search.includes('at=')")
    settle(page)
    method(page, "Guided backpropagation")
    asked(page, method="guided")
    assert f"{begin + 1}/16" in page.locator("output").first.inner_text()


def test_two_clips_side_by_side_have_frame_numbers_of_their_own(open_page: Any) -> None:
    page = open_page("/compare?clip=bikes&versus=clip:face", motion="reduce")
    page.locator(".number").nth(1).wait_for()
    settle(page)
    page.locator(".bar input").focus()
    page.keyboard.press("Home")
    assert page.locator(".number").all_inner_texts() == ["frame 190", "frame 70"]
    page.keyboard.press("ArrowRight")
    assert page.locator(".number").all_inner_texts() == ["frame 191", "frame 71"]
    assert page.locator("output").first.inner_text() == "Frame 2/16"


def test_long_names_stay_in_their_tiles(
    open_page: Any, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (20, 96, 128, 3), dtype=np.uint8)
    long = make_video(tmp_path / "a very long name of a film from the mountains.mp4", frames)
    page = open_page("/", width=390)
    settle(page)
    upload(page, long)
    asked(page, clip=f"upload-{hashlib.sha256(long.read_bytes()).hexdigest()[:12]}")
    for path, what in (("", "Clip"), ("/layers?layer=fc8", "Feature map of fc8")):
        if path:
            page = open_page(path)
            settle(page)
        tiles = page.get_by_role("radiogroup", name=what).get_by_role("radio")
        boxes = tiles.evaluate_all(
            "all => all.map(t => { const box = t.getBoundingClientRect();"
            " const inner = [...t.children].map(c => c.getBoundingClientRect());"
            " return [box.top, box.height, Math.max(...inner.map(i => i.right)) - box.right] })"
        )
        rows = {(round(top), round(height)) for top, height, _ in boxes}
        assert len(rows) == len({top for top, _ in rows})  # all of a row are as high
        assert max(over for *_, over in boxes) <= 0
