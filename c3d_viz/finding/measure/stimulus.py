"""What is there (S) and what moves (D) in a clip: the measures that need no network.

docs/finding.md, section 1. The reversed clip has exactly the inverse camera motion, and S and D
mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from ...clips import camera_motion, compose, invert, mean_shift, register
from ...errors import ShapeError
from ...stats import SAMPLE_STEP, Floats, blur_and_sample, standard_ranks
from ..types import Frames

DUPLICATE_LEVELS = 0.5  # grey levels
DUPLICATE_SHARE = 0.25  # of the clip's median difference


@dataclass(frozen=True)
class Stimulus:
    """S and D of a clip at the interior frames. F frames, N sampled points.

    Attributes:
        frames: the interior frame numbers, 1..T-2 (lag 1) or 2..T-3 (lag 2).
        S: (F, N) blurred length of the spatial gradient, grey levels per pixel.
        D: (F, N) blurred difference of the two neighbours after registration, grey levels.
        valid: (F, N) False where a registered neighbour does not cover the point.
        size: (T, H, W) of the clip.
        lag: 1, or 2 when duplicate frames were found.
        duplicates: number of duplicate neighbours.
        camera: (T-1,) mean shift in pixels between neighbouring frames; 0 where none was found.
    """

    frames: tuple[int, ...]
    S: Floats
    D: Floats
    valid: npt.NDArray[np.bool_]
    size: tuple[int, int, int]
    lag: int
    duplicates: int
    camera: Floats

    def reversed(self) -> Stimulus:
        """The stimulus of the clip played backwards."""
        by_time = ("S", "D", "valid", "camera")
        return replace(self, **{name: getattr(self, name)[::-1].copy() for name in by_time})

    def ranks(self) -> tuple[Floats, Floats]:
        """Standardised ranks of S and D, kept: every network and unit shares them."""
        kept = self.__dict__.get("_ranks")
        if kept is None:
            kept = (standard_ranks(self.S, self.valid), standard_ranks(self.D, self.valid))
            object.__setattr__(self, "_ranks", kept)
        result: tuple[Floats, Floats] = kept
        return result


def stimulus(frames: Frames) -> Stimulus:
    """S and D of a clip.

    Args:
        frames: uint8 (T, H, W, 3) RGB as the network sees them, T >= 8 and even.

    Raises:
        ShapeError: another layout.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise ShapeError(f"frames must be uint8 (T, H, W, 3), got {frames.dtype} {frames.shape}")
    total, height, width = frames.shape[:3]
    if total < 8 or total % 2:
        raise ShapeError(f"the two halves need an even number of frames, 8 or more, got {total}")
    colour = frames.astype(np.float32)
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    copies = duplicate_pairs(frames)
    lag = 2 if copies.any() else 1
    steps = [camera_motion(grey[t], grey[t + 1]) for t in range(total - 1)]
    interior = tuple(range(lag, total - lag))
    moved, covered = [], []
    for t in interior:
        ahead = compose(steps[t : t + lag])  # maps a place in frame t to its place in t + lag
        back = invert(compose(steps[t - lag : t]))
        after, seen_after = register(colour[t + lag], ahead)
        before, seen_before = register(colour[t - lag], back)
        seen = seen_after & seen_before
        moved.append(np.abs(after - before).sum(-1) * seen)
        covered.append(seen)
    cover = np.stack(covered)
    weight = blur_and_sample(cover.astype(np.float64))
    inside = cover[:, SAMPLE_STEP // 2 :: SAMPLE_STEP, SAMPLE_STEP // 2 :: SAMPLE_STEP]
    valid = inside.reshape(len(interior), -1) & (weight > 0.5)
    texture = blur_and_sample(np.stack([_gradient(grey[t]) for t in interior]))
    motion = blur_and_sample(np.stack(moved)) / np.where(weight > 0.5, weight, 1.0)
    return Stimulus(
        frames=interior,
        S=texture,
        D=motion,
        valid=valid,
        size=(total, height, width),
        lag=lag,
        duplicates=int(copies.sum()),
        camera=np.array([mean_shift(step, height, width) for step in steps]),
    )


def duplicate_pairs(frames: Frames) -> npt.NDArray[np.bool_]:
    """(T-1,) True where a frame is a copy of the one before it, while others do differ."""
    f = frames.astype(np.int16)
    change = np.abs(f[1:] - f[:-1]).mean((1, 2, 3))
    limit = min(DUPLICATE_LEVELS, DUPLICATE_SHARE * float(np.median(change)))
    return np.asarray(change < limit)


def _gradient(grey: Frames) -> Floats:
    dy, dx = np.gradient(grey.astype(np.float64))
    length: Floats = np.hypot(dx, dy)
    return length
