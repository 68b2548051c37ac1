"""What is there (S) and what moves (D) in a clip: the measures that need no network.

docs/finding.md, section 1. Camera motion is a similarity (shift, rotation, zoom), written as a
complex line z -> a z + b, so that the fits of both directions can be averaged in the logarithm:
the reversed clip then has exactly the inverse motion, and S and D mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from ...errors import ShapeError
from ...stats import SAMPLE_STEP, Floats, blur_and_sample, standard_ranks
from ..types import Frames

Similarity = tuple[complex, complex]  # (a, b) of z -> a z + b, z = x + i y in pixels

DUPLICATE_LEVELS = 0.5  # grey levels
DUPLICATE_SHARE = 0.25  # of the clip's median difference
MIN_CORNERS = 12
GRID = 4  # cells a side in which corners are looked for
STILL_PIXELS = 0.1
IDENTITY: Similarity = (1 + 0j, 0j)


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
        ahead = _compose(steps[t : t + lag])  # maps a place in frame t to its place in t + lag
        back = _invert(_compose(steps[t - lag : t]))
        after, seen_after = _register(colour[t + lag], ahead)
        before, seen_before = _register(colour[t - lag], back)
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
        camera=np.array([_mean_shift(step, height, width) for step in steps]),
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


def camera_motion(first: Frames, second: Frames) -> Similarity:
    """Similarity that takes a place in ``first`` to its place in ``second``, both grey (H, W).

    Fitted in both directions and averaged in the logarithm. The identity when either fit fails or
    moves no corner of the image by 0.1 px.
    """
    there, back = _fit(first, second), _fit(second, first)
    if there is None or back is None:
        return IDENTITY
    p, q = _log(there)
    r, s = _log(back)
    motion = _exp(((p - r) / 2, (q - s) / 2))
    height, width = first.shape
    corners = [0j, complex(width - 1, 0), complex(0, height - 1), complex(width - 1, height - 1)]
    if max(abs(motion[0] * z + motion[1] - z) for z in corners) < STILL_PIXELS:
        return IDENTITY
    return motion


def _fit(first: Frames, second: Frames) -> Similarity | None:
    """RANSAC fit to corners tracked from first to second; None unless most of the image agrees."""
    corners, cell = _corners(first)
    if len(corners) < MIN_CORNERS:
        return None
    found, status, _ = cv2.calcOpticalFlowPyrLK(first, second, corners, None, winSize=(15, 15))  # type: ignore[call-overload]
    kept = status.ravel() == 1
    if kept.sum() < MIN_CORNERS:
        return None
    matrix, inliers = cv2.estimateAffinePartial2D(
        corners[kept], found[kept], method=cv2.RANSAC, ransacReprojThreshold=1.0
    )
    if matrix is None:
        return None
    agrees = inliers.ravel() == 1
    if agrees.sum() < max(MIN_CORNERS, kept.sum() / 2):
        return None
    if len(set(cell[kept][agrees].tolist())) < GRID * GRID / 2:
        return None
    return complex(matrix[0, 0], matrix[1, 0]), complex(matrix[0, 2], matrix[1, 2])


def _corners(grey: Frames) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The best corners of every cell of a 4 x 4 grid, (n, 1, 2) x and y, and their cells (n,).

    Cell by cell, so that a textured object cannot outvote a plain background.
    """
    found: list[npt.NDArray[np.float32]] = [np.zeros((0, 1, 2), np.float32)]
    cells: list[int] = []
    height, width = grey.shape[0] // GRID, grey.shape[1] // GRID
    for cell in range(GRID * GRID):
        y, x = cell // GRID * height, cell % GRID * width
        best = cv2.goodFeaturesToTrack(grey[y : y + height, x : x + width], 8, 0.05, 4)
        if best is not None:
            found.append(np.asarray(best + np.array([x, y]), np.float32))
            cells += [cell] * len(best)
    return np.concatenate(found), np.asarray(cells, np.int64)


def _log(m: Similarity) -> Similarity:
    """Logarithm of z -> a z + b as (p, q): the flow dz/dt = p z + q reaches it at time 1."""
    a, b = m
    p = complex(np.log(a))
    return p, b if abs(a - 1) < 1e-12 else b * p / (a - 1)


def _exp(log: Similarity) -> Similarity:
    p, q = log
    a = complex(np.exp(p))
    return a, q if abs(p) < 1e-12 else q * (a - 1) / p


def _compose(steps: list[Similarity]) -> Similarity:
    a, b = IDENTITY
    for step_a, step_b in steps:
        a, b = step_a * a, step_a * b + step_b
    return a, b


def _invert(m: Similarity) -> Similarity:
    a, b = m
    return 1 / a, -b / a


def _register(
    image: npt.NDArray[np.float32], motion: Similarity
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """The image seen from the other frame's place, and which of its pixels exist."""
    height, width = image.shape[:2]
    if motion == IDENTITY:
        return image, np.ones((height, width), bool)
    y, x = np.mgrid[:height, :width]
    place = motion[0] * (x + 1j * y) + motion[1]
    u, v = place.real.astype(np.float32), place.imag.astype(np.float32)
    seen = (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
    moved = cv2.remap(image, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32), seen


def _mean_shift(motion: Similarity, height: int, width: int) -> float:
    """How far the middle of the image moves, in pixels."""
    centre = complex((width - 1) / 2, (height - 1) / 2)
    return float(abs(motion[0] * centre + motion[1] - centre))
