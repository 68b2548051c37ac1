"""Files from strangers: checked, renamed, and gone when they should be."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app import uploads
from app.uploads import Storage, harmless, store_clip, store_weights, sweep
from c3d_viz.clips import video_info
from c3d_viz.errors import ClipError, WeightsError


@pytest.fixture
def video(tmp_path: Path, make_video: Callable[..., Path]) -> bytes:
    frames = np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), dtype=np.uint8)
    return make_video(tmp_path / "made.mp4", frames).read_bytes()


def test_a_good_clip_is_kept_under_a_name_of_our_own(tmp_path: Path, video: bytes) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    stored = store_clip(folder, "../../etc/my clip.MP4", video)
    assert stored.path.parent == folder
    assert stored.path.suffix == ".mp4"
    assert "clip" not in stored.path.name
    assert stored.label == "my clip.MP4"
    assert stored.path.read_bytes() == video
    assert stored.info is not None
    assert (stored.info.frames, stored.info.width, stored.info.height) == (20, 64, 48)


@pytest.mark.parametrize("suffix", ["m4v", "mpeg", "ts", "wmv", "3gp", "webp"])
def test_whatever_the_command_line_reads_can_be_uploaded(
    tmp_path: Path, make_video: Callable[..., Path], suffix: str
) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (20, 96, 128, 3), dtype=np.uint8)
    path = tmp_path / f"made.{suffix}"
    if suffix == "webp":
        first, *rest = [Image.fromarray(frame) for frame in frames]
        first.save(path, save_all=True, append_images=rest, duration=40)
    else:
        codec = {"mpeg": "mpeg2video", "wmv": "wmv2"}.get(suffix, "libx264")
        make_video(path, frames, codec=codec, options={})
    assert video_info(path).frames == 20
    folder = tmp_path / "s"
    folder.mkdir()
    stored = store_clip(folder, path.name, path.read_bytes())
    assert stored.info is not None
    assert stored.info.frames == 20


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("notes.mp4", b"just text, no video at all", "does not begin like a video"),
        ("empty.mp4", b"", "is empty"),
        ("page.html", b"<html>", "of a type that is not read here"),
        ("noname", b"\0\0\0\x18ftypmp42", "of a type that is not read here"),
        ("list.mp4", b"#EXTM3U\nhttp://example.org/x.ts", "does not begin like a video"),
        ("cut.mp4", b"\0\0\0\x18ftypmp42" + b"\0" * 400, "cut.mp4"),
        ("cut.mkv", b"\x1a\x45\xdf\xa3" + b"\0" * 400, "cut.mkv"),
        ("text.ts", b"Go on" * 60, "does not begin like a video"),
        ("cut.wmv", b"\x30\x26\xb2\x75" + b"\0" * 400, "cut.wmv"),
        ("cut.gif", b"GIF89a" + b"\0" * 20, "cut.gif"),
    ],
)
def test_bad_clips_get_one_line_and_leave_nothing(
    tmp_path: Path, name: str, data: bytes, says: str
) -> None:
    with pytest.raises(ClipError) as caught:
        store_clip(tmp_path, name, data)
    message = str(caught.value)
    assert says in message
    assert "\n" not in message
    assert str(tmp_path) not in message
    assert list(tmp_path.iterdir()) == []


def test_too_short_a_clip_is_refused(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    data = make_video(tmp_path / "x.mp4", np.zeros((9, 48, 64, 3), np.uint8)).read_bytes()
    folder = tmp_path / "s"
    folder.mkdir()
    with pytest.raises(ClipError, match="has 9 frames; the network looks at 16"):
        store_clip(folder, "short.mp4", data)
    assert list(folder.iterdir()) == []


def test_sixteen_frames_are_enough(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    data = make_video(tmp_path / "x.mp4", np.zeros((16, 48, 64, 3), np.uint8)).read_bytes()
    (tmp_path / "s").mkdir()
    stored = store_clip(tmp_path / "s", "short.mp4", data)
    assert stored.info is not None
    assert stored.info.frames == 16


def test_too_large_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "CLIP_LIMIT_MB", 1)
    monkeypatch.setattr(uploads, "WEIGHTS_LIMIT_MB", 1)
    data = b"\0\0\0\x18ftypmp42" + bytes(2 * 1024**2)
    with pytest.raises(ClipError, match="has 2 MB, at most 1 MB"):
        store_clip(tmp_path, "a.mp4", data)
    with pytest.raises(WeightsError, match="has 2 MB, at most 1 MB"):
        store_weights(tmp_path, "a.pth", data)
    assert list(tmp_path.iterdir()) == []


def test_weights_are_kept_and_other_files_refused(tmp_path: Path) -> None:
    stored = store_weights(tmp_path, "C:\\models\\c3d.pth", b"PK\3\4")
    assert stored.label == "c3d.pth"
    assert stored.path.read_bytes() == b"PK\3\4"
    with pytest.raises(WeightsError, match="not read here"):
        store_weights(tmp_path, "weights.exe", b"MZ")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../../etc/passwd", "passwd"),
        ("a\x00b\n.mp4", "a_b_.mp4"),
        ("![x](http://x.org/a.png).mp4", "a.png).mp4"),
        ("<img src=x>.mp4", "_img src_x_.mp4"),
        ("", "file"),
        ("日本語.mp4", "日本語.mp4"),
    ],
)
def test_names_are_made_harmless(given: str, shown: str) -> None:
    assert harmless(given) == shown


def test_long_names_are_cut() -> None:
    assert len(harmless("x" * 500 + ".mp4")) <= 60


def test_a_session_gets_its_own_folder_and_the_server_removes_all(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    one, two = storage.session(), storage.session()
    assert one != two
    assert one.stat().st_mode & 0o077 == 0
    (one / "x").write_bytes(b"1")
    storage.close()
    storage.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX file locks")
def test_what_a_crashed_server_left_is_swept_and_a_living_ones_is_not(tmp_path: Path) -> None:
    crash = (
        "import sys, os, pathlib; from app.uploads import Storage;"
        "s = Storage(pathlib.Path(sys.argv[1])); (s.session() / 'clip.mp4').write_bytes(b'x');"
        "os._exit(9)"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", crash, str(tmp_path)], cwd=root, check=False)
    assert len(list(tmp_path.rglob("clip.mp4"))) == 1
    living = Storage(tmp_path)  # sweeps at its start
    assert list(tmp_path.rglob("clip.mp4")) == []
    other = tmp_path / "somebody-elses"
    other.mkdir()
    assert sweep(tmp_path) == []
    assert living.root.is_dir()
    assert other.is_dir()
    living.close()
