"""The number of frames is the number that can be decoded, and each has its own number."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from video_files import GOP, frame_numbers, numbered_frames, write_test_video

from c3d_viz.clips import index, read_clip, read_clips, read_thumbnails, video_info, window_starts
from c3d_viz.errors import ClipError


def decoded(path: Path, codec_threads: int = 1) -> list[int]:
    """Numbers of all frames that come out of a plain decoder."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = codec_threads
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    return frame_numbers(np.stack(frames))


def every_window_reads(path: Path, numbers: list[int]) -> None:
    """The stated number is right, and end to end each window holds the frames it should."""
    total = video_info(path).frames
    assert total == len(numbers)
    for start in {*window_starts(total, windows=4), 0, total - 16}:
        assert frame_numbers(read_clip(path, start).frames) == numbers[start : start + 16]
    with pytest.raises(ClipError, match=rf"has {total} frames; .* last possible .* {total - 16}"):
        read_clip(path, total - 15)


def edited(path: Path, first: int, count: int, fps: int = 25) -> Path:
    """Hide all frames of an mp4 but ``count`` from ``first`` on, as a cut without re-encoding."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 8  # after version and flags
    entries, _, start = struct.unpack(">IIi", data[at : at + 12])
    assert entries == 1
    timescale = struct.unpack(">I", data[(a := data.index(b"mdhd") + 16) : a + 4])[0]
    movie = struct.unpack(">I", data[(a := data.index(b"mvhd") + 16) : a + 4])[0]
    span = count * movie // fps
    data[at + 4 : at + 12] = struct.pack(">Ii", span, start + first * timescale // fps)
    path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize(("first", "count"), [(37, 163), (60, 77), (0, 100), (1, 199), (0, 199)])
def test_what_an_edit_list_hides_is_not_counted(tmp_path: Path, first: int, count: int) -> None:
    path = write_test_video(tmp_path / "a.mp4", numbered_frames(200), options=GOP)
    every_window_reads(path, list(range(200)))
    every_window_reads(edited(path, first, count), decoded(path))
    assert abs(video_info(path).frames - count) <= 1  # an edit may end within a frame
    assert read_clip(path).notes == ()


def test_pictures_that_vp8_keeps_for_reference_are_not_counted(tmp_path: Path) -> None:
    path = write_test_video(
        tmp_path / "a.webm", numbered_frames(90), codec="libvpx", options={"g": "30"}
    )
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        data = bytearray(path.read_bytes())
        for packet in packets[10::20]:
            data[data.index(bytes(packet), packet.pos)] &= ~0x10 & 0xFF  # show_frame
    path.write_bytes(bytes(data))
    numbers = decoded(path)
    assert numbers == [n for n in range(90) if n % 20 != 10]
    every_window_reads(path, numbers)


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_recordings_that_start_between_keyframes(tmp_path: Path, codec: str) -> None:
    options = GOP if codec == "libx264" else {"g": "30", "bf": "2", "qscale": "4"}
    path = write_test_video(tmp_path / "a.ts", numbered_frames(200), codec=codec, options=options)
    data = path.read_bytes()
    path.write_bytes(data[len(data) // 10 // 188 * 188 :])
    numbers = decoded(path)
    with av.open(str(path)) as container:
        assert sum(packet.size > 0 for packet in container.demux(video=0)) > len(numbers)
    assert numbers[0] > 0
    assert numbers[-1] == 199
    every_window_reads(path, numbers)


def test_half_a_download(tmp_path: Path) -> None:
    options = {"movflags": "+faststart"}
    path = write_test_video(
        tmp_path / "a.mp4", numbered_frames(200), options=GOP, container_options=options
    )
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 5])
    info = video_info(path)
    assert 60 < info.frames < 180
    assert info.notes == (f"the file is cut short: {info.frames} of 200 frames can be read",)
    assert info.duration == info.frames / 25
    assert read_thumbnails(path, 10)[1].shape[0] == 10
    last = info.frames - 16
    assert frame_numbers(read_clip(path, last).frames) == list(range(last, last + 16))
    with pytest.raises(ClipError, match=rf"frames \(the file is cut short: {info.frames} of 200"):
        read_clip(path, 190)


def test_avi_with_frames_out_of_order_is_counted_right(tmp_path: Path) -> None:
    options = {"g": "30", "bf": "2", "qscale": "3"}
    path = write_test_video(
        tmp_path / "a.avi", numbered_frames(120), codec="mpeg4", options=options
    )
    every_window_reads(path, decoded(path))


def test_what_packets_do_not_tell_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_test_video(tmp_path / "a.avi", numbered_frames(70), codec="mpeg4")
    calls = []
    count = index._decoded
    monkeypatch.setattr(index, "_leading", lambda *_: None)  # as if fields came one by one
    monkeypatch.setattr(index, "_decoded", lambda *a: calls.append(a) or count(*a))
    for _ in range(3):
        assert video_info(path).frames == 70
        assert frame_numbers(read_clip(path, 54).frames) == list(range(54, 70))
    assert len(calls) == 1


def test_an_ordinary_file_is_counted_without_reading_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_test_video(tmp_path / "a.mp4", numbered_frames(200), options=GOP)
    for name in ("index_of", "_decoded", "_leading"):
        monkeypatch.setattr(index, name, None)
    monkeypatch.setattr("c3d_viz.clips.video.index_of", None)
    assert video_info(path).frames == 200


def test_odd_files_beside_the_checkout(shared_data: Path) -> None:
    expected = {"01_editlist_cut.mp4": 77, "01c_nasa_cut.mp4": 62, "02_vp8_altref.webm": 75}
    expected |= {"03_starts_between_keyframes.ts": 240, "05_still_track_first.mp4": 300}
    expected |= {"04_animated.webp": 20, "06_half_download_faststart.mp4": 142}
    for name, count in expected.items():
        path = shared_data / "failing" / name
        assert video_info(path).frames == count, name
        clips = list(read_clips(path, window_starts(count, windows=3)))
        assert len(clips) == len(window_starts(count, windows=3)), name
        assert len(read_clip(path, count - 16).frames) == 16, name
