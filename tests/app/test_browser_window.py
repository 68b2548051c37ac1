"""The window on the timeline in a real browser: dragged, typed, along a long video."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from browsing import answer, no_error, places, query, settle

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def tall(film: Any) -> int:
    """Height in pixels of the picture that a film is a part of."""
    return int(
        film.evaluate(
            "async film => { const all = new Image(); all.src = film.style.backgroundImage"
            ".slice(5, -2); await all.decode(); return all.naturalHeight }"
        )
    )


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
    film, filmed = answer(page), page.get_by_role("img", name="as filmed")
    tiles = page.locator(".st-key-maps .tile .film")
    sent = "film => film.style.backgroundImage"
    before = [which.evaluate(sent) for which in (film, filmed, tiles.first)]
    for which in (film, filmed):
        which.evaluate("film => (film.getRootNode().querySelector('#root').mark = 1)")
    kept = "film => film.getRootNode().querySelector('#root').mark"
    large, before_at = tall(film), [places(which) for which in (film, filmed)]
    page.evaluate("performance.now = () => 1")  # also on a page opened a moment ago
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30, steps=4)
    page.wait_for_function(  # it is drawn anew while the window is still held
        "before => [...document.querySelectorAll('*')].some(host => [...(host.shadowRoot?."
        "querySelectorAll('.panels.fit .film[aria-label*=bright]') ?? [])].some("
        "film => film.style.backgroundImage !== before))",
        arg=before[0],
    )
    settle(page)
    assert tall(film) == 224 < large == 336  # small, and nothing but what is looked at
    now = [which.evaluate(sent) for which in (film, filmed, tiles.first)]
    assert [a == b for a, b in zip(before, now, strict=True)] == [False, False, True]
    assert [which.evaluate(kept) for which in (film, filmed)] == [1, 1]  # drawn anew in its place
    plays = "film => getComputedStyle(film).animationPlayState"
    assert tiles.first.evaluate(plays) == "paused"  # of another window yet
    now_at = [places(which) for which in (film, filmed)]
    assert np.abs(np.subtract(before_at, now_at)).max() < 1.5
    assert "start=0" in query(page)
    steps = page.evaluate("history.length")
    page.mouse.up()
    page.wait_for_function("!/start=0(&|$)/.test(location.search)")
    settle(page)
    assert tall(film) == 336
    assert tiles.first.evaluate(plays) == "running"
    assert [which.evaluate(kept) for which in (film, filmed)] == [1, 1]
    assert tiles.first.evaluate(sent) != before[2]
    assert page.evaluate("history.length") == steps + 1  # one step for Back, however long the way
    page.get_by_label("Go to frame").fill("42")
    page.keyboard.press("Enter")
    page.wait_for_function("location.search.includes('start=42')")
    settle(page)
    # nearer: the window is drawn larger and stays in sight
    mark, port, nearer = (
        page.locator(".box .window"),
        page.locator(".port").bounding_box(),
        page.get_by_role("button", name="Show less of the video"),
    )
    small = mark.bounding_box()["width"]
    for _ in range(3):
        nearer.click()
    assert nearer.is_disabled()  # a window fills a third of what is seen
    assert mark.bounding_box()["width"] == pytest.approx(port["width"] / 3, abs=2)
    assert mark.bounding_box()["width"] > 3 * small
    page.get_by_label("Go to frame").fill("230")
    page.keyboard.press("Enter")
    page.wait_for_function("location.search.includes('start=230')")
    settle(page)
    inside = mark.bounding_box()
    assert port["x"] - 1 <= inside["x"]
    assert inside["x"] + inside["width"] <= port["x"] + port["width"] + 1
    no_error(page)
    page = open_page("/?clip=shapes&start=24")
    settle(page)
    grown = "values => document.dispatchEvent(new CustomEvent('c3d-viz-trace', { detail: values }))"
    for values in ([1.5], [1.5, 0.5], [1.5, 0.5, 3]):  # a line that is still computed
        page.evaluate(grown, {"frames": [8, 16, 24][: len(values)], "values": values})
        points = page.locator("polyline").get_attribute("points").split()
        heights = [98 - 94 * value / max(values) for value in values]
        assert [float(point.split(",")[1]) for point in points] == pytest.approx(heights, abs=0.01)
    page.evaluate(grown, None)
    assert page.locator("polyline").count() == 0
    page.get_by_role("button", name="Follow map").click()
    page.get_by_text("click a peak").wait_for()  # what the map answers along the video
    points = page.locator("polyline").get_attribute("points").split()
    assert len(points) == 4
    settle(page)
    # the trace's windows begin at 0, 8, 16, 24; beside its peak a click goes to that window
    best = min(range(4), key=lambda n: float(points[n].split(",")[1]))
    box = page.locator(".box").bounding_box()
    middle = box["x"] + (8 * best + 8) / 40 * box["width"]
    page.mouse.click(middle + 9, box["y"] + 60)
    start = f"start={8 * best}"
    page.wait_for_function(f"location.search.split('&').includes({start!r})")
    settle(page)
    no_error(page)
