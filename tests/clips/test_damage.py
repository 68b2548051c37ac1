"""One bad packet hides one frame, not those behind it, and what is doubtful is said to be so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
from video_files import GOP, folder_of, frame_numbers, numbered_frames, write_test_video

from c3d_viz.clips import motion_energy, read_clip, read_clips, read_thumbnails, video_info
from c3d_viz.clips.opening import opened
from c3d_viz.clips.video import CONCEALED, DOUBTFUL, VideoFile
from c3d_viz.errors import ClipError


def damaged(path: Path, frame: int) -> Path:
    """Overwrite the packet that is shown as this frame."""
    with av.open(str(path)) as container:
        shown = [p for p in container.demux(video=0) if p.size]
        packet = sorted(shown, key=lambda p: p.pts)[frame]
        data = bytearray(path.read_bytes())
        at = data.index(bytes(packet), packet.pos)
        data[at : at + packet.size] = b"\xff" * packet.size
    path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "options", "frame", "keyframe"),
    [
        ("a.avi", "mpeg4", {"g": "12", "qscale": "3"}, 19, 24),
        ("a.mp4", "libx264", {**GOP, "bf": "0"}, 40, 60),
        ("a.mkv", "libx264", {**GOP, "bf": "0"}, 70, 90),
        ("a.mp4", "libx264", {**GOP, "bf": "0"}, 130, 150),
    ],
)
def test_frames_behind_a_damaged_one_are_read(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], frame: int, keyframe: int
) -> None:
    path = write_test_video(tmp_path / name, numbered_frames(200), codec=codec, options=options)
    damaged(path, frame)
    assert video_info(path).frames == 200
    before = read_clip(path, frame - 16)
    assert frame_numbers(before.frames) == list(range(frame - 16, frame))
    assert before.notes == ()
    with pytest.raises(ClipError, match=rf"{name} is damaged or truncated: frame {frame} cannot"):
        read_clip(path, frame - 5)
    behind = read_clip(path, frame + 1)
    assert behind.notes == (f"frames {frame + 1}-{keyframe - 1}: {DOUBTFUL}",) or all(
        DOUBTFUL in note or CONCEALED in note for note in behind.notes
    )
    for start in (keyframe, 184):
        clip = read_clip(path, start)
        assert frame_numbers(clip.frames) == list(range(start, start + 16))
        assert clip.notes == ()
    good = list(read_clips(path, [0, keyframe, 184]))
    assert [clip.start for clip in good] == [0, keyframe, 184]
    assert motion_energy(path).shape == (200,)
    assert len(read_thumbnails(path, 100)[0]) in (99, 100)


def test_a_group_without_its_keyframe(tmp_path: Path) -> None:
    path = write_test_video(tmp_path / "a.mp4", numbered_frames(120), options=GOP)
    damaged(path, 60)
    clip = read_clip(path, 92)
    assert frame_numbers(clip.frames) == list(range(92, 108))
    assert clip.notes == ()
    with pytest.raises(ClipError, match="frame 60 cannot be decoded"):
        read_clip(path, 55)


def test_damage_that_the_decoder_hides_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag of the decoder on frames 20 and 21 becomes a note, not an error."""
    path = write_test_video(tmp_path / "a.mp4", numbered_frames(60), options={**GOP, "bf": "0"})
    with av.open(str(path)) as container:
        pts = [p.pts for p in container.demux(video=0) if p.size]

    class Flagged:
        def __init__(self, frame: av.VideoFrame) -> None:
            self._frame = frame

        def __getattr__(self, name: str) -> object:
            if name == "is_corrupt":
                return self._frame.pts in pts[20:22]
            return getattr(self._frame, name)

    from c3d_viz.clips import video

    real = video._with_flaws

    class Stream:
        def __init__(self, stream: av.VideoStream) -> None:
            self.stream, self.codec_context = stream, stream.codec_context

        def decode(self, packet: av.Packet) -> list[Flagged]:
            return [Flagged(frame) for frame in self.stream.decode(packet)]

    class Container:
        def __init__(self, container: object, stream: av.VideoStream) -> None:
            self.demux = lambda _: container.demux(stream)  # type: ignore[attr-defined]

    def flagged(container, stream, *rest):  # type: ignore[no-untyped-def]
        for number, frame, flaw in real(Container(container, stream), Stream(stream), *rest):
            yield number, frame._frame, flaw

    def damage(*_: object) -> object:
        raise video._DamagedError
        yield

    monkeypatch.setattr(video, "_with_flaws", flagged)
    monkeypatch.setattr(VideoFile, "_decode", damage)
    clip = read_clip(path, 16)
    assert frame_numbers(clip.frames) == list(range(16, 32))
    assert clip.notes == (f"frames 20-21: {CONCEALED}", f"frames 22-29: {DOUBTFUL}")


def test_a_damaged_picture_of_a_folder_hides_one_frame(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "f", [f"{i}.png" for i in range(40)])
    (folder / "7.png").write_bytes(b"no picture")
    assert read_clip(folder, 8).frames.shape[0] == 16
    assert motion_energy(folder).shape == (40,)
    numbers, _ = read_thumbnails(folder, 40)
    assert numbers == [i for i in range(40) if i != 7]


def test_odd_files_beside_the_checkout(shared_data: Path) -> None:
    path = shared_data / "failing" / "07_one_damaged_frame.avi"
    with pytest.raises(ClipError, match="frame 19 cannot be decoded; choose a window that ends"):
        read_clip(path, 10)
    assert read_clip(path, 20).notes == (f"frames 20-23: {DOUBTFUL}",)
    assert read_clip(path, 284).notes == ()


_LOGGED = """
import sys, av, logging
av.logging.set_level(av.logging.DEBUG)  # as torchvision does with ERROR
logging.getLogger("libav").setLevel(100)
from c3d_viz.clips import read_clip
for start in range(0, 60, 3):
    read_clip(sys.argv[1], start)
"""


def test_decoding_threads_that_log_to_python_end(tmp_path: Path) -> None:
    """PyAV 13.1 and 15.0 free them with Python's lock in their hand, for which they wait."""
    path = write_test_video(tmp_path / "a.mp4", numbered_frames(120), options=GOP)
    subprocess.run([sys.executable, "-c", _LOGGED, str(path)], check=True, timeout=60)


def test_a_decoder_comes_to_rest_before_its_container_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_test_video(tmp_path / "a.mp4", numbered_frames(20))
    formats: list[str] = []

    def stream(container: av.container.InputContainer, *_: object) -> SimpleNamespace:
        flush = lambda: formats.append(next(container.demux(video=0)).stream.type)  # noqa: E731
        return SimpleNamespace(codec_context=SimpleNamespace(flush_buffers=flush))

    monkeypatch.setattr("c3d_viz.clips.opening._video_stream", stream)
    with pytest.raises(KeyError), opened(path, "a.mp4"):
        raise KeyError
    assert formats == ["video"]
