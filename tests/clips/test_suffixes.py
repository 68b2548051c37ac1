"""The one list of what is taken for a clip."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from video_files import numbered_frames, write_test_video

from c3d_viz.clips import PICTURE_SUFFIXES, VIDEO_SUFFIXES, begins_like_video, opening, video_info

CODECS = {
    ".webm": "libvpx", ".mpg": "mpeg1video", ".mpeg": "mpeg2video", ".wmv": "wmv2", ".asf": "wmv2",
    ".flv": "flv", ".ogv": "libvpx", ".3g2": "mpeg4", ".avi": "mpeg4",
}  # fmt: skip


@pytest.mark.parametrize("suffix", VIDEO_SUFFIXES)
def test_each_kind_is_read_and_recognised(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    frames = numbered_frames(18, 48, 64)
    if suffix in (".gif", ".webp"):
        pictures = [Image.fromarray(frame) for frame in frames]
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40)
    else:
        codec = CODECS.get(suffix, "libx264")
        write_test_video(path, frames, codec=codec, options={"qscale": "3"})
    assert begins_like_video(path.read_bytes()[:200])
    assert video_info(path).frames == 18


def test_other_files_do_not_begin_like_one() -> None:
    for head in (b"", b"PK\x03\x04" * 50, b"%PDF-1.7" * 25, b"#EXTM3U\n" * 25, b"\x80\x02}q" * 50):
        assert not begins_like_video(head)
    assert not set(PICTURE_SUFFIXES) - {".webp"} & set(VIDEO_SUFFIXES)


def test_pyav_19_takes_titles_in_any_encoding_without_being_asked() -> None:
    assert opening._lenient("18.1.0") == {"metadata_errors": "replace"}
    assert opening._lenient("19.0.2") == {}
