"""Clips: windows, the timeline, and what the net gets."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from video_files import (
    GOP,
    colour_noise,
    folder_of,
    frame_numbers,
    numbered_frames,
    write_test_video,
)

from c3d_viz.clips import (
    Clip,
    cropped_frames,
    motion_energy,
    preprocess,
    preprocess_frames,
    read_clip,
    read_thumbnails,
    video_info,
    window_starts,
)
from c3d_viz.clips.prepare import cropped_frame
from c3d_viz.errors import ClipError, ShapeError
from c3d_viz.nets.spec import CAFFE_INPUT, COMPACT_INPUT, MMACTION_INPUT, InputSpec


def test_window_starts() -> None:
    assert window_starts(16) == [0]
    assert window_starts(50) == [0, 16, 32]
    assert window_starts(47) == [0, 16]
    assert window_starts(116, windows=1) == [50]
    assert window_starts(116, windows=4) == [12, 37, 62, 87]
    assert window_starts(17, windows=5) == [0]
    assert window_starts(116, windows=4, start=40) == [47, 62, 77, 92]
    assert window_starts(50, start=2) == [2, 18, 34]
    assert len(window_starts(30, windows=10**18)) == 14
    with pytest.raises(ClipError, match=r"has 24 frames; start 19 .* last possible start is 8"):
        window_starts(24, windows=5, start=19)
    with pytest.raises(ClipError, match="start 2000000000 at stride 1 lies behind the end of any"):
        window_starts(24, start=2_000_000_000)
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
    colours = np.full((16, 48, 64, 3), 60, dtype=np.uint8)
    for channel, share in enumerate((0.299, 0.587, 0.114)):  # as bright as people see it
        frames_of = colours.copy()
        frames_of[8:, ..., channel] = 160
        path_of = write_test_video(
            tmp_path / f"{channel}.mkv", frames_of, codec="ffv1", pix_fmt="bgr0"
        )
        assert motion_energy(path_of).max() == pytest.approx(100 * share, abs=1.5)
    assert motion_energy(path, max_samples=10).shape == (10,)
    with pytest.raises(ClipError, match="needs two frames"):
        motion_energy(write_test_video(tmp_path / "b.mp4", frames[:1]))


def test_timeline_of_a_large_video_looks_beside_keyframes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from c3d_viz.clips import timeline as clips_timeline

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


def resized_frames(clip: Clip, spec: InputSpec) -> npt.NDArray[np.uint8]:
    return cropped_frames(clip, spec.replace(crop=cropped_frame(clip.frames[0], spec)[1]))


def test_a_resize_beyond_measure() -> None:
    clip = Clip(colour_noise(16, 2, 160), 25.0, "narrow", 0)
    with pytest.raises(ShapeError, match=r"327680 x 4096 have more than 18 million .*lower resize"):
        preprocess(clip, CAFFE_INPUT.replace(resize=4096))


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


def test_deviation_and_one_channel() -> None:
    """(v - mean) * scale / std by hand; grey is the luma, and a grey clip's own values."""
    rng = np.random.default_rng(4)
    clip = Clip(rng.integers(0, 256, (32, 224, 224, 3), np.uint8), 25.0, "clip", 0, 1, ())
    spec = InputSpec("BGR", (1, 2, 3), 0.5, (224, 224), (224, 224), 32, std=(4, 5, 6))
    x = preprocess(clip, spec).numpy()
    assert x.shape == (1, 3, 32, 224, 224)
    for channel, (mean, std) in enumerate(((1, 4), (2, 5), (3, 6))):
        by_hand = (clip.frames[..., 2 - channel].astype(float) - mean) * 0.5 / std
        np.testing.assert_allclose(x[0, channel], by_hand, rtol=1e-6)
    assert np.array_equal(
        preprocess(clip, spec.replace(std=(1, 1, 1))), preprocess(clip, spec.replace(std=None))
    )
    grey = spec.replace(mean=(10,), std=(2,), scale=1)
    red, green, blue = np.moveaxis(clip.frames.astype(float), -1, 0)
    luma = np.round(0.299 * red + 0.587 * green + 0.114 * blue)
    x = preprocess(clip, grey).numpy()
    assert x.shape == (1, 1, 32, 224, 224)
    assert np.abs(x[0, 0] * 2 + 10 - luma).max() <= 1
    assert (x[0, 0] * 2 + 10 == luma).mean() > 0.99
    flat = np.repeat(clip.frames[..., :1], 3, axis=-1)
    x = preprocess(Clip(flat, 25.0, "clip", 0, 1, ()), grey).numpy()
    assert np.array_equal(x[0, 0] * 2 + 10, flat[..., 0])


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


def test_a_network_of_one_channel_is_shown_in_grey() -> None:
    clip = gradient_clip()
    colour = COMPACT_INPUT
    grey = colour.replace(mean=(10,))
    shown = cropped_frames(clip, grey)
    assert np.array_equal(shown, np.repeat(shown[..., :1], 3, axis=3))
    assert np.abs(shown[..., 0] - cropped_frames(clip, colour) @ [0.299, 0.587, 0.114]).max() <= 1
    assert np.array_equal(preprocess_frames(shown, grey), preprocess(clip, grey))
