"""Uploads good and bad, weights of one's own and several people at once, in a real Chromium."""

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import answer, no_error, not_blank, picture, settle, upload

import c3d_viz as viz

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def left(server: Any, browser: Any, clips: list[Path]) -> Callable[[], list[Path]]:
    """A page that was closed after an upload: what is still there of the file."""
    context = browser.new_context()
    context.set_default_timeout(150_000)
    page = context.new_page()
    page.goto(server.url)
    page.wait_for_selector("h1")
    settle(page)
    upload(page, clips[2])
    page.wait_for_function("location.search.includes('clip=upload')")
    content = clips[2].read_bytes()

    def kept() -> list[Path]:
        found = server.folder.glob(f"c3d-viz-app-*/session-*/*{clips[2].suffix}")
        return [p for p in found if p.read_bytes() == content]

    (there,) = kept()
    assert there.name != clips[2].name
    context.close()
    return lambda: [path for path in [there] if path.exists()]


@pytest.mark.usefixtures("left")  # it is to be gone before the last test
def test_an_uploaded_clip_from_start_to_zip(
    open_page: Any, clips: list[Path], tmp_path: Path
) -> None:
    page = open_page("/")
    settle(page)
    upload(page, clips[1])
    page.wait_for_function("location.search.includes('clip=upload')")
    settle(page)
    no_error(page)
    assert "clip number 1.mov" in page.locator(".tile[role=radio]").first.inner_text()
    not_blank(picture(page, answer(page)))
    page.get_by_role("link", name="Export").click()
    settle(page)
    command = page.get_by_test_id("stCode").inner_text()
    assert command.startswith("c3d-viz export 'clip number 1.mov' -o OUT --layer conv5b")
    page.get_by_role("button", name="Make the export").click()
    button = page.get_by_role("button", name="Download the zip")
    button.wait_for(timeout=300_000)
    with page.expect_download() as download:
        button.click()
    target = tmp_path / "got.zip"
    download.value.save_as(target)
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        manifest = json.loads(archive.read("manifest.json"))
        assert "index.html" in names
        maps = [n for n in names if n.endswith("map.npz")]
        assert len(maps) == 4
        start = manifest["parameters"]["start"]
        folder = str(Path(maps[0]).parent)
        values = np.load(io.BytesIO(archive.read(maps[0])))["values"]
    model, spec = viz.load_model("compact")
    x = viz.preprocess(viz.read_clip(clips[1], start), spec.input)
    channel = int(re.search(r"ch(\d+)", folder)[1])
    right = viz.attribute(model, x, viz.Unit("conv5b", channel), "deconvnet").values
    assert np.abs(values - right).max() <= 1e-5 * np.abs(right).max()


BAD = [
    ("text.mp4", b"this is no video", "does not begin like a video file"),
    ("empty.mp4", b"", "is empty"),
    ("notes.txt", b"hello", "is of a type that is not read here"),
    ("broken.mp4", b"\0\0\0\x18ftypmp42" + b"\x01" * 3000, "broken.mp4"),
]


def test_bad_uploads_get_one_line_and_the_session_goes_on(
    open_page: Any, clips: list[Path], tmp_path: Path
) -> None:
    page = open_page("/")
    settle(page)
    for name, data, says in BAD:
        bad = tmp_path / name
        bad.write_bytes(data)
        upload(page, bad)
        alert = page.get_by_test_id("stAlert").filter(has_text=says)
        alert.wait_for()
        settle(page)
        assert page.get_by_test_id("stAlert").count() == 1
        assert alert.bounding_box()["y"] < 300  # seen without scrolling
        lines = alert.inner_text().removeprefix("error").strip().splitlines()  # "error": the icon
        assert len(lines) == 1
        assert "/tmp" not in alert.inner_text()
    upload(page, clips[0])
    page.wait_for_function("location.search.includes('clip=upload')")
    settle(page)
    no_error(page)


def test_weights_bad_and_good(open_page: Any, tmp_path: Path) -> None:
    shipped = Path(viz.__file__).parent / "weights" / "compact-2d.safetensors"
    page = open_page("/")
    settle(page)
    bad = tmp_path / "evil.pth"
    bad.write_bytes(b"\x80\x04cposix\nsystem\n(S'touch /tmp/never'\ntR.")
    page.get_by_role("button", name=re.compile("Network:")).click()
    files = page.locator("[data-testid=stPopoverBody] input[type=file]")
    files.set_input_files(str(bad))
    alert = page.locator("[data-testid=stPopoverBody] [data-testid=stAlert]")
    alert.wait_for()
    assert "evil.pth" in alert.inner_text()
    assert not Path("/tmp/never").exists()
    settle(page)
    files.set_input_files(str(shipped))
    page.wait_for_function("location.search.includes('net=upload')")
    settle(page)
    page.get_by_role("button", name="Network: yours, compact-2d.safetensors").wait_for()
    no_error(page)


def test_two_sessions_at_once_see_their_own_clip(open_page: Any, clips: list[Path]) -> None:
    one, two = open_page("/"), open_page("/")
    upload(one, clips[0])
    upload(two, clips[2])
    for page, clip in ((one, clips[0]), (two, clips[2])):
        page.wait_for_function("location.search.includes('clip=upload')")
        settle(page)
        no_error(page)
        assert clip.name in page.locator(".tile[role=radio]").first.inner_text()
    first = picture(one, answer(one))
    second = picture(two, answer(two))
    assert np.abs(first - second).mean() > 5


def test_two_seconds_of_the_camera_are_a_clip(open_page: Any) -> None:
    page = open_page("/?clip=shapes")
    settle(page)
    camera = page.get_by_role("button", name="Camera", exact=True)
    said = page.get_by_role("group", name="Camera").get_by_role("status")
    for error, says in (("NotAllowedError", "not allowed"), ("NotFoundError", "no camera here")):
        page.evaluate(
            "error => navigator.mediaDevices.getUserMedia ="
            " async () => { throw new DOMException('', error) }",
            error,
        )
        camera.click()
        said.filter(has_text=says).wait_for()
        assert page.get_by_role("button", name="Record two seconds").count() == 0
    page.evaluate("delete navigator.mediaDevices.getUserMedia")
    camera.click()
    page.get_by_role("button", name="Record two seconds").click()
    page.wait_for_function("location.search.includes('clip=upload')")
    settle(page)
    no_error(page)
    assert page.locator(".tile[role=radio]").first.inner_text().startswith("camera ")
    assert page.get_by_role("group", name="Camera").count() == 0  # it is off again
    # Chromium's camera is green, with a disc
    seen = picture(page, page.get_by_role("img", name="as filmed"))
    assert (seen[..., 1] - seen[..., [0, 2]].max(axis=2) > 60).mean() > 0.5
    upload_text = re.search(r"of (\d+)", page.locator(".foot").inner_text())
    assert int(upload_text[1]) >= 16


def test_clips_stay_side_by_side(open_page: Any, clips: list[Path]) -> None:
    page = open_page("/")
    settle(page)
    keys = []
    for number in (4, 3):
        keys.append(f"upload-{hashlib.sha256(clips[number].read_bytes()).hexdigest()[:12]}")
        upload(page, clips[number])
        page.wait_for_function(f"new URLSearchParams(location.search).get('clip') === {keys[-1]!r}")
        settle(page)
    tiles = page.get_by_role("radiogroup", name="Clip").get_by_role("radio")
    assert [tiles.nth(n).inner_text() for n in range(2)] == [clips[3].name, clips[4].name]
    second = picture(page, answer(page))
    tiles.nth(1).click()
    page.wait_for_function(f"new URLSearchParams(location.search).get('clip') === {keys[0]!r}")
    settle(page)
    no_error(page)
    assert np.abs(picture(page, answer(page)) - second).mean() > 5


def test_temporary_files_go_with_the_session(left: Callable[[], list[Path]]) -> None:
    """Last of all here: its page was closed before the first test."""
    waited = threading.Event()
    for _ in range(150):
        if not left():
            return
        waited.wait(1)
    pytest.fail("the upload outlived its session")
