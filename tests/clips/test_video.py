"""Videos: which frames come out, upright and in order, from any file."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image
from video_files import (
    GOP,
    colour_noise,
    corner_frames,
    corners,
    frame_numbers,
    numbered_frames,
    write_test_video,
)

from c3d_viz.clips import frame as video_frame
from c3d_viz.clips import read_clip, read_clips, read_thumbnails, video, video_info
from c3d_viz.errors import ClipError


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
    index = video.index_of(path, "a")
    wrong = replace(index, pts=index.pts + 1)
    with pytest.raises(video._NotExactError):  # a numbering that does not hold is noticed
        list(video.VideoFile(path)._decode([150], wrong))


def test_a_wrong_index_falls_back_to_decoding_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_test_video(tmp_path / "a.mp4", numbered_frames(200), options=GOP)
    good = video.index_of(path, "a")
    pts = good.pts.copy()
    pts[155:] += 7
    wrong = replace(good, pts=pts)
    monkeypatch.setattr(video, "index_of", lambda *_: wrong)
    assert frame_numbers(read_clip(path, start=150).frames) == list(range(150, 166))


def test_real_clips_seek_exactly(shared_data: Path) -> None:
    for path in sorted((shared_data / "clips").iterdir()):
        count = video_info(path).frames
        start = min(count - 16, 290)
        far = read_clip(path, start=start).frames
        straight = [
            video.to_rgb(f, video_frame.UPRIGHT)
            for _, f in video.VideoFile(path)._decode(list(range(start, start + 16)), None)
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
    turn = video_frame.turn_of(frame)  # type: ignore[arg-type]
    assert corners(video_frame.upright(corner_frames(1)[0], turn)) == expected


def test_cover_art_is_not_a_video(tmp_path: Path) -> None:
    song = tmp_path / "song.mp3"
    cover = tmp_path / "cover.png"
    Image.new("RGB", (64, 64), "red").save(cover)
    with av.open(str(song), "w") as container:
        sound = container.add_stream("libmp3lame", rate=44100)
        with av.open(str(cover)) as picture:
            art = container.add_stream_from_template(picture.streams.video[0])
            art.disposition = av.stream.Disposition.attached_pic.value
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
