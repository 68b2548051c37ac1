"""All windows of a video in one pass: the same pixels as window by window, in constant memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from video_files import GOP, colour_noise, folder_of

from c3d_viz.clips import Clip, WindowStream, preprocess, read_clip
from c3d_viz.errors import ClipError, ShapeError
from c3d_viz.nets import InputSpec

SMALL = InputSpec(channel_order="RGB", resize=(30, 40), crop=(24, 28), frames=6)
Make = Callable[..., Path]


@pytest.mark.parametrize("step", [1, 4, 6, 9])
@pytest.mark.parametrize(
    "spec",
    [
        SMALL,
        SMALL.replace(resize=26, channel_order="BGR"),
        SMALL.replace(
            mean_volume=np.arange(3 * 6 * 30 * 40, dtype=np.float32).reshape(3, 6, 30, 40)
        ),
    ],
    ids=["fixed", "short side", "volume"],
)
def test_windows_are_those_read_one_by_one(
    tmp_path: Path, make_video: Make, spec: InputSpec, step: int
) -> None:
    path = make_video(tmp_path / "a.mp4", colour_noise(23, 36, 52), options=GOP)
    stream = WindowStream(path, spec, step)
    assert stream.frames == 23
    assert list(stream.starts) == list(range(0, 18, step))
    for start, x in zip(stream.starts, stream, strict=True):
        assert torch.equal(x, preprocess(read_clip(path, start, 6), spec))


def test_a_clip_and_a_folder_are_streamed_too(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "frames", [f"{i}.png" for i in range(11)])
    whole = read_clip(folder, 0, 11)
    for video in (folder, whole):
        stream = WindowStream(video, SMALL, 5)
        assert list(stream.starts) == [0, 5]
        for start, x in zip(stream.starts, stream, strict=True):
            assert torch.equal(x, preprocess(read_clip(folder, start, 6), SMALL))


def test_every_third_frame(tmp_path: Path, make_video: Make) -> None:
    path = make_video(tmp_path / "a.mp4", colour_noise(23, 36, 52), options=GOP)
    spec = SMALL.replace(stride=3)
    stream = WindowStream(path, spec, 4)
    assert list(stream.starts) == [0, 4]  # a window reaches over 16 frames
    for start, x in zip(stream.starts, stream, strict=True):
        assert torch.equal(x, preprocess(read_clip(path, start, 6, 3), spec))
    clip = read_clip(path, 1, 7, 3)  # its frames are apart already
    stream = WindowStream(clip, spec, 1)
    assert list(stream.starts) == [0, 1]
    assert torch.equal(list(stream)[1], preprocess(read_clip(path, 4, 6, 3), spec))


def test_what_cannot_be_streamed(tmp_path: Path, make_video: Make) -> None:
    path = make_video(tmp_path / "a.mp4", colour_noise(5, 36, 52))
    with pytest.raises(ClipError, match=r"a\.mp4 has 5 frames; a window of 6 needs 6: give a long"):
        WindowStream(path, SMALL, 4)
    with pytest.raises(ClipError, match=r"a window of 2 needs 6"):
        WindowStream(path, SMALL.replace(frames=2, stride=5), 4)
    with pytest.raises(ClipError, match="at least 1 frame apart, got 0"):
        WindowStream(path, SMALL.replace(frames=2), 0)
    with pytest.raises(ShapeError, match="crop"):
        next(iter(WindowStream(path, SMALL.replace(frames=2, resize=20), 1)))
    noisy = Clip(colour_noise(4, 36, 52), 25.0, "given", 0, notes=("a note",))
    assert WindowStream(noisy, SMALL.replace(frames=2), 1).notes == ("a note",)


def test_damage_is_noted_run_by_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from c3d_viz.clips.folder import FrameFolder

    folder = folder_of(tmp_path / "frames", [f"{i}.png" for i in range(12)])
    whole = FrameFolder.frames

    def flawed(self, numbers):
        for item in whole(self, numbers):
            yield item._replace(flaw="bad" if item.number in (2, 3, 7) else "")

    monkeypatch.setattr(FrameFolder, "frames", flawed)
    stream = WindowStream(folder, SMALL, 3)
    for _ in range(2):  # a second pass does not say it twice
        assert len(list(stream)) == 3
        assert stream.notes == ("frames 2-3: bad", "frame 7: bad")


def test_an_early_end_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from c3d_viz.clips.folder import FrameFolder

    folder = folder_of(tmp_path / "frames", [f"{i}.png" for i in range(12)])
    whole = FrameFolder.frames
    monkeypatch.setattr(FrameFolder, "frames", lambda self, numbers: whole(self, numbers[:9]))
    stream = iter(WindowStream(folder, SMALL, 3))
    with pytest.raises(ClipError, match="states 12 frames but ends before frame 9"):
        list(stream)


def test_memory_does_not_grow_with_the_video(tmp_path: Path, make_video: Make) -> None:
    def peak(count: int) -> int:
        path = make_video(tmp_path / f"{count}.mp4", colour_noise(count, 48, 64), options=GOP)
        stream = WindowStream(path, SMALL, 3)
        next(iter(stream))  # caches fill
        tracemalloc.start()
        for _ in stream:
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    short, long = peak(40), peak(640)
    assert long < short + 500_000, (short, long)  # the frames of the long one have 6 million bytes
