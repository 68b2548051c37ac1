"""Small video files made on the spot, odd ones too, and frames that carry their number."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent


def write_test_video(
    path: Path,
    frames: np.ndarray,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    fps: int = 25,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    rotation: int | None = None,
    times: list[int] | None = None,
    audio_first: bool = False,
) -> Path:
    """Encode (T, H, W, 3) uint8 RGB frames; the suffix of ``path`` chooses the container.

    ``rotation`` writes a display matrix as phones do, ``times`` a time stamp (in 1/fps) for each
    frame, ``audio_first`` a track of silence before the pictures.
    """
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no encoder {codec}")
    with av.open(str(path), "w", options=container_options or {}) as container:
        sound = container.add_stream("aac", rate=44100) if audio_first else None
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        stream.options = options or {}
        if rotation is not None:
            if not hasattr(stream, "set_display_rotation"):
                pytest.skip("this PyAV writes no display matrix")
            stream.set_display_rotation(rotation)
        stream.codec_context.time_base = Fraction(1, fps)
        if sound is not None:
            silence = av.AudioFrame.from_ndarray(
                np.zeros((2, 4410), dtype=np.float32), format="fltp", layout="stereo"
            )
            silence.sample_rate = 44100
            container.mux(sound.encode(silence))
            container.mux(sound.encode(None))
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame = frame.reformat(format=pix_fmt)
            frame.pts = number if times is None else times[number]
            frame.time_base = Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def numbered_frames(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """(T, H, W, 3) gray frames, each carrying its number as a row of black and white blocks."""
    frames = np.full((count, height, width, 3), 90, dtype=np.uint8)
    block = width // 8
    for number in range(count):
        for bit in range(8):
            on = (number >> bit) & 1
            frames[number, : height // 2, bit * block : (bit + 1) * block] = 235 if on else 20
    return frames


def frame_numbers(frames: np.ndarray) -> list[int]:
    """Read the numbers of ``numbered_frames`` (modulo 256) back from decoded frames."""
    height, width = frames.shape[1:3]
    block = width // 8
    row = frames[:, height // 4, block // 2 :: block].mean(axis=-1)[:, :8] > 128
    return [int(sum(1 << b for b in range(8) if bits[b])) for bits in row]


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


def folder_of(path: Path, names: list[str]) -> Path:
    """A folder of small pictures, each a little lighter than the one before."""
    path.mkdir()
    for value, name in enumerate(names):
        Image.new("RGB", (20, 10), (value, value, value)).save(path / name)
    return path
