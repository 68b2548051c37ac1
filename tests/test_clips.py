"""Clips: which frames come out, upright and in order, from any file; what the net then gets."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from video_files import ROOT, frame_numbers, numbered_frames, write_test_video

from c3d_viz import clips, frame_folder, video, video_frame, video_open
from c3d_viz.clips import (
    Clip,
    cropped_frames,
    motion_energy,
    preprocess,
    preprocess_frames,
    read_clip,
    read_clips,
    read_thumbnails,
    resized_frames,
    video_info,
    window_starts,
)
from c3d_viz.errors import ClipError, ShapeError
from c3d_viz.spec import CAFFE_INPUT, COMPACT_INPUT, MMACTION_INPUT, InputSpec

GOP = {"g": "30", "bf": "3", "preset": "ultrafast", "crf": "20"}


def colour_noise(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def corner_frames(count: int = 18, height: int = 64, width: int = 96) -> np.ndarray:
    """Red top left, green top right, blue bottom left, white bottom right."""
    frames = np.zeros((count, height, width, 3), dtype=np.uint8)
    frames[:, : height // 2, : width // 2] = (220, 20, 20)
    frames[:, : height // 2, width // 2 :] = (20, 220, 20)
    frames[:, height // 2 :, : width // 2] = (20, 20, 220)
    frames[:, height // 2 :, width // 2 :] = 220
    return frames


def corners(frame: np.ndarray) -> str:
    """The corners' colours from top left by rows, e.g. "RGBW"."""
    h, w = frame.shape[0] // 8, frame.shape[1] // 8
    names = {(1, 0, 0): "R", (0, 1, 0): "G", (0, 0, 1): "B", (1, 1, 1): "W"}
    found = (frame[h, w], frame[h, -w], frame[-h, w], frame[-h, -w])
    return "".join(names[tuple(int(v > 120) for v in pixel)] for pixel in found)


# --- which frames ---------------------------------------------------------------------------


def test_lossless_video_comes_back_pixel_by_pixel(tmp_path: Path) -> None:
    frames = colour_noise(24, 36, 52)
    path = write_test_video(tmp_path / "a.mkv", frames, codec="ffv1", pix_fmt="bgr0", fps=30)
    clip = read_clip(path, start=3)
    assert np.array_equal(clip.frames, frames[3:19])
    assert (clip.start, clip.stride, clip.source, clip.name) == (3, 1, str(path), "a")
    assert clip.fps == 30
    assert np.array_equal(read_clip(path, start=1, frames=5, stride=4).frames, frames[1:21:4])


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        ("mp4", "libx264", GOP),
        ("mov", "libx264", {**GOP, "x264-params": "open-gop=1"}),
        ("mkv", "libx264", GOP),
        ("ts", "libx264", GOP),
        ("mp4", "libx265", {"preset": "ultrafast", "x265-params": "keyint=30:log-level=none"}),
        ("webm", "libvpx-vp9", {"g": "30", "deadline": "realtime", "cpu-used": "8"}),
        ("webm", "libvpx", {"g": "30", "deadline": "realtime", "auto-alt-ref": "1"}),
        ("avi", "mpeg4", {"g": "30", "qscale": "3"}),
        ("mp4", "mpeg4", {"g": "30", "bf": "2", "b:v": "400k"}),
    ],
)
def test_far_starts_give_the_frames_decoding_from_the_start_gives(
    tmp_path: Path, suffix: str, codec: str, options: dict[str, str]
) -> None:
    path = write_test_video(
        tmp_path / f"a.{suffix}", numbered_frames(200), codec=codec, options=options
    )
    everything = read_clip(path, frames=200).frames
    assert frame_numbers(everything) == list(range(200))
    for start in (60, 89, 90, 119, 184):
        far = read_clip(path, start=start).frames
        assert frame_numbers(far) == list(range(start, start + 16))
        assert np.array_equal(far, everything[start : start + 16])
    assert frame_numbers(read_clip(path, start=2, frames=4, stride=65).frames) == [2, 67, 132, 197]


def test_seeking_is_used_where_it_is_exact(tmp_path: Path) -> None:
    path = write_test_video(tmp_path / "a.mp4", numbered_frames(200), options=GOP)
    keys = video.VideoFile(path).keyframes()
    assert keys is not None
    assert keys.tolist() == [0, 30, 60, 90, 120, 150, 180]
    seeks = []
    index = video.index_of(path, "a")
    wrong = video.Index(index.count, True, index.pts + 1, index.keys, index.key_dts)
    decoded = video.VideoFile(path)._decode([150], lambda f: seeks.append(f.pts) or f, wrong)
    with pytest.raises(video._NotExactError):  # a numbering that does not hold is noticed
        list(decoded)


def test_a_wrong_index_falls_back_to_decoding_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_test_video(tmp_path / "a.mp4", numbered_frames(200), options=GOP)
    good = video.index_of(path, "a")
    pts = good.pts.copy()
    pts[155:] += 7
    wrong = video.Index(good.count, True, pts, good.keys, good.key_dts)
    monkeypatch.setattr(video, "index_of", lambda *_: wrong)
    assert frame_numbers(read_clip(path, start=150).frames) == list(range(150, 166))


def test_real_clips_seek_exactly(shared_data: Path) -> None:
    for path in sorted((shared_data / "clips").iterdir()):
        count = video_info(path).frames
        start = min(count - 16, 290)
        far = read_clip(path, start=start).frames
        straight = [
            f
            for _, f in video.VideoFile(path)._decode(
                list(range(start, start + 16)), video.to_rgb, None
            )
        ]
        assert np.array_equal(far, np.stack(straight)), path.name


def test_variable_frame_rate_counts_frames_not_time(tmp_path: Path) -> None:
    times = np.cumsum([1, 5, 1, 1, 9, 2] * 15).tolist()
    path = write_test_video(tmp_path / "vfr.mp4", numbered_frames(90), times=times, options=GOP)
    assert frame_numbers(read_clip(path, start=5).frames) == list(range(5, 21))
    assert frame_numbers(read_clip(path, start=70).frames) == list(range(70, 86))
    assert video_info(path).frames == 90


def test_several_windows_come_in_one_pass_and_may_overlap(tmp_path: Path) -> None:
    path = write_test_video(tmp_path / "a.mp4", numbered_frames(120), options=GOP)
    starts = [0, 0, 7, 20, 100]
    got = list(read_clips(path, starts))
    assert [clip.start for clip in got] == starts
    for clip in got:
        assert frame_numbers(clip.frames) == list(range(clip.start, clip.start + 16))
    strided = list(read_clips(path, [0, 1, 2], frames=4, stride=2))
    assert [frame_numbers(c.frames) for c in strided] == [[0, 2, 4, 6], [1, 3, 5, 7], [2, 4, 6, 8]]


def test_windows_before_a_faulty_one_are_delivered(tmp_path: Path) -> None:
    path = write_test_video(tmp_path / "a.mp4", numbered_frames(40))
    reader = read_clips(path, [0, 20, 30])
    assert next(reader).start == 0
    assert next(reader).start == 20
    with pytest.raises(ClipError, match=r"has 40 frames; start 30 .* possible start is 24"):
        next(reader)


# --- odd files ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("ten.mp4", "libx264", "yuv420p10le"),
        ("full.mp4", "libx264", "yuv444p"),
        ("gray.mkv", "ffv1", "gray"),
        ("gray10.mkv", "ffv1", "gray10le"),
        ("sixteen.mkv", "ffv1", "yuv444p16le"),
        ("prores.mov", "prores_ks", "yuv422p10le"),
        ("jpeg.avi", "mjpeg", "yuvj420p"),
        ("h265.mp4", "libx265", "yuv420p10le"),
        ("web.webm", "libvpx-vp9", "yuv420p"),
    ],
)
def test_every_pixel_format_becomes_rgb_of_the_same_lightness(
    tmp_path: Path, name: str, codec: str, pix_fmt: str
) -> None:
    frames = np.empty((16, 64, 96, 3), dtype=np.uint8)
    frames[:] = np.linspace(30, 220, 16, dtype=np.uint8)[:, None, None, None]
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = write_test_video(tmp_path / name, frames, codec=codec, pix_fmt=pix_fmt, options=options)
    got = read_clip(path).frames
    assert got.shape == frames.shape
    assert np.abs(got.astype(int) - frames).max() <= 6


def test_odd_sizes_and_gif_and_audio_first(tmp_path: Path) -> None:
    odd = write_test_video(tmp_path / "odd.mkv", numbered_frames(20, 47, 67), pix_fmt="yuv444p")
    assert read_clip(odd, start=2).frames.shape == (16, 47, 67, 3)
    gif = tmp_path / "a.gif"
    pictures = [Image.fromarray(frame) for frame in numbered_frames(20)]
    pictures[0].save(gif, save_all=True, append_images=pictures[1:], duration=40)
    assert frame_numbers(read_clip(gif, start=4).frames) == list(range(4, 20))
    sound = write_test_video(tmp_path / "sound.mp4", numbered_frames(20), audio_first=True)
    with av.open(str(sound)) as container:
        assert container.streams[0].type == "audio"
    assert frame_numbers(read_clip(sound, start=4).frames) == list(range(4, 20))


def test_colours_follow_the_matrix_the_file_states(tmp_path: Path) -> None:
    frames = corner_frames(16)
    path = tmp_path / "709.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.options = {"crf": "5"}
        stream.codec_context.colorspace = 1
        for image in frames:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    got = read_clip(path).frames
    for y, x in itertools.product((10, 54), (10, 86)):
        assert np.abs(got[8, y, x].astype(int) - frames[8, y, x]).max() <= 5


@pytest.mark.parametrize(
    ("rotation", "expected", "size"),
    [
        (0, "RGBW", (64, 96)),
        (90, "GWRB", (96, 64)),
        (180, "WBGR", (64, 96)),
        (270, "BRWG", (96, 64)),
    ],
)
def test_phone_videos_come_out_upright(
    tmp_path: Path, rotation: int, expected: str, size: tuple[int, int]
) -> None:
    path = write_test_video(tmp_path / "phone.mp4", corner_frames(), rotation=rotation)
    clip = read_clip(path)
    assert clip.frames.shape[1:3] == size
    assert corners(clip.frames[0]) == expected
    info = video_info(path)
    assert (info.height, info.width) == size
    thumbnails = read_thumbnails(path, 2, height=32)[1]
    assert corners(thumbnails[0]) == expected
    assert thumbnails.shape[1:3] == (32, round(32 * size[1] / size[0]))


def test_rotated_files_of_a_phone(shared_data: Path) -> None:
    sizes = {0: (320, 568), 90: (568, 320), 270: (568, 320)}
    for angle, size in sizes.items():
        path = shared_data / "odd" / f"rotated-{angle}.mov"
        assert read_clip(path, frames=3).frames.shape[1:3] == size


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((1, 0, 0, 1), "RGBW"),
        ((-1, 0, 0, 1), "GRWB"),  # front camera, mirrored
        ((1, 0, 0, -1), "BWRG"),
        ((-1, 0, 0, -1), "WBGR"),
        ((0, 1, 1, 0), "RBGW"),
        ((0, 1, -1, 0), "BRWG"),
        ((0, -1, 1, 0), "GWRB"),
        ((0, -1, -1, 0), "WGBR"),
    ],
)
def test_all_eight_display_matrices(matrix: tuple[int, ...], expected: str) -> None:
    a, b, c, d = (v * 65536 for v in matrix)
    data = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], dtype=np.int32)
    frame = SimpleNamespace(side_data={"DISPLAYMATRIX": data})
    assert corners(video_frame.upright(corner_frames(1)[0], frame)) == expected  # type: ignore[arg-type]


def test_cover_art_is_not_a_video(tmp_path: Path) -> None:
    song = tmp_path / "song.mp3"
    cover = tmp_path / "cover.png"
    Image.new("RGB", (64, 64), "red").save(cover)
    with av.open(str(song), "w") as container:
        sound = container.add_stream("libmp3lame", rate=44100)
        with av.open(str(cover)) as picture:
            art = container.add_stream_from_template(picture.streams.video[0])
            art.disposition = av.stream.Disposition.attached_pic
            silence = av.AudioFrame.from_ndarray(
                np.zeros((2, 1152), dtype=np.float32), format="fltp", layout="stereo"
            )
            silence.sample_rate = 44100
            container.mux(sound.encode(silence))
            container.mux(sound.encode(None))
            for packet in picture.demux():
                if packet.size:
                    packet.stream = art
                    container.mux(packet)
    with pytest.raises(ClipError, match="has no video stream"):
        read_clip(song)


# --- folders --------------------------------------------------------------------------------


def folder_of(path: Path, names: list[str], **changes: object) -> Path:
    path.mkdir()
    for value, name in enumerate(names):
        Image.new("RGB", (20, 10), (value, value, value)).save(path / name)
    return path


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


# --- errors ---------------------------------------------------------------------------------


def bad_files(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    """Name -> (path, what its one-line error must say)."""
    good = write_test_video(tmp_path / "good.mp4", colour_noise(40, 48, 64), options=GOP)
    data = good.read_bytes()
    cases = {
        "missing": (tmp_path / "no.mp4", "does not exist"),
        "empty": (tmp_path / "empty.mp4", r"is empty \(0 bytes\)"),
        "text": (tmp_path / "text.mp4", "not a video"),
        "no index": (
            tmp_path / "cut.mp4",
            "its start or index is damaged or missing",
        ),
        "playlist": (tmp_path / "list.mp4", "not a video"),
        "audio": (tmp_path / "song.mp4", r"has no video stream \(only audio\)"),
        "no pictures": (tmp_path / "none", "holds no pictures"),
        "short": (tmp_path / "short.mp4", "has 10 frames; a window of 16 needs 16"),
        "still": (tmp_path / "still.jpg", "has 1 frame; a window of 16 needs 16"),
        "short folder": (tmp_path / "few", "has 3 frames; a window of 16 needs 16"),
        "sizes": (tmp_path / "sizes", "16.png is 30 x 10, 0.png is 20 x 10; all frames"),
        "broken picture": (tmp_path / "broken", r"7.png cannot be read \(damaged"),
        "garbage": (tmp_path / "garbage.mp4", "is damaged"),
        "odd name": (tmp_path / "a\nb\0c.mp4", r"a\\nb\\x00c.mp4 does not exist"),
        "long name": (tmp_path / ("x" * 300), "name too long"),
    }
    cases["empty"][0].touch()
    cases["text"][0].write_text("This is no video.\n" * 40)
    cases["no index"][0].write_bytes(data[: len(data) // 2])
    cases["playlist"][0].write_text(f"#EXTM3U\n#EXTINF:1,\n{good}\n#EXT-X-ENDLIST\n")
    cases["no pictures"][0].mkdir()
    (cases["no pictures"][0] / "read.me").write_text("-")
    write_test_video(cases["short"][0], numbered_frames(10))
    Image.new("RGB", (64, 48)).save(cases["still"][0])
    folder_of(cases["short folder"][0], ["1.png", "2.png", "3.png"])
    folder_of(cases["sizes"][0], [f"{i}.png" for i in range(17)])
    Image.new("RGB", (30, 10)).save(cases["sizes"][0] / "16.png")
    (cases["sizes"][0] / "5.png").unlink()
    broken = folder_of(cases["broken picture"][0], [f"{i}.png" for i in range(17)])
    whole = (broken / "7.png").read_bytes()
    (broken / "7.png").write_bytes(whole[: len(whole) // 2])
    fast = write_test_video(
        tmp_path / "fast.mp4", colour_noise(40, 48, 64),
        options={**GOP, "bf": "0"}, container_options={"movflags": "+faststart"},
    )  # fmt: skip
    torn = bytearray(fast.read_bytes())
    torn[len(torn) // 8 :] = bytes(len(torn) - len(torn) // 8)
    cases["garbage"][0].write_bytes(bytes(torn))
    with av.open(str(cases["audio"][0]), "w") as container:
        sound = container.add_stream("aac", rate=44100)
        silence = av.AudioFrame.from_ndarray(
            np.zeros((2, 4410), dtype=np.float32), format="fltp", layout="stereo"
        )
        silence.sample_rate = 44100
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    return cases


def test_bad_input_is_one_line_that_says_what_to_do(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cases = bad_files(tmp_path)
    capfd.readouterr()
    for name, (path, expected) in cases.items():
        with pytest.raises(ClipError, match=expected) as caught:
            read_clip(path)
        message = str(caught.value)
        assert "\n" not in message, name
        assert path.name in message or name in ("broken picture", "odd name"), name
        assert ";" in message or ":" in message, name
    assert capfd.readouterr().err == ""  # nothing from ffmpeg or the picture readers


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.avi", "mpeg4"), ("a.webm", "libvpx-vp9")]
)
def test_damaged_bytes_give_a_clip_or_one_line(
    tmp_path: Path, name: str, codec: str, capfd: pytest.CaptureFixture[str]
) -> None:
    options = {"g": "30", "deadline": "realtime", "cpu-used": "8"} if "webm" in name else {}
    path = write_test_video(tmp_path / name, numbered_frames(40), codec=codec, options=options)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    capfd.readouterr()
    outcomes, messages = set(), []
    for kind, _ in itertools.product(range(4), range(8)):
        data = bytearray(whole)
        if kind == 0:
            del data[random.integers(len(data)) :]
        else:  # anywhere, in the header, in the index at the end
            low = len(data) - 600 if kind == 3 else 0
            high = 600 if kind == 2 else len(data)
            for place in random.integers(low, high, 25):
                data[place] = random.integers(256)
        path.write_bytes(bytes(data))
        for read in (video_info, read_clip, motion_energy):
            try:
                read(path)
                outcomes.add("read")
            except ClipError as error:
                messages.append(str(error))
                outcomes.add("refused")
    assert not any("\n" in message for message in messages)
    assert outcomes == {"read", "refused"}
    assert capfd.readouterr().err == ""


def test_titles_in_other_encodings_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "TITLETITLE"
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        for image in numbered_frames(16):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="bgr0")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    path.write_bytes(path.read_bytes().replace(b"TITLETITLE", b"\xe9t\xe9\xff\xfeTITLE"))
    assert frame_numbers(read_clip(path).frames) == list(range(16))


def test_truncated_file_gives_what_is_whole(tmp_path: Path) -> None:
    fast = write_test_video(
        tmp_path / "a.mp4", colour_noise(60, 48, 64),
        options={**GOP, "bf": "0"}, container_options={"movflags": "+faststart"},
    )  # fmt: skip
    whole = read_clip(fast).frames
    data = fast.read_bytes()
    fast.write_bytes(data[: len(data) * 2 // 3])
    assert np.array_equal(read_clip(fast).frames, whole)
    with pytest.raises(ClipError, match="truncated"):
        read_clip(fast, start=44)


def test_corrupted_file(shared_data: Path) -> None:
    path = shared_data / "odd" / "corrupted.mp4"
    assert read_clip(path, start=10).frames.shape == (16, 720, 1280, 3)
    with pytest.raises(ClipError, match=r"corrupted.mp4 is damaged or truncated: frame 28 cannot"):
        read_clip(path, start=20)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"start": -1}, "start must be 0 or more, got -1"),
        ({"stride": 0}, "frames and stride must be at least 1"),
        ({"frames": 0}, "frames and stride must be at least 1"),
        ({"start": 25}, "has 40 frames; start 25 with 16 frames needs 41: the last possible .* 24"),
        ({"start": 4000}, "start 4000 with 16 frames needs 4016: the last possible start is 24"),
        ({"stride": 3}, "has 40 frames; a window of 16 at stride 3 needs 46: .* smaller stride"),
    ],
)
def test_windows_that_do_not_exist(
    tmp_path: Path, arguments: dict[str, int], expected: str
) -> None:
    path = write_test_video(tmp_path / "a.mp4", numbered_frames(40))
    with pytest.raises(ClipError, match=expected):
        read_clip(path, **arguments)
    with pytest.raises(ClipError, match="must ascend"):
        list(read_clips(path, [5, 3]))


def test_absurd_sizes_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path / "f", ["1.png"])
    header = bytearray((folder / "1.png").read_bytes())
    header[16:24] = (60000).to_bytes(4, "big") * 2  # width and height in the PNG's header
    import zlib

    header[29:33] = zlib.crc32(bytes(header[12:29])).to_bytes(4, "big")
    (folder / "1.png").write_bytes(bytes(header))
    with pytest.raises(ClipError, match="at most 36 million pixels a frame"):
        read_clip(folder, frames=1)
    path = write_test_video(tmp_path / "a.mp4", numbered_frames(20))
    monkeypatch.setattr(clips, "MAX_CLIP_PIXELS", 16 * 48 * 64 - 1)
    with pytest.raises(ClipError, match="16 frames of 64 x 48 are more than"):
        read_clip(path)
    monkeypatch.setattr(video_open, "MAX_FRAME_PIXELS", 48 * 64 - 1)
    with pytest.raises(ClipError, match="frames of 64 x 48 pixels; at most"):
        read_clip(path)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_one_window_of_ten_minutes_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.options = {"preset": "ultrafast", "g": "250"}
        pictures = [
            av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")
            for frame in colour_noise(1, 360, 640).repeat(2, axis=0)
        ]
        for number in range(15000):
            pictures[number % 2].pts = number
            container.mux(stream.encode(pictures[number % 2]))
        container.mux(stream.encode())
    # VmHWM, not ru_maxrss: the latter starts at what the parent process held
    script = (
        "import re, sys; from c3d_viz import clips, video_source\n"
        "status = lambda: open('/proc/self/status').read()\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', status())[1]) / 1024\n"
        "before = peak(); info = clips.video_info(sys.argv[1])\n"
        "clip = clips.read_clip(sys.argv[1], start=info.frames - 20)\n"
        "print(info.frames, peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    frames, grown = done.stdout.split()
    assert int(frames) == 15000
    assert 10 < float(grown) < 200


# --- windows, timeline ----------------------------------------------------------------------


def test_window_starts() -> None:
    assert window_starts(16) == [0]
    assert window_starts(50) == [0, 16, 32]
    assert window_starts(47) == [0, 16]
    assert window_starts(116, windows=1) == [50]
    assert window_starts(116, windows=4) == [12, 37, 62, 87]
    assert window_starts(17, windows=5) == [0]
    assert window_starts(100, stride=2) == [0, 31, 62]
    with pytest.raises(ClipError, match="the video has 15 frames; a window of 16 needs 16"):
        window_starts(15)
    with pytest.raises(ClipError, match="windows must be at least 1"):
        window_starts(100, windows=0)


def test_motion_energy_follows_what_moves(tmp_path: Path) -> None:
    frames = np.full((60, 48, 64, 3), 60, dtype=np.uint8)
    for i in range(30, 50):  # a white block moves 2 pixels a frame
        frames[i, 16:32, 2 * (i - 30) : 2 * (i - 30) + 16] = 220
    path = write_test_video(tmp_path / "a.mkv", frames, codec="ffv1", pix_fmt="bgr0")
    energy = motion_energy(path)
    assert energy.shape == (60,)
    assert energy.dtype == np.float32
    assert np.all(energy[:28] == 0)
    # each step changes 2 columns before and 2 behind: 4 * 16 of 48 * 64 pixels by 160 levels
    assert np.allclose(energy[31:48], 4 * 16 * 160 / (48 * 64), atol=0.1)
    assert np.all(energy[51:] == 0)
    assert motion_energy(path, max_samples=10).shape == (10,)
    with pytest.raises(ClipError, match="needs two frames"):
        motion_energy(write_test_video(tmp_path / "b.mp4", frames[:1]))


def test_timeline_of_a_large_video_looks_beside_keyframes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from c3d_viz import clips_timeline

    frames = np.full((400, 32, 32, 3), 60, dtype=np.uint8)
    frames[200:, :, :] += (np.arange(200) % 2 * 40).astype(np.uint8)[:, None, None, None]
    path = write_test_video(tmp_path / "a.mp4", frames, options={**GOP, "g": "10"})
    monkeypatch.setattr(clips_timeline, "DENSE_PIXELS", 1000)
    energy = motion_energy(path, max_samples=100)
    assert energy.shape == (100,)
    assert energy[:48].max() < 2
    assert energy[52:].min() > 30
    numbers, pictures = read_thumbnails(path, 5)
    assert numbers == [40, 120, 200, 280, 360]
    assert pictures.shape == (5, 72, 72, 3)
    assert np.abs(pictures[:, 36, 36, 0].astype(int) - 60).max() < 6


def test_thumbnails_every_so_many_frames(tmp_path: Path) -> None:
    path = write_test_video(tmp_path / "a.mp4", numbered_frames(50), options=GOP)
    numbers, pictures = read_thumbnails(path, every=16, height=48)
    assert numbers == [0, 16, 32, 48]
    assert frame_numbers(pictures) == numbers
    folder = folder_of(tmp_path / "f", [f"{i}.png" for i in range(20)])
    numbers, pictures = read_thumbnails(folder, 4, height=5)
    assert pictures[:, 0, 0, 0].tolist() == numbers == [2, 7, 12, 17]


# --- the net's input ------------------------------------------------------------------------


def gradient_clip(height: int = 256, width: int = 342) -> Clip:
    """Red grows to the right, green downwards, blue with the frame."""
    frames = np.empty((16, height, width, 3), dtype=np.uint8)
    frames[..., 0] = np.linspace(0, 250, width).round().astype(np.uint8)
    frames[..., 1] = np.linspace(0, 250, height).round().astype(np.uint8)[:, None]
    frames[..., 2] = (10 * np.arange(16, dtype=np.uint8))[:, None, None]
    return Clip(frames, 25.0, "gradient", 0)


def test_release_preprocessing_pixel_by_pixel() -> None:
    """BGR, 171 x 128 bilinear with the aspect ignored, mean off, crop at (8, 29), no scaling."""
    clip = gradient_clip()
    x = preprocess(clip, CAFFE_INPUT).numpy()
    assert x.shape == (1, 3, 16, 112, 112)
    assert x.dtype == np.float32
    for t, i, j in itertools.product((0, 9, 15), (0, 50, 111), (0, 71, 111)):
        # Half of 256 x 342 exactly, so a target pixel is the mean of the 2 x 2 source pixels
        # whose corner is twice its own position: (i + 8, j + 29) in the resized frame.
        source = clip.frames[t, 2 * (i + 8) :, 2 * (j + 29) :][:2, :2].astype(float)
        red, green, blue = source.mean(axis=(0, 1))
        assert abs(x[0, 0, t, i, j] - (blue - 90.25)) <= 0.51
        assert abs(x[0, 1, t, i, j] - (green - 97.66)) <= 0.51
        assert abs(x[0, 2, t, i, j] - (red - 101.41)) <= 0.51
    assert x[0, 0, 9, 0, 0] == np.float32(90 - 90.25)


def test_resize_is_opencvs_bilinear_and_crop_is_centred() -> None:
    clip = Clip(colour_noise(16, 120, 161), 25.0, "noise", 0)
    resized = resized_frames(clip, CAFFE_INPUT)
    assert resized.shape == (16, 128, 171, 3)
    assert np.array_equal(resized[5], cv2.resize(clip.frames[5], (171, 128)))
    assert np.array_equal(cropped_frames(clip, CAFFE_INPUT), resized[:, 8:120, 29:141])


def test_rgb_short_side_and_scale() -> None:
    clip = gradient_clip(240, 320)
    resized = resized_frames(clip, MMACTION_INPUT)
    assert resized.shape == (16, 128, 171, 3)  # 320 * 128 / 240 = 170.67
    tall = Clip(clip.frames.transpose(0, 2, 1, 3).copy(), 25.0, "tall", 0)
    assert resized_frames(tall, MMACTION_INPUT).shape == (16, 171, 128, 3)
    assert np.array_equal(
        cropped_frames(tall, MMACTION_INPUT), resized_frames(tall, MMACTION_INPUT)[:, 29:141, 8:120]
    )
    frames = cropped_frames(clip, MMACTION_INPUT)
    x = preprocess(clip, MMACTION_INPUT).numpy()[0]
    assert np.array_equal(x[0], frames[..., 0].astype(np.float32) - 104)
    assert np.array_equal(x[2], frames[..., 2].astype(np.float32) - 128)
    y = preprocess(clip, COMPACT_INPUT).numpy()[0]
    expected = (cropped_frames(clip, COMPACT_INPUT)[..., 1].astype(np.float64) - 110) / 60
    assert np.allclose(y[1], expected, atol=1e-6)
    assert np.array_equal(
        preprocess_frames(cropped_frames(clip, COMPACT_INPUT), COMPACT_INPUT).numpy()[0], y
    )


def test_mean_volume_is_taken_off_before_the_crop() -> None:
    volume = np.random.default_rng(0).random((3, 16, 128, 171), dtype=np.float32) * 255
    spec = CAFFE_INPUT.replace(mean_volume=volume)
    clip = gradient_clip()
    frames = resized_frames(clip, spec)[..., ::-1].astype(np.float32)  # BGR
    whole = frames.transpose(3, 0, 1, 2) - volume
    expected = whole[:, :, 8:120, 29:141]
    assert np.array_equal(preprocess(clip, spec).numpy()[0], expected)
    assert np.array_equal(preprocess_frames(cropped_frames(clip, spec), spec).numpy()[0], expected)
    short = spec.replace(resize=128)
    with pytest.raises(ShapeError, match=r"the mean volume has shape \(3, 16, 128, 171\), frames"):
        preprocess(gradient_clip(256, 500), short)


def test_input_errors() -> None:
    clip = gradient_clip()
    with pytest.raises(ShapeError, match=r"must be uint8 RGB of shape \(16, 112, 112, 3\)"):
        preprocess(Clip(clip.frames[:8], 25.0, "short", 0), CAFFE_INPUT)
    with pytest.raises(ShapeError, match="must be uint8 RGB"):
        preprocess_frames(np.zeros((16, 112, 112, 3)), CAFFE_INPUT)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="crop 112 x 112 is larger than the frames resized to 80"):
        preprocess(clip, InputSpec(resize=(100, 80)))


def test_names() -> None:
    def name(source: str) -> str:
        return Clip(np.zeros((1, 1, 1, 3), np.uint8), 25.0, source, 0).name

    assert name("a/b/walk.mp4") == "walk"
    assert name("a/b/take.2.mov") == "take.2"
    assert name("runs/v1.0") == "v1.0"
    assert name("davis/dog/frames") == "dog"
    assert name("davis/dog/") == "dog"


def test_bikes(bikes: Path) -> None:
    info = video_info(bikes)
    assert (info.frames, info.width, info.height) == (250, 640, 272)
    assert read_clip(bikes, start=40).frames.shape == (16, 272, 640, 3)
