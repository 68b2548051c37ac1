"""How the camera moved between two frames: a similarity (shift, rotation, zoom).

It is written as a complex line z -> a z + b, so that the fits of both directions can be averaged in
the logarithm: the reversed clip then has exactly the inverse motion.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from .frame import Frame

Similarity = tuple[complex, complex]  # (a, b) of z -> a z + b, z = x + i y in pixels

MIN_CORNERS = 12
GRID = 4  # cells a side in which corners are looked for
STILL_PIXELS = 0.1
IDENTITY: Similarity = (1 + 0j, 0j)


def camera_motion(first: Frame, second: Frame) -> Similarity:
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


def _fit(first: Frame, second: Frame) -> Similarity | None:
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


def _corners(grey: Frame) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
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


def compose(steps: Sequence[Similarity]) -> Similarity:
    """One motion after the other."""
    a, b = IDENTITY
    for step_a, step_b in steps:
        a, b = step_a * a, step_a * b + step_b
    return a, b


def invert(m: Similarity) -> Similarity:
    """The way back."""
    a, b = m
    return 1 / a, -b / a


def register(
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


def mean_shift(motion: Similarity, height: int, width: int) -> float:
    """How far the middle of the image moves, in pixels."""
    centre = complex((width - 1) / 2, (height - 1) / 2)
    return float(abs(motion[0] * centre + motion[1] - centre))
