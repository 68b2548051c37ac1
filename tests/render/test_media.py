"""Files of pictures: what is written is what comes back, whole, playable, and always the same."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from video_files import frame_numbers, numbered_frames

from c3d_viz.clips import read_clip
from c3d_viz.errors import ExportError, ShapeError
from c3d_viz.render import media
from c3d_viz.render.media import encode_png, encode_video, write_image, write_video

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128)]


def solid(colour: tuple[int, int, int], size: int = 112) -> np.ndarray:
    return np.full((16, size, size, 3), colour, dtype=np.uint8)


def atoms(data: bytes) -> list[str]:
    """Names of an mp4's outermost parts, in order."""
    names, at = [], 0
    while at < len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        names.append(name.decode())
        at += size
    return names


@pytest.mark.parametrize("colour", [*COLOURS, (251, 155, 6), (28, 112, 206)])
def test_colours_survive(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, solid(colour), 25)
    got = read_clip(path).frames
    assert np.abs(got.astype(int) - np.array(colour)).max() <= 3


def test_mp4_is_what_browsers_play(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, numbered_frames(16), 30000 / 1001, scale=4)
    assert atoms(path.read_bytes())[:2] == ["ftyp", "moov"]  # the index before the pictures
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == Fraction(30000, 1001)
        assert (stream.width, stream.height, stream.frames) == (256, 192, 16)
        next(container.decode(stream))
        states = stream.codec_context
        tags = (states.colorspace, states.color_primaries, states.color_trc, states.color_range)
        assert tuple(int(tag) for tag in tags) == (1, 1, 1, 1)  # BT.709 three times, limited
    assert frame_numbers(read_clip(path).frames) == list(range(16))


def test_enlarged_pixels_stay_squares(tmp_path: Path) -> None:
    frames = np.zeros((16, 8, 8, 3), dtype=np.uint8)
    frames[:, 2, 5] = 255
    write_video(tmp_path / "a.mp4", frames, 10, scale=8)
    got = read_clip(tmp_path / "a.mp4").frames[7, :, :, 1]
    assert got.shape == (64, 64)
    assert got[17:23, 41:47].min() > 240
    assert got[:14].max() < 15


def test_odd_sizes_double_the_last_row_and_column(tmp_path: Path) -> None:
    frames = solid((20, 20, 20), 31)
    frames[:, -1, :] = 220
    write_video(tmp_path / "a.mp4", frames, 10)
    got = read_clip(tmp_path / "a.mp4").frames
    assert got.shape == (16, 32, 32, 3)
    assert got[5, 30:, 4:28].min() > 180
    assert got[5, :28, 4:28].max() < 60


@pytest.mark.parametrize("kind", ["mp4", "gif"])
def test_same_frames_same_bytes(kind: str) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (16, 40, 40, 3), dtype=np.uint8)
    assert encode_video(frames, 12, kind=kind) == encode_video(frames, 12, kind=kind)  # type: ignore[arg-type]


def test_bytes_and_file_are_the_same(tmp_path: Path) -> None:
    frames = numbered_frames(16)
    for name in ("a.mp4", "a.gif"):
        write_video(tmp_path / name, frames, 25, scale=2)
        kind = name[-3:]
        assert (tmp_path / name).read_bytes() == encode_video(frames, 25, scale=2, kind=kind)  # type: ignore[arg-type]


def test_gif_keeps_frames_speed_and_colours(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    frames = np.concatenate([solid(colour, 20)[:1] for colour in COLOURS])
    write_video(path, frames, 12.5)
    with Image.open(path) as gif:
        assert gif.n_frames == 6
        assert gif.info["duration"] == 80
        assert gif.info["loop"] == 0
        for number, colour in enumerate(COLOURS):
            gif.seek(number)
            assert gif.convert("RGB").getpixel((10, 10)) == colour
    write_video(path, frames, 1000)
    with Image.open(path) as gif:
        assert gif.info["duration"] == 20  # the fastest that browsers keep


def test_still_frames_keep_their_time(tmp_path: Path) -> None:
    """A GIF may hold identical neighbours as one longer picture; an mp4 holds each."""
    write_video(tmp_path / "a.gif", solid((9, 9, 9), 16), 10)
    write_video(tmp_path / "a.mp4", solid((9, 9, 9), 16), 10)
    assert read_clip(tmp_path / "a.mp4").frames.shape == (16, 16, 16, 3)
    with Image.open(tmp_path / "a.gif") as gif:
        shown = 0
        for number in range(gif.n_frames):
            gif.seek(number)
            shown += gif.info["duration"]
    assert shown == 1600


def test_png_is_lossless(tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 256, (33, 21, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", image)
    assert np.array_equal(np.array(Image.open(tmp_path / "a.png")), image)
    assert (tmp_path / "a.png").read_bytes() == encode_png(image)
    gray = np.array(Image.open(io.BytesIO(encode_png(image[..., 0]))))
    assert np.array_equal(gray, image[..., 0])


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, solid((9, 9, 9), 16), 10)
    before = path.read_bytes()

    def broken(*_: object, **__: object) -> np.ndarray:
        raise RuntimeError("interrupted")

    monkeypatch.setattr(media, "_yuv420", broken)
    with pytest.raises(RuntimeError, match="interrupted"):
        write_video(path, solid((200, 9, 9), 16), 10)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    folder = tmp_path / "b.png"
    folder.mkdir()
    with pytest.raises(ExportError, match=r"cannot write .*b.png: Is a directory"):
        write_image(folder, np.zeros((4, 4, 3), np.uint8))
    assert sorted(tmp_path.iterdir()) == [path, folder]


def test_files_are_readable_as_other_new_files_are(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    write_video(tmp_path / "a.mp4", solid((9, 9, 9), 16), 10)
    (tmp_path / "plain").touch()
    mode = (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "a.png").stat().st_mode == mode
    assert (tmp_path / "a.mp4").stat().st_mode == mode


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    frames = solid((9, 9, 9), 16)
    with pytest.raises(ExportError, match=r"written as .mp4 or .gif; change the name"):
        write_video(tmp_path / "a.avi", frames, 10)
    with pytest.raises(ExportError, match=r"written as \.png"):
        write_image(tmp_path / "a.jpg", frames[0])
    for name in ("a.mp4", "a.gif"):
        with pytest.raises(ExportError, match=r"cannot write .*none/a.*: No such file"):
            write_video(tmp_path / "none" / name, frames, 10)
    with pytest.raises(ShapeError, match=r"\(T, H, W, 3\), got float64 \(16, 16, 16, 3\)"):
        write_video(tmp_path / "a.mp4", frames / 255, 10)
    with pytest.raises(ShapeError, match="got uint8"):
        encode_video(frames[0], 10)
    for fps in (0, -1, float("nan"), float("inf"), 1e-9, 1e30):
        with pytest.raises(ShapeError, match="fps must be a"):
            encode_video(frames, fps)
    with pytest.raises(ShapeError, match="scale must be a whole number of at least 1"):
        encode_video(frames, 10, scale=0)
    with pytest.raises(ShapeError, match=r"scale must be a 64-bit whole number, got 1\.5"):
        encode_video(frames, 10, scale=1.5)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="a picture must be uint8"):
        encode_png(frames)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["mp4", "gif"])
def test_videos_too_large_for_memory_are_refused(tmp_path: Path, kind: str) -> None:
    frames = solid((9, 9, 9), 112)
    for scale in (5000, np.int32(5000), 10**9):
        with pytest.raises(ShapeError, match=r"16 frames of .* at most 300 million pixels"):
            write_video(tmp_path / f"a.{kind}", frames, 10, scale=scale)
    thin = np.zeros((1, 1, 20_000, 3), np.uint8)
    with pytest.raises(ShapeError, match=r"1 frames of 20000 x 1 are more .* 16384 a side"):
        encode_video(thin, 10, kind=kind)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
