"""Folders of frames, and files of several pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from video_files import corner_frames, corners, folder_of, frame_numbers, numbered_frames

from c3d_viz.clips import folder as frame_folder
from c3d_viz.clips import motion_energy, read_clip, read_thumbnails, video, video_info
from c3d_viz.errors import ClipError


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


def test_floating_point_frames_are_scaled_or_refused(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    ramp = np.linspace(0, 1, 40 * 60, dtype=np.float32).reshape(40, 60)
    Image.fromarray(ramp).save(folder / "0.tif")
    frames = read_clip(folder, frames=1).frames
    assert np.array_equal(frames[0, ..., 1], np.rint(ramp * 255))
    others = {
        "floating-point values from 0 to 200": ramp * 200,
        "floating-point values from -0.5 to 0.5": ramp - 0.5,
        "floating-point values from nan to nan": ramp * np.nan,
    }
    for expected, values in others.items():
        Image.fromarray(values).save(folder / "0.tif")
        with pytest.raises(ClipError, match=rf"0.tif holds {expected}, and nothing says"):
            read_clip(folder, frames=1)


def test_animated_webp_is_read_as_a_gif_is(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    pictures = [Image.fromarray(frame) for frame in numbered_frames(40)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[20, 60] * 20)
    assert video_info(path) == video.VideoInfo(40, 25.0, 64, 48, 1.6)
    assert frame_numbers(read_clip(path, start=24).frames) == list(range(24, 40))
    assert frame_numbers(read_clip(path, start=1, stride=2).frames) == list(range(1, 33, 2))
    assert read_thumbnails(path, 4, height=48)[0] == [5, 15, 25, 35]
    assert motion_energy(path).shape == (40,)
    renamed = path.rename(tmp_path / "a.gif")
    assert frame_numbers(read_clip(renamed, start=3).frames) == list(range(3, 19))
    with pytest.raises(ClipError, match="has 40 frames; start 30"):
        read_clip(renamed, start=30)
    pictures[0].save(path)
    with pytest.raises(ClipError, match="has 1 frame; a window of 16"):
        read_clip(path)
    path.write_bytes(renamed.read_bytes()[:300])
    with pytest.raises(ClipError, match=r"a.webp cannot be read \(damaged"):
        read_clip(path)
