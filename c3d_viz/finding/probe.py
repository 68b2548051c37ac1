"""What one network does with one window: back-projections to curves, or perturbations to losses."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..clips import preprocess_frames
from ..engine import Unit, Walker, activation, chain_of, forward, peak, recording, trace
from ..methods import METHODS, attribute_many
from ..nets import InputSpec
from ..stats import Floats
from .measures import curves
from .stimulus import Frames, Stimulus
from .windows import Window

Arrays = dict[str, np.ndarray]

LAYER = "conv5b"
UNITS = 4
TEXTURE_BLUR = 3.0  # pixels
TOGETHER = 4  # clips in a batch


def measure(
    model: nn.Module,
    spec: InputSpec,
    window: Window,
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
    first = Pass(model, preprocess_frames(window.frames, spec))
    chosen = first.strongest(units)
    runs = [_run(first, chosen, window.stimulus, methods)]
    if backward:
        again = Pass(model, preprocess_frames(window.frames[::-1].copy(), spec))
        runs.append(_run(again, chosen, window.stimulus.reversed(), methods))
    out = {key: np.stack([arrays[key] for arrays in runs]) for key in runs[0]}
    out["channels"] = np.array(chosen, np.int32)
    return out


class Pass:
    """One clip before a network: which units are strongest, and their back-projections.

    In a plain chain the layers behind the one that is asked about are not run, and the one
    forward pass that finds the strongest units serves their back-projections by every rule.
    """

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        self.model, self.x = model, x
        self.chain = chain_of(model, tuple(x.shape[1:]))
        self.level = self.chain.level_of(model, LAYER) if self.chain is not None else None
        if self.chain is not None and self.level is not None:
            channels = self.chain.shapes[self.level][0]
            keys = [(self.level, Unit(LAYER, channel)) for channel in range(channels)]
            with torch.no_grad():
                # what guided backprop needs of a forward pass is all that any rule needs
                self.record = forward(self.chain, x, keys, "guided")
            self.peaks = [self.record.found[key] for key in keys]
        else:
            seen = trace(model, x, [LAYER])
            every = [peak(seen, LAYER, c) for c in range(len(seen.activations[LAYER]))]
            self.peaks = [(unit, activation(seen, unit)) for unit in every]

    def strongest(self, k: int) -> list[int]:
        """The k channels with the highest maximum, strongest first, ties to the lower channel."""
        order = np.argsort([-value for _, value in self.peaks], kind="stable")
        return [int(channel) for channel in order[:k]]

    def project(self, channels: Sequence[int], method: str) -> npt.NDArray[np.float32]:
        """(U, 3, T, H, W): back-projections of the channels, each at its strongest position."""
        rule = METHODS[method].rule
        if self.chain is None or self.level is None or rule is None:
            units = [self.peaks[channel][0] for channel in channels]
            return np.stack([a.values for a in attribute_many(self.model, self.x, units, method)])
        with torch.no_grad():
            walker = Walker(self.chain, rule, self.x.dtype)
            keys = [(self.level, Unit(LAYER, channel)) for channel in channels]
            maps = [walker.walk(self.record, self.x, key).values for key in keys]
        return np.stack([values.to(torch.float32).numpy() for values in maps])


def _run(clip: Pass, channels: Sequence[int], stimulus: Stimulus, methods: Sequence[str]) -> Arrays:
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


def perturb(model: nn.Module, spec: InputSpec, window: Window, *, units: int = UNITS) -> Arrays:
    """Loss of activation as single frames lose their motion or their texture; no back-projection.

    Frame t is replaced by the frame before it (motion gone), or blurred (texture gone, motion
    kept). The units are those of :func:`measure`, at their positions on the untouched clip.

    Returns:
        motion, texture: float32 (G, U, T), loss relative to the clip's activation, frames 1..T-2;
        NaN at the border and for a silent unit. channels (U,), at (G, U, 3).
    """
    channels: list[int] = []
    out: dict[str, list[np.ndarray]] = {"motion": [], "texture": [], "at": []}
    for frames in (window.frames, window.frames[::-1].copy()):
        whole_clip = Pass(model, preprocess_frames(frames, spec))
        channels = channels or whole_clip.strongest(units)
        placed = [whole_clip.peaks[channel][0] for channel in channels]
        whole = np.array([whole_clip.peaks[channel][1] for channel in channels], np.float32)
        scale = np.where(whole > 0, whole, np.nan)
        times = range(1, len(frames) - 1)
        for name, change in (("motion", _without_motion), ("texture", _without_texture)):
            answers = _answers(model, spec, [change(frames, t) for t in times], placed)
            loss = np.full((len(placed), len(frames)), np.nan, np.float32)
            loss[:, 1:-1] = ((whole - answers) / scale).T
            out[name].append(loss)
        out["at"].append(np.array([unit.at for unit in placed], np.int32))
    stacked = {key: np.stack(value) for key, value in out.items()}
    stacked["channels"] = np.array(channels, np.int32)
    return stacked


def perturbation_delta(motion: Floats, texture: Floats) -> Floats:
    """Delta of the perturbation curves: each divided by its mean absolute value, motion - texture.

    Args:
        motion, texture: (..., T), NaN at the border frames.

    Returns:
        (..., T); NaN where a curve has no loss at all (a frozen clip loses no motion).
    """

    def shape(curve: Floats) -> Floats:
        size = np.abs(curve[..., 1:-1]).mean(-1, keepdims=True)
        return np.asarray(curve / np.where(size > 1e-6, size, np.nan))

    return shape(motion) - shape(texture)


def _without_motion(frames: Frames, t: int) -> Frames:
    changed = frames.copy()
    changed[t] = frames[t - 1]
    return changed


def _without_texture(frames: Frames, t: int) -> Frames:
    changed = frames.copy()
    changed[t] = cv2.GaussianBlur(frames[t], (0, 0), TEXTURE_BLUR)
    return changed


def _answers(
    model: nn.Module, spec: InputSpec, clips: Sequence[Frames], units: Sequence[Unit]
) -> npt.NDArray[np.float32]:
    """(clips, units): what the units answer to each clip.

    Some clips at a time: torch's convolution of a single clip by a narrow layer takes a path that
    is about three times as slow. Nothing here is walked back, so the last bit does not matter.
    """
    found = []
    for start in range(0, len(clips), TOGETHER):
        x = torch.cat([preprocess_frames(f, spec) for f in clips[start : start + TOGETHER]])
        with torch.no_grad(), recording(model, [LAYER], lambda _l, _m, _x, output: output) as kept:
            model(x)
        answers = kept[LAYER]  # (clips, C, T', H', W')
        found.append(torch.stack([_cell(answers, unit) for unit in units], 1))
    return torch.cat(found).to(torch.float32).numpy()


def _cell(answers: Tensor, unit: Unit) -> Tensor:
    assert unit.at is not None
    t, h, w = unit.at
    return answers[:, unit.channel, t, h, w]
