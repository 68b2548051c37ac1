"""Which track of a file is read, what is said of it, and how much of it at most."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from video_files import GOP, ROOT, folder_of, frame_numbers, numbered_frames, write_test_video

from c3d_viz.clips import motion_energy, opening, read_clip, read_thumbnails, video_info
from c3d_viz.errors import ClipError


def two_tracks(path: Path, frames: list[np.ndarray], codecs: tuple[str, str]) -> Path:
    """A file of two video tracks, one after the other."""
    with av.open(str(path), "w") as container:
        streams = []
        for images, codec in zip(frames, codecs, strict=True):
            stream = container.add_stream(codec, rate=25)
            stream.height, stream.width = images.shape[1:3]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            streams.append(stream)
        for stream, images in zip(streams, frames, strict=True):
            for image in images:
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_still_picture_as_first_track_is_passed_over(tmp_path: Path, suffix: str) -> None:
    film, still = numbered_frames(40), np.full((1, 48, 64, 3), 200, np.uint8)
    path = two_tracks(tmp_path / f"a.{suffix}", [still, film], ("mjpeg", "libx264"))
    info = video_info(path)
    assert (info.frames, info.notes) == (40, ("video track 2 of 2 is read",))
    clip = read_clip(path, 7)
    assert frame_numbers(clip.frames) == list(range(7, 23))
    assert clip.notes == info.notes


def test_of_two_films_the_first_is_read(tmp_path: Path) -> None:
    films = [numbered_frames(40), np.zeros((40, 96, 128, 3), np.uint8)]
    path = two_tracks(tmp_path / "a.mp4", films, ("libx264", "libx264"))
    assert frame_numbers(read_clip(path).frames) == list(range(16))
    assert video_info(path).notes == ("video track 1 of 2 is read",)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG"), (1, None)])
def test_high_dynamic_range_is_said(tmp_path: Path, transfer: int, name: str | None) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.color_trc = transfer
        for image in numbered_frames(16):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())
    notes = read_clip(path).notes
    assert notes == video_info(path).notes
    assert len(notes) == (name is not None)
    assert all(f"({name}), shown without tone mapping" in note for note in notes)


READS: list[Callable[[Path], object]] = [video_info, read_clip, motion_energy, read_thumbnails]


@pytest.mark.parametrize("read", READS)
def test_one_cap_for_every_way_into_a_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object]
) -> None:
    """A few kB that declare 6000 x 6000: 36 million pixels, 16 of them 576 million."""
    gif = tmp_path / "a.gif"
    pictures = [Image.fromarray(frame) for frame in numbered_frames(20)]
    pictures[0].save(gif, save_all=True, append_images=pictures[1:], duration=40)
    data = bytearray(gif.read_bytes())
    data[6:10] = (6000).to_bytes(2, "little") * 2
    gif.write_bytes(bytes(data))
    with pytest.raises(ClipError, match="6000 x 6000 pixels; at most 18 million pixels a frame"):
        read(gif)
    monkeypatch.setattr("c3d_viz.clips.folder.MAX_FRAME_PIXELS", 199)
    monkeypatch.setattr(opening, "MAX_FRAME_PIXELS", 199)
    for path in (folder_of(tmp_path / "f", [f"{i}.png" for i in range(17)]), tmp_path / "a.webp"):
        pictures[0].save(tmp_path / "a.webp", save_all=True, append_images=pictures[1:])
        with pytest.raises(ClipError, match=r"x .* pixels; at most 0 million pixels a frame"):
            read(path)


def test_thumbnails_together_have_the_pixels_of_a_clip(tmp_path: Path) -> None:
    path = write_test_video(tmp_path / "a.mp4", numbered_frames(40))
    for options in ({"height": 10_000}, {"every": 1, "height": 5000}):
        with pytest.raises(ClipError, match=r"frames of .* more than the 300 million pixels"):
            read_thumbnails(path, **options)
    assert len(read_thumbnails(path, 10**9, height=48)[0]) == 40


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_large_frames_do_not_pile_up(tmp_path: Path) -> None:
    """PyAV ties each frame whose side data was asked for into a circle: 60 of them are 540 MB."""
    frames = np.zeros((1, 1500, 2000, 3), np.uint8).repeat(60, axis=0)
    path = write_test_video(tmp_path / "a.mp4", frames, options={**GOP, "bf": "0"})
    script = (
        "import gc, re, sys; from c3d_viz import clips; gc.disable()\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
        "start = peak(); clips.motion_energy(sys.argv[1]); one = peak()\n"
        "for _ in range(3): clips.motion_energy(sys.argv[1])\n"
        "print((one - start) / 1024, (peak() - one) / 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert re.fullmatch(r"[\d.]+ [\d.]+\n", done.stdout)
    once, more = map(float, done.stdout.split())
    assert once < 300
    assert more < 150
