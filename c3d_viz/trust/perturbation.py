"""The same clip, changed a little or in one respect: what does its map do?

Stability: a map should not care about a shift of one pixel, one grey level of noise, compression.
Motion specificity: reversing the clip changes the direction of all motion and nothing else,
negative colours change what things look like and not how they move. A network whose kernels have
depth 1 in time maps the reversed clip to the reversed map.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..clips import read_clip
from ..engine import Unit
from ..errors import LayerError
from ..render import write_video
from .cascade import alike

Frames = npt.NDArray[np.uint8]
Importance = npt.NDArray[np.float32]
# explains a unit in frames that the network's input is made of
Explain = Callable[[Frames, Unit], Importance]


@dataclass(frozen=True)
class MotionSpecificity:
    """What a map owes to the direction of motion.

    Attributes:
        direction: 1 - Spearman of the map and of the reversed clip's, turned back; 1 where one of
            the two is empty, NaN where both are.
        appearance: the same for the clip in negative colours.
    """

    direction: float
    appearance: float

    @property
    def score(self) -> float:
        """direction / (direction + appearance); NaN where neither changes the map."""
        both = self.direction + self.appearance
        return self.direction / both if both > 1e-9 else float("nan")


def motion_specificity(
    explain: Explain, frames: Frames, unit: Unit, steps: int
) -> MotionSpecificity:
    """Compare a unit's map with those of the reversed and of the negative clip.

    Args:
        explain: makes the map (T, H, W) of a unit in frames.
        frames: uint8 (T, H, W, 3) RGB.
        unit: with a position.
        steps: length of its layer's grid in time: its mirror image sits at ``steps - 1 - t``.

    Raises:
        LayerError: the unit has no position in time.
    """
    if not unit.at:
        raise LayerError(f"{unit.layer} has no time in which its unit could be mirrored")
    original = explain(frames, unit)
    mirrored = Unit(unit.layer, unit.channel, (steps - 1 - unit.at[0], *unit.at[1:]))
    backwards = explain(np.ascontiguousarray(frames[::-1]), mirrored)[::-1]
    negative = explain(255 - frames, unit)
    return MotionSpecificity(
        direction=_change(original, backwards), appearance=_change(original, negative)
    )


def _change(first: Importance, second: Importance) -> float:
    if (first.max() > 0) != (second.max() > 0):
        return 1.0  # the map is gone altogether
    return 1 - alike(first, second)


def little_changes(frames: Frames, seed: int) -> dict[str, Frames]:
    """The clip shifted by one pixel, with noise of one grey level a value, and as H.264."""
    return {
        "shift": np.roll(frames, 1, axis=2),
        "noise": _noisy(frames, seed),
        "compression": _compressed(frames),
    }


def stability(
    explain: Explain, frames: Frames, unit: Unit, changes: Mapping[str, Frames]
) -> dict[str, float]:
    """Spearman of a unit's map with itself in the shifted, noisy and compressed clip.

    Args:
        explain, frames, unit: as ``motion_specificity``.
        changes: of ``little_changes``.
    """
    original = explain(frames, unit)
    found = {}
    for name, changed in changes.items():
        other = explain(changed, unit)
        if name == "shift":
            other, mine = other[:, :, 1:], original[:, :, :-1]  # the column that came round is left
            found[name] = alike(mine, other)
        else:
            found[name] = alike(original, other)
    return found


def _noisy(frames: Frames, seed: int) -> Frames:
    step = np.random.default_rng(seed).choice(np.array([-1, 1], np.int16), frames.shape)
    return np.asarray(np.clip(frames + step, 0, 255), np.uint8)


def _compressed(frames: Frames) -> Frames:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        write_video(path, frames, 25.0)
        read = read_clip(path, 0, len(frames)).frames
    return np.ascontiguousarray(read[:, : frames.shape[1], : frames.shape[2]])  # odd sides grew
