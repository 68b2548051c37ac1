"""Clips, maps and curves whose measures are known."""

from __future__ import annotations

import cv2
import numpy as np

RNG = np.random.default_rng


def texture(height: int = 200, width: int = 200, seed: int = 0) -> np.ndarray:
    """Smooth coloured noise, uint8."""
    noise = RNG(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 2.0)
    soft = (soft - soft.mean()) / soft.std() * 45 + 120
    return np.clip(soft, 0, 255).astype(np.uint8)


def moving_square(first: int, last: int, seed: int = 0, noise: float = 2.0) -> np.ndarray:
    """(16, 112, 112, 3): a textured square that moves 3 px a frame during frames first..last."""
    back, thing = texture(112, 112, seed), texture(30, 30, seed + 1)
    g = RNG(seed + 2)
    frames, x = [], 20
    for t in range(16):
        x += 3 if first <= t <= last else 0
        frame = back.copy()
        frame[40:70, x : x + 30] = thing
        frames.append(np.clip(frame + g.normal(0, noise, frame.shape), 0, 255))
    return np.stack(frames).astype(np.uint8)


def as_map(weight: np.ndarray) -> np.ndarray:
    """(T, H, W) magnitudes as a signed back-projection (1, 3, T, H, W)."""
    signs = np.array([1, -1, 1], np.float32)[:, None, None, None]
    return (weight[None] * signs / 3)[None].astype(np.float32)


def full_size(sampled: np.ndarray) -> np.ndarray:
    """(F, 784) sample points as (F, 112, 112) blocks: a map that follows them."""
    return np.kron(sampled.reshape(-1, 28, 28), np.ones((1, 4, 4)))


def mirrored(m_late: float, a_early: float, units: int = 2) -> dict[str, np.ndarray]:
    """A and M (direction, method, unit, frame) of a clip whose reversal mirrors it exactly."""
    m, a = np.full((2, 2, units, 16), np.nan), np.full((2, 2, units, 16), np.nan)
    m[0, ..., 1:8], m[0, ..., 8:15] = 0.0, m_late
    a[0, ..., 1:8], a[0, ..., 8:15] = a_early, 0.0
    m[1], a[1] = m[0, ..., ::-1], a[0, ..., ::-1]
    return {"M": m, "A": a}
