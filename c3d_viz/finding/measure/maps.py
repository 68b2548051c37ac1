"""Curves of a network's strongest units on a window, as it is and reversed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from ...clips import preprocess_frames
from ...nets import InputSpec
from ..probe import Probe
from ..types import UNITS, Arrays
from .curves import curves
from .stimulus import Stimulus
from .windows import ClipWindow


def measure(
    model: nn.Module,
    spec: InputSpec,
    window: ClipWindow,
    methods: Sequence[str],
    *,
    units: int = UNITS,
    backward: bool = True,
) -> Arrays:
    """Curves of the strongest units on the window, and of the same channels on it reversed.

    Returns:
        Arrays with axes direction (forward, backward), method, unit, frame:
        A, M, E float32 (G, m, U, T); why_a, why_m int8 (G, m, U, T); and channels (U,), the
        units' channels, at (G, U, 3), their positions, activation (G, U).
    """
    first = Probe(model, preprocess_frames(window.frames, spec))
    chosen = first.strongest(units)
    runs = [_run(first, chosen, window.stimulus, methods)]
    if backward:
        again = Probe(model, preprocess_frames(window.frames[::-1].copy(), spec))
        runs.append(_run(again, chosen, window.stimulus.reversed(), methods))
    out = {key: np.stack([arrays[key] for arrays in runs]) for key in runs[0]}
    out["channels"] = np.array(chosen, np.int32)
    return out


def _run(
    clip: Probe, channels: Sequence[int], stimulus: Stimulus, methods: Sequence[str]
) -> Arrays:
    per_method: dict[str, list[np.ndarray]] = {k: [] for k in ("A", "M", "E", "why_a", "why_m")}
    for method in methods:
        measured = curves(clip.project(channels, method), stimulus)
        for key, stack in per_method.items():
            values = getattr(measured, key)
            stack.append(values if values.dtype == np.int8 else values.astype(np.float32))
    out = {key: np.stack(stack) for key, stack in per_method.items()}
    out["at"] = np.array([clip.peaks[c][0].at for c in channels], np.int32)
    out["activation"] = np.array([clip.peaks[c][1] for c in channels], np.float32)
    return out
