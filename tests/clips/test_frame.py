"""Decoded frames as RGB: one converter for many frames, and what decodes them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import cv2
import numpy as np
from video_files import colour_noise, numbered_frames

from c3d_viz.clips import opening, video


def test_a_converter_of_many_frames_gives_what_each_frame_gives(
    tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    """One converter serves files of other sizes and formats in turn, and threads apart."""
    paths = [
        make_video(tmp_path / f"{n}.mp4", colour_noise(6, 32 + 16 * n, 48, seed=n), pix_fmt=kind)
        for n, kind in enumerate(("yuv420p", "yuv444p"))
    ]
    expected = []
    for path in paths:
        with av.open(str(path)) as container:
            frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
            expected.append(np.stack(frames))

    def mixed(_: int) -> list[np.ndarray]:
        pairs = zip(*(video.VideoFile(path).frames(range(6)) for path in paths), strict=True)
        return [
            np.stack(frames) for frames in zip(*([a.frame, b.frame] for a, b in pairs), strict=True)
        ]

    with ThreadPoolExecutor(3) as pool:
        for got in pool.map(mixed, range(6)):
            assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))


def test_decoders_take_no_more_threads_than_opencv(
    tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    path, before = make_video(tmp_path / "a.mp4", numbered_frames(20)), cv2.getNumThreads()
    try:
        for allowed in (1, 3, 9):
            cv2.setNumThreads(allowed)
            with opening.opened(path, "a.mp4") as (_, stream):
                assert stream.codec_context.thread_count == min(allowed, 4)
    finally:
        cv2.setNumThreads(before)
