"""What a unit with a small receptive field sees: cut out, and enlarged around its centre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ..nets import ReceptiveField
from .canvas import Picture

Axes = tuple[int, int, int]
_GREY = 128  # what lies outside of the frame
_DIM = 0.3  # of the light that is left in frames that the patch does not lie in


@dataclass(frozen=True)
class Patch:
    """A receptive field in the clip, in frames and pixels; it may reach over the border.

    Attributes:
        start: (t, y, x) of its first frame, row and column; negative where it reaches out.
        size: (t, y, x) extent.
        clip: (T, H, W).
    """

    start: Axes
    size: Axes
    clip: Axes

    @property
    def frames(self) -> range:
        """Those of the clip's frames that lie in it."""
        return range(max(0, self.start[0]), min(self.clip[0], self.start[0] + self.size[0]))

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of what lies in the picture, as shares of it."""
        low = [max(0, s) for s in self.start[1:]]
        ends = zip(self.start[1:], self.size[1:], self.clip[1:], strict=True)
        high = [min(n, s + e) for s, e, n in ends]
        (top, left), (bottom, right), (height, width) = low, high, self.clip[1:]
        return (
            left / width,
            top / height,
            (right - left) / width,
            (bottom - top) / height,
        )

    @property
    def is_small(self) -> bool:
        """Whether it takes less than half of the picture both ways: it is worth enlarging."""
        return all(2 * e < n for e, n in zip(self.size[1:], self.clip[1:], strict=True))


def patch_of(field: ReceptiveField, at: Sequence[int], clip: Axes) -> Patch:
    """The receptive field of the unit at ``at`` (t, h, w) in a clip of (T, H, W)."""
    t, y, x = (s + i * step for s, i, step in zip(field.start, at, field.step, strict=True))
    return Patch((t, y, x), field.size, clip)


def small_patch(field: ReceptiveField | None, at: tuple[int, ...], clip: Axes) -> Patch | None:
    """What a unit sees, where that is so little of the clip that it has to be enlarged.

    None too where it sees the whole clip, or no frame of it.
    """
    if field is None or len(at) != 3:
        return None
    patch = patch_of(field, at, clip)
    return patch if patch.is_small and patch.frames else None


def cut(frames: Picture, patch: Patch, height: int, *, smooth: bool = True) -> Picture:
    """A patch out of the frames, enlarged.

    Args:
        frames: uint8 (T, n * H, n * W, 3); n is a whole number: the clip, or the same drawn larger.
        height: of the result, in pixels.
        smooth: False keeps the edges of pixels, for numbers.

    Returns:
        uint8 (t, height, w, 3), its frames in the clip; mid-grey where it lies outside the picture.
    """
    n = frames.shape[1] // patch.clip[1]
    (_, top, left), (_, tall, wide) = patch.start, patch.size
    inside = [slice(max(0, n * s), max(0, n * (s + e))) for s, e in ((top, tall), (left, wide))]
    part = frames[patch.frames.start : patch.frames.stop, inside[0], inside[1]]
    whole = np.full((len(part), n * tall, n * wide, 3), _GREY, np.uint8)
    y, x = max(0, -n * top), max(0, -n * left)
    whole[:, y : y + part.shape[1], x : x + part.shape[2]] = part
    size = (max(1, round(height * wide / tall)), height)
    how = cv2.INTER_CUBIC if smooth else cv2.INTER_NEAREST
    made = [cv2.resize(frame, size, interpolation=how) for frame in whole]
    return np.asarray(made, np.uint8).reshape(len(made), height, size[0], 3)


def cut_throughout(
    frames: Picture, patch: Patch, height: int, *, smooth: bool = True, dim: bool = False
) -> Picture:
    """The same in every frame of the clip, uint8 (T, height, w, 3), for a film.

    Args:
        dim: whether frames that the patch does not lie in keep only a part of their light.
    """
    whole = Patch((0, *patch.start[1:]), (patch.clip[0], *patch.size[1:]), patch.clip)
    made = cut(frames, whole, height, smooth=smooth)
    for number in set(range(len(made))).difference(patch.frames) if dim else ():
        made[number] = (made[number] * _DIM).astype(np.uint8)
    return made


def places(
    activations: npt.NDArray[np.float32], field: ReceptiveField, count: int = 9
) -> list[Axes]:
    """The strongest cells of a feature map whose receptive fields overlap by half at most.

    Zeiler and Fergus (2014) show a map's nine strongest answers; neighbours of one would be eight
    times the same patch.

    Args:
        activations: (T, H, W).

    Returns:
        (t, h, w) of at most ``count`` cells that answer more than 0, strongest first.
    """
    left = np.array(activations, dtype=np.float32)
    apart = [
        max(1, -(-size // (2 * step))) if step else n
        for size, step, n in zip(field.size, field.step, left.shape, strict=True)
    ]
    found: list[Axes] = []
    while len(found) < count:
        cell = np.unravel_index(int(left.argmax()), left.shape)
        if not left[cell] > 0:
            break
        t, h, w = (int(i) for i in cell)
        found.append((t, h, w))
        left[tuple(slice(max(0, i - d + 1), i + d) for i, d in zip(cell, apart, strict=True))] = 0
    return found
