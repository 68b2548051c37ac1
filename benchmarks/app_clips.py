"""The clips of the five people of bench_app, and which of them a page shows."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from c3d_viz import cropped_frames, load_model, read_clip, render

PEOPLE = 5
PATIENCE = 400_000  # ms; on a busy machine


def settle(page: Any) -> None:
    """Wait for the end of the page's script."""
    page.wait_for_timeout(300)
    page.wait_for_function(
        "document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'",
        timeout=PATIENCE,
    )


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
