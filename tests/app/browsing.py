"""What a person does and sees on a page, for the tests with a browser."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app import finding_work, pages

SHOTS = Path(__file__).resolve().parents[2] / "test-artefacts"
PAGES = {name: "/" if name == "clip" else f"/{name}" for name in pages.PAGES}


def settle(page: Any) -> None:
    """Wait until the page's script has run to its end."""
    page.wait_for_timeout(350)
    page.wait_for_function(
        "() => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState"
        " === 'notRunning'"
    )
    page.wait_for_timeout(150)


def stored_verdict() -> str:
    found = finding_work.stored_result()
    assert found is not None
    return found.sentence


def no_error(page: Any) -> None:
    assert page.get_by_test_id("stException").count() == 0
    # the stored verdict of the full test stands in a box of the same kind
    told = page.get_by_test_id("stAlert").all_inner_texts()
    assert [text for text in told if stored_verdict() not in text] == []
    assert "Traceback" not in page.content()


def picture(page: Any, locator: Any) -> np.ndarray:
    """Pixels of an element as the screen shows it."""
    locator.scroll_into_view_if_needed()
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB")).astype(int)


def not_blank(pixels: np.ndarray) -> None:
    assert pixels.std() > 12
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 200


def upload(page: Any, path: Path) -> None:
    page.locator(
        "[data-testid=stFileUploaderDropzoneInput], input[type=file]"
    ).last.set_input_files(str(path))


def query(page: Any) -> str:
    return page.url.partition("?")[2]


def method(page: Any, name: str) -> None:
    """Choose a method in the menu above the map."""
    menu = page.get_by_role("combobox", name="Method").first
    menu.scroll_into_view_if_needed()
    page.wait_for_timeout(400)  # scrolling closes the menu
    menu.click()
    page.get_by_role("option", name=name, exact=True).click()


def answer(page: Any) -> Any:
    """The picture of the map on the clip."""
    return page.get_by_role("img", name=re.compile("bright where the pixels take part")).first


def places(wanted: Any) -> tuple[float, float, float, float]:
    """Left, top, right and bottom, on the screen as it is, of all that ``wanted`` finds."""
    boxes = [each.bounding_box() for each in wanted.all()]
    assert boxes
    assert all(boxes)
    return (
        min(box["x"] for box in boxes),
        min(box["y"] for box in boxes),
        max(box["x"] + box["width"] for box in boxes),
        max(box["y"] + box["height"] for box in boxes),
    )
