"""The five people of bench_app: their clips, what they do, and which clip a page shows."""

from __future__ import annotations

import base64
import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from c3d_viz import cropped_frames, load_model, read_clip, render

from .app_page import GIVEN, PATIENCE, named, settle

PEOPLE = 5
LEFT = 150  # seconds after which all that was theirs must be gone


def whose_clip(page: Any, given: str, clips: list[Path]) -> int:
    """Number of the clip whose frames are nearest to those that the page shows.

    ``given``: the expression that has the address of their sprite.
    """
    settle(page)
    shown = page.evaluate(given)
    data = base64.b64decode(shown.partition("base64,")[2].rstrip('")'))
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    frames = np.stack(np.split(picture[..., ::-1], 16, axis=1)).astype(np.float32)
    at, number = re.findall(r"(\d+) · (\d+)/16", page.locator("output").first.inner_text())[0]
    start = int(at) - int(number) + 1
    spec = load_model("compact")[1].input
    away = [
        float(np.abs(frames - cropped_frames(read_clip(clip, start), spec)).mean())
        for clip in clips
    ]
    return int(np.argmin(away))


def make_clips(folder: Path) -> list[Path]:
    """Five clips of 3 s, 640 x 360, each with its own moving square."""
    made = []
    for n in range(PEOPLE):
        rng = np.random.default_rng(n)
        ground = rng.integers(0, 140, (36, 64, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
        frames = np.repeat(ground[None], 75, axis=0)
        for t in range(75):
            x = (40 + (n + 3) * t) % 540
            frames[t, 80 + 20 * n : 180 + 20 * n, x : x + 100] = (250, 230 - 30 * n, 60 + 30 * n)
        path = folder / f"clip-{n}.mp4"
        render.write_video(path, frames, 25)
        made.append(path)
    return made


def each(pages: Sequence[Any], what: str, act: Callable[[Any, int], None]) -> None:
    """Every one of the people does it, one after the other."""
    for n, page in enumerate(pages):
        with named(f"{what} of person {n} of {len(pages)}", page):
            act(page, n)


def give(page: Any, clip: Path) -> None:
    """Upload a clip."""
    page.locator("input[type=file]").last.wait_for(state="attached")
    page.locator("input[type=file]").last.set_input_files(str(clip))


def arrived(page: Any, _: int) -> None:
    """Wait until the upload is on the page."""
    page.wait_for_function("location.search.includes('clip=upload')")
    settle(page)


def as_given(page: Any, _: int) -> None:
    """Go to the pixels that the network gets."""
    page.get_by_role("link", name="Clip", exact=True).click()
    page.wait_for_function(f"{GIVEN}?.length > 100")


@contextlib.contextmanager
def watched(server: Any) -> Iterator[list[float]]:
    """The server's memory in MB, looked at five times a second meanwhile."""
    seen, done = [server.memory_mb()], threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            seen.append(server.memory_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:  # or an error would leave it, and with it the benchmark, at work for ever
        done.set()
        watcher.join()


def together(server: Any, browser: Any, clips: list[Path]) -> tuple[float, list[int]]:
    """Five people go through three layers each: the seconds, and whose clip each sees then."""
    contexts = [browser.new_context() for _ in range(PEOPLE)]
    pages = [context.new_page() for context in contexts]
    for context in contexts:
        context.set_default_timeout(PATIENCE)
    began = time.perf_counter()
    each(pages, "the first page", lambda page, _: page.goto(server.url))
    each(pages, "the upload", lambda page, n: give(page, clips[n]))
    each(pages, "the clip given", arrived)
    each(pages, "the Layers page", lambda page, _: page.get_by_role("link", name="Layers").click())
    for layer in ("conv3b", "conv4a", "conv2a"):
        block = f".block[data-id={layer}]"
        each(pages, layer, lambda page, _, block=block: page.locator(block).click())
        each(pages, f"the page of {layer}", lambda page, _: settle(page))
    seconds = time.perf_counter() - began
    each(pages, "the clip as the network gets it", as_given)
    whose = [whose_clip(page, GIVEN, clips) for page in pages]
    for context in contexts:
        context.close()
    return seconds, whose


def crowd(server: Any, browser: Any, clips: list[Path]) -> dict[str, float]:
    """Five people with five clips at the same time, and the memory that this takes."""
    with watched(server) as seen:
        seconds, whose = together(server, browser, clips)
        there = len(seen)
        time.sleep(LEFT)
    return {
        "before_mb": round(seen[0]),
        "peak_mb": round(max(seen)),
        "after_they_left_mb": round(min(seen[there:])),
        "seconds": round(seconds, 1),
        "saw_another_clip": sum(seen != own for own, seen in enumerate(whose)),
    }
