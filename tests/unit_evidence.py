"""Evidence of a channel as ``gather`` gives it, planted."""

from __future__ import annotations

import numpy as np

from c3d_viz.nets import COMPACT_INPUT, ModelSpec
from c3d_viz.units import Concepts, Evidence, Responses, Stimuli, tuning_of
from c3d_viz.units.preferred import Answer, Ascent, split

NAMES = ("object", "background")


def responses(texture: float = 1.0, other: float = 1.0, channels: int = 20) -> Responses:
    """Channels that prefer 90 degrees at 1.5 pixels; the texture ``texture`` to ``other``."""
    grating = np.full((channels, 12, 5, 4), 0.1)
    grating[:, 3, 2, 1], grating[:, 9, 2, 1] = 9, 1
    patterns = np.zeros((channels, 12, 5))
    patterns[:, 3, 2], patterns[:, 9, 2] = texture, other
    return Responses(grating, patterns, np.full((channels, 25), 0.1), patterns)


def overlaps(score: float) -> Concepts:
    iou = np.tile([0.1 + score, 0.1], (20, 1))
    chance = np.full((20, 2), 0.1)
    first = np.zeros(20, np.int64)
    return Concepts(iou, chance, first, np.full(20, score), np.full(20, 0.05))


def evidence(
    own: Responses, concept: float = 0.3, control: float = 0.1, clip: float = 1.0
) -> Evidence:
    frames = np.zeros((1, 8, 16, 16, 3), np.uint8)
    answers = (
        Answer("stimulus 1", "stimulus", 5.0, 9.0, frames[0]),
        Answer("a clip", "synthetic", clip, 2.0, frames[0]),
    )
    ascent = Ascent(frames, np.zeros((1, 1), np.float32))
    stimuli = Stimuli(answers, ascent, None, split(frames[0], steps=1))
    spec = ModelSpec("compact", "weights", True, COMPACT_INPUT, 60)
    other = responses(1.5, 1.0)
    controls = (tuning_of(other), tuning_of(other))
    measured = overlaps(concept), (overlaps(control), overlaps(control))
    return Evidence(spec, tuning_of(own), own, controls, other, *measured, NAMES, stimuli, None)
