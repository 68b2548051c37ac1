"""What a person does, in a real Chromium: every page, uploads good and bad, several at once."""

from __future__ import annotations

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
from PIL import Image

import c3d_viz as viz
from app import finding_work

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SHOTS = Path(__file__).resolve().parents[2] / "test-artefacts"
PAGES = {"clip": "/", **{name: f"/{name}" for name in ("layers", "motion", "compare", "export")}}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> list[Path]:
    """Five different real files: a bright square over a textured ground, each its own way."""
    folder = tmp_path_factory.mktemp("clips")
    made = []
    for n in range(5):
        rng = np.random.default_rng(n)
        ground = rng.integers(0, 120, (24, 32, 3), dtype=np.uint8).repeat(6, 0).repeat(6, 1)
        frames = np.repeat(ground[None], 40, axis=0)
        for t in range(40):
            x, y = (10 + (n + 2) * t) % 150, 20 + 15 * n
            frames[t, y : y + 36, x : x + 36] = (250, 240 - 30 * n, 60 + 30 * n)
        suffix = ("mp4", "mov", "mkv", "mp4", "mp4")[n]
        made.append(make_video(folder / f"clip number {n}.{suffix}", frames))
    return made


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
    assert video.evaluate("v => v.readyState > 1 && v.paused && v.currentTime === 0")
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


def test_an_uploaded_clip_from_start_to_zip(
    open_page: Any, clips: list[Path], tmp_path: Path
) -> None:
    page = open_page("/")
    settle(page)
    upload(page, clips[1])
    page.wait_for_function("location.search.includes('clip=upload')")
    settle(page)
    no_error(page)
    assert "clip number 1.mov" in page.locator(".tile").first.inner_text()
    not_blank(picture(page, page.locator(".panels .film").nth(2)))
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


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("text.mp4", b"this is no video", "does not begin like a video file"),
        ("empty.mp4", b"", "is empty"),
        ("broken.mp4", b"\0\0\0\x18ftypmp42" + b"\x01" * 3000, "broken.mp4"),
    ],
)
def test_bad_uploads_get_one_line_and_the_session_goes_on(
    open_page: Any, clips: list[Path], tmp_path: Path, name: str, data: bytes, says: str
) -> None:
    page = open_page("/")
    settle(page)
    bad = tmp_path / name
    bad.write_bytes(data)
    upload(page, bad)
    alert = page.get_by_test_id("stAlert")
    alert.wait_for()
    assert says in alert.inner_text()
    lines = alert.inner_text().removeprefix("error").strip().splitlines()  # "error": the icon
    assert len(lines) == 1
    assert "/tmp" not in alert.inner_text()
    settle(page)
    upload(page, clips[0])
    page.wait_for_function("location.search.includes('clip=upload')")
    settle(page)
    no_error(page)


def test_bad_weights_get_one_line(open_page: Any, tmp_path: Path) -> None:
    page = open_page("/")
    settle(page)
    bad = tmp_path / "evil.pth"
    bad.write_bytes(b"\x80\x04cposix\nsystem\n(S'touch /tmp/never'\ntR.")
    page.get_by_role("button", name=re.compile("Network:")).click()
    page.locator("[data-testid=stPopoverBody] input[type=file]").set_input_files(str(bad))
    alert = page.locator("[data-testid=stPopoverBody] [data-testid=stAlert]")
    alert.wait_for()
    assert "evil.pth" in alert.inner_text()
    assert not Path("/tmp/never").exists()


def test_weights_of_ones_own(open_page: Any) -> None:
    shipped = Path(viz.__file__).parent / "weights" / "compact-2d.safetensors"
    if not shipped.is_file():
        pytest.skip("the package ships no weights yet")
    page = open_page("/")
    settle(page)
    page.get_by_role("button", name=re.compile("Network:")).click()
    page.locator("[data-testid=stPopoverBody] input[type=file]").set_input_files(str(shipped))
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
        assert clip.name in page.locator(".tile").first.inner_text()
    first = picture(one, one.locator(".panels .film").nth(1))
    second = picture(two, two.locator(".panels .film").nth(1))
    assert np.abs(first - second).mean() > 5


def test_temporary_files_go_with_the_session(
    open_page: Any, server: Any, clips: list[Path]
) -> None:
    page = open_page("/")
    settle(page)
    upload(page, clips[3])
    page.wait_for_function("location.search.includes('clip=upload')")
    content = clips[3].read_bytes()

    def kept() -> list[Path]:
        found = server.folder.glob("c3d-viz-app-*/session-*/*.mp4")
        return [p for p in found if p.read_bytes() == content]

    assert len(kept()) == 1
    assert kept()[0].name != clips[3].name
    page.context.close()
    waited = threading.Event()
    for _ in range(150):
        if not kept():
            return
        waited.wait(1)
    pytest.fail("the upload outlived its session")


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
