"""From a clip to the network's input: resize, crop, mean, scale, as the authors' release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from ..arguments import checked
from ..errors import ShapeError
from ..nets import InputSpec
from .clip import Clip
from .frame import Frame
from .opening import MAX_FRAME_PIXELS

if TYPE_CHECKING:
    from torch import Tensor


@checked(ShapeError)
def cropped_frames(clip: Clip, spec: InputSpec) -> Frame:
    """The exact pixels the net sees, (T, H, W, 3) uint8 RGB: resized, then centre crop.

    Three equal channels where the network takes one.
    """
    return np.stack([cropped_frame(frame, spec)[0] for frame in clip.frames])


def cropped_frame(frame: Frame, spec: InputSpec) -> tuple[Frame, tuple[int, int]]:
    """One frame (H, W, 3) of ``cropped_frames``, and the (height, width) before its crop."""
    size = _resized_size(frame.shape[:2], spec)
    resized = cv2.resize(frame, size[::-1], interpolation=cv2.INTER_LINEAR)
    top, left = _crop_offset(size, spec)
    height, width = spec.crop
    cropped = np.ascontiguousarray(resized[top : top + height, left : left + width], np.uint8)
    return cropped if spec.channels == 3 else _grey(cropped), size


def _grey(frame: Frame) -> Frame:
    luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return cv2.cvtColor(luma, cv2.COLOR_GRAY2RGB).astype(np.uint8, copy=False)


@checked(ShapeError)
def preprocess(clip: Clip, spec: InputSpec) -> Tensor:
    """The net's input (1, C, T, H, W) float32, channels in ``spec.channel_order``.

    As the authors' release: resize, subtract the mean (volume or channel), centre crop, scale;
    then divide by the standard deviation, if there is one. See ``InputSpec``.

    Raises:
        ShapeError: the clip has not ``spec.frames`` frames, or the mean volume does not fit.
    """
    return preprocess_frames(
        cropped_frames(clip, spec), spec, resized=_resized_size(clip.frames.shape[1:3], spec)
    )


@checked(ShapeError)
def preprocess_frames(
    frames: Frame, spec: InputSpec, *, resized: tuple[int, int] | None = None
) -> Tensor:
    """The same for frames (T, H, W, 3) uint8 RGB that are cropped already.

    ``resized`` is the (height, width) they were cropped from; it places a mean volume. By
    default ``spec.resize``, or the volume's own size where that is only a short side.
    """
    import torch

    expected = (spec.frames, *spec.crop, 3)
    if frames.shape != expected or frames.dtype != np.uint8:
        raise ShapeError(
            f"frames must be uint8 RGB of shape {expected} (T, H, W, 3), got {frames.dtype} "
            f"{frames.shape}; read {spec.frames} frames and crop them with cropped_frames()"
        )
    if spec.channels == 1:  # of grey frames the same again
        frames = np.stack([_grey(frame) for frame in frames])[..., :1]
    elif spec.channel_order == "BGR":
        frames = frames[..., ::-1]
    planes = np.ascontiguousarray(frames.transpose(3, 0, 1, 2))  # (T,H,W,C) -> (C,T,H,W)
    x = planes.astype(np.float32)  # from planes, not from pixels: a tenth of the time
    x -= _mean(spec, resized)
    x *= np.float32(spec.scale)
    if spec.std is not None:
        x /= np.array(spec.std, dtype=np.float32).reshape(-1, 1, 1, 1)
    return torch.from_numpy(x)[None]


def _mean(spec: InputSpec, resized: tuple[int, int] | None) -> npt.NDArray[np.float32]:
    """What is taken off, broadcastable to (C, T, H, W) of the crop."""
    if spec.mean_volume is None:
        return np.array(spec.mean, dtype=np.float32).reshape(-1, 1, 1, 1)
    volume = spec.mean_volume
    size = resized or (spec.resize if isinstance(spec.resize, tuple) else volume.shape[2:4])
    if volume.shape != (spec.channels, spec.frames, *size):
        raise ShapeError(
            f"the mean volume has shape {volume.shape}, frames resized to {size[1]} x {size[0]} "
            f"need {(spec.channels, spec.frames, *size)} (C, T, H, W); use the volume made for "
            f"this size"
        )
    top, left = _crop_offset((size[0], size[1]), spec)
    height, width = spec.crop
    return volume[:, :, top : top + height, left : left + width].astype(np.float32, copy=False)


def _resized_size(size: Sequence[int], spec: InputSpec) -> tuple[int, int]:
    """(height, width) after the resize: fixed, or by the short side with the aspect kept."""
    if isinstance(spec.resize, tuple):
        return spec.resize
    factor = spec.resize / min(size)
    height, width = (int(side * factor + 0.5) for side in size)
    if height * width > MAX_FRAME_PIXELS:
        raise ShapeError(
            f"frames resized to {width} x {height} have more than "
            f"{MAX_FRAME_PIXELS // 1_000_000} million pixels; lower resize"
        )
    return height, width


def _crop_offset(size: Sequence[int], spec: InputSpec) -> tuple[int, int]:
    """(top, left) of the centre crop; the release's (8, 29) for 128 x 171."""
    top, left = size[0] - spec.crop[0], size[1] - spec.crop[1]
    if top < 0 or left < 0:
        raise ShapeError(
            f"the crop {spec.crop[1]} x {spec.crop[0]} is larger than the frames resized to "
            f"{size[1]} x {size[0]}; raise InputSpec.resize"
        )
    return top // 2, left // 2
