"""Bad, hostile and endless input: one line that says what to do, and little memory."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from video_files import (
    GOP,
    ROOT,
    colour_noise,
    folder_of,
    frame_numbers,
    numbered_frames,
    write_test_video,
)

from c3d_viz.clips import motion_energy, opening, read_clip, read_clips, video, video_info
from c3d_viz.errors import ClipError


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
    with pytest.raises(ClipError, match=r"corrupted.mp4 is damaged or truncated: frame 30 cannot"):
        read_clip(path, start=20)
    clip = read_clip(path, start=31)
    assert clip.frames.shape == (16, 720, 1280, 3)
    assert clip.notes == (
        f"frame 31: {video.DOUBTFUL}",
        f"frame 32: {video.CONCEALED}",
        f"frames 33-46: {video.DOUBTFUL}",
    )
    assert read_clip(path, start=10).notes == ()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"start": -1}, "start must be 0 or more, got -1"),
        ({"stride": 0}, "frames and stride must be at least 1"),
        ({"frames": 0}, "frames and stride must be at least 1"),
        ({"start": 25}, "has 40 frames; start 25 with 16 frames needs 41: the last possible .* 24"),
        ({"start": 4000}, "start 4000 with 16 frames needs 4016: the last possible start is 24"),
        ({"frames": 10**9}, "1 windows of 1000000000 frames at stride 1 are more than any video"),
        ({"stride": 10**9}, "start 0 at stride 1000000000 lies behind the end of any video"),
        ({"start": 10**30}, "start must be a 64-bit whole number, got 10000"),
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
    with pytest.raises(ClipError, match="at most 18 million pixels a frame"):
        read_clip(folder, frames=1)
    path = write_test_video(tmp_path / "a.mp4", numbered_frames(20))
    monkeypatch.setattr(opening, "MAX_CLIP_PIXELS", 16 * 48 * 64 - 1)
    with pytest.raises(ClipError, match="16 frames of 64 x 48 are more than"):
        read_clip(path)
    monkeypatch.setattr(opening, "MAX_FRAME_PIXELS", 48 * 64 - 1)
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
        "import re, sys; from c3d_viz import clips\n"
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
