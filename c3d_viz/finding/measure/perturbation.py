"""Loss of activation as single frames lose their motion or their texture; no back-projection."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...clips import preprocess_frames
from ...engine import Unit, recording
from ...nets import InputSpec
from ..probe import Probe
from ..types import LAYER, UNITS, Arrays, Frames
from .windows import ClipWindow

TEXTURE_BLUR = 3.0  # pixels
TOGETHER = 4  # clips in a batch


def perturb(model: nn.Module, spec: InputSpec, window: ClipWindow, *, units: int = UNITS) -> Arrays:
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
        whole_clip = Probe(model, preprocess_frames(frames, spec))
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
    batches = []
    for start in range(0, len(clips), TOGETHER):
        x = torch.cat([preprocess_frames(f, spec) for f in clips[start : start + TOGETHER]])
        with (
            torch.no_grad(),
            recording(model, [LAYER], lambda _l, _m, _x, output: output) as levels,
        ):
            model(x)
        answers = levels[LAYER]  # (clips, C, T', H', W')
        batches.append(torch.stack([_cell(answers, unit) for unit in units], 1))
    return torch.cat(batches).to(torch.float32).numpy()


def _cell(answers: Tensor, unit: Unit) -> Tensor:
    assert unit.at is not None
    t, h, w = unit.at
    return answers[:, unit.channel, t, h, w]
