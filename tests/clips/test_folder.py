"""Folders of frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from video_files import (
    corner_frames,
    corners,
    folder_of,
)

from c3d_viz.clips import folder as frame_folder
from c3d_viz.clips import read_clip, video, video_info


def test_folders_are_sorted_as_people_count(tmp_path: Path) -> None:
    names = [f"frame{i}.png" for i in range(1, 19)]
    folder = folder_of(tmp_path / "walk", names)
    (folder / "notes.txt").write_text("not a frame")
    (folder / ".hidden.png").write_bytes(b"x")
    (folder / "masks").mkdir()
    clip = read_clip(folder, start=1)
    assert clip.frames[:, 0, 0, 0].tolist() == list(range(1, 17))
    assert (clip.name, clip.fps) == ("walk", 25.0)
    assert video_info(folder) == video.VideoInfo(18, 25.0, 20, 10, 18 / 25)
    mixed = ["10.png", "9.PNG", "img2.bmp", "img10.png", "IMG3.png", "02.png", "2.png"]
    assert sorted(mixed, key=frame_folder.counting_order) == [
        "02.png",
        "2.png",
        "9.PNG",
        "10.png",
        "img2.bmp",
        "IMG3.png",
        "img10.png",
    ]


def test_a_folder_called_frames_is_named_after_its_parent(shared_data: Path) -> None:
    clip = read_clip(shared_data / "davis" / "dog" / "frames")
    assert clip.name == "dog"
    assert clip.frames.shape == (16, 240, 428, 3)


def test_kinds_of_pictures(tmp_path: Path) -> None:
    tmp_path.joinpath("f").mkdir()
    folder = tmp_path / "f"
    gray16 = (np.arange(60 * 40).reshape(40, 60) * 27).astype(np.uint16)
    Image.fromarray(gray16).save(folder / "0.png")
    Image.fromarray((gray16 >> 8).astype(np.uint8)).save(folder / "1.png")
    Image.fromarray((gray16 >> 8).astype(np.uint8)).convert("RGBA").save(folder / "2.png")
    Image.fromarray((gray16 >> 8).astype(np.uint8)).convert("P").save(folder / "3.png")
    frames = read_clip(folder, frames=4).frames
    assert all(np.array_equal(frame, frames[1]) for frame in frames)
    turned = corner_frames(1)[0]
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn a quarter clockwise
    path = tmp_path / "g"
    path.mkdir()
    Image.fromarray(turned).save(path / "0.jpg", exif=exif, quality=95)
    assert corners(read_clip(path, frames=1).frames[0]) == "BRWG"
