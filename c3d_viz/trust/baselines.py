"""Maps that no network made, for a method to beat: noise, centre, edges, what moves.

Each is (T, H, W), not below 0. Farneback 2003, "Two-Frame Motion Estimation Based on Polynomial
Expansion", for the flow; the camera's motion is ``clips.camera_motion``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from ..clips import Similarity, camera_motion, invert, register

Frames = npt.NDArray[np.uint8]
Maps = npt.NDArray[np.float32]


def random(frames: Frames, seed: int) -> Maps:
    """Independent uniform noise."""
    return np.random.default_rng(seed).random(frames.shape[:3], dtype=np.float32)


def centre(frames: Frames, _seed: int = 0) -> Maps:
    """A Gaussian around the middle of the frame, sigma a quarter of its side."""
    total, height, width = frames.shape[:3]
    y, x = (
        np.exp(-(((np.arange(n) - (n - 1) / 2) / (n / 4)) ** 2) / 2).astype(np.float32)
        for n in (height, width)
    )
    return np.repeat((y[:, None] * x)[None], total, axis=0)


def edges(frames: Frames, _seed: int = 0) -> Maps:
    """Length of the spatial gradient of the grey frame, in grey levels per pixel."""
    slopes = [np.gradient(grey.astype(np.float32)) for grey in _grey(frames)]
    return np.stack([np.hypot(*slope) for slope in slopes]).astype(np.float32)


def frame_difference(frames: Frames, _seed: int = 0) -> Maps:
    """|frame - neighbour| summed over colours, mean of both neighbours, the camera taken out."""
    colour, steps = frames.astype(np.float32), _camera(frames)
    total = np.zeros(frames.shape[:3], np.float32)
    count = np.zeros(frames.shape[:3], np.float32)
    for t, step in enumerate(steps):
        for here, there, motion in ((t, t + 1, step), (t + 1, t, invert(step))):
            moved, seen = register(colour[there], motion)
            total[here] += np.abs(moved - colour[here]).sum(-1) * seen
            count[here] += seen
    return np.asarray(total / np.maximum(count, 1), np.float32)


def optical_flow(frames: Frames, _seed: int = 0) -> Maps:
    """Length of the flow to the next frame in pixels, the camera's motion taken off.

    The last frame has the flow of the one before it.
    """
    grey, lengths = _grey(frames), []
    height, width = frames.shape[1:3]
    place = np.arange(width)[None] + 1j * np.arange(height)[:, None]
    for t, (a, b) in enumerate(_camera(frames)):
        flow = cv2.calcOpticalFlowFarneback(grey[t], grey[t + 1], None, 0.5, 3, 15, 3, 5, 1.2, 0)  # type: ignore[call-overload]
        lengths.append(np.abs(flow[..., 0] + 1j * flow[..., 1] - (a * place + b - place)))
    still = np.zeros((height, width))  # of a clip of one frame
    return np.stack([*lengths, (lengths or [still])[-1]]).astype(np.float32)


BASELINES: dict[str, Callable[[Frames, int], Maps]] = {
    "random": random,
    "centre": centre,
    "edges": edges,
    "frame difference": frame_difference,
    "optical flow": optical_flow,
}


def _grey(frames: Frames) -> list[Frames]:
    return [np.asarray(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), np.uint8) for f in frames]


def _camera(frames: Frames) -> list[Similarity]:
    grey = _grey(frames)
    return [camera_motion(a, b) for a, b in itertools.pairwise(grey)]
