"""What a folder holds: one video in pictures, or videos."""

from __future__ import annotations

from pathlib import Path

from c3d_viz.clips import find_videos


def holding(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_a_poster_beside_videos_makes_no_frames_of_them(tmp_path: Path) -> None:
    both = holding(tmp_path / "both", "a.mp4", "b.mov", "poster.jpg", "c.webp")
    assert find_videos([both]) == [
        (both / "a.mp4", False),
        (both / "b.mov", False),
        (both / "c.webp", False),
    ]
    frames = holding(tmp_path / "frames", "1.png", "2.png", "made-of-them.mp4")
    assert find_videos([frames]) == [(frames, True)]
    webp = holding(tmp_path / "webp", "1.webp", "2.webp", ".DS_Store.jpg")
    assert find_videos([webp]) == [(webp, True)]
    inner = holding(tmp_path / "set" / "x" / "frames", "1.jpg")
    holding(tmp_path / "set" / "y", "1.jpg", "1.mp4")  # searched one level deep alone
    assert find_videos([tmp_path / "set"]) == [(inner, False)]
