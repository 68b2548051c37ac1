"""Frames and maps to draw, for the tests of pictures."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

T, H, W = 16, 112, 112


def gray_frames(value: int = 100) -> np.ndarray:
    return np.full((T, H, W, 3), value, dtype=np.uint8)


def noise_map(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, T, H, W)).astype(np.float32)


def attribution(values: np.ndarray, channel: int = 12, activation: float = 4.25) -> SimpleNamespace:
    unit = SimpleNamespace(layer="conv5b", channel=channel, at=(1, 3, 4))
    return SimpleNamespace(values=values, unit=unit, method="deconvnet", activation=activation)


def tiles(page: np.ndarray, tile: np.ndarray) -> list[tuple[int, int]]:
    """Top left corners (y, x) of exact copies of ``tile`` in a page."""
    height, width = tile.shape[:2]
    first = (page == tile[0, 0]).all(axis=-1)
    found = []
    for y, x in np.argwhere(first[: page.shape[0] - height + 1, : page.shape[1] - width + 1]):
        if np.array_equal(page[y : y + height, x : x + width], tile):
            found.append((int(y), int(x)))
    return found
