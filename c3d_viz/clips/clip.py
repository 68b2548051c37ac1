"""From a video file or a folder of frames to 16-frame clips, and from a clip to the net's input.

Only the frames asked for are kept in memory, however long the video is.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import ClipError, ShapeError
from ..nets import InputSpec
from .frame import Frame
from .opening import PathLike, shown
from .source import open_source
from .timeline import motion_energy, read_thumbnails
from .video import VideoInfo

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Clip",
    "VideoInfo",
    "cropped_frames",
    "motion_energy",
    "preprocess",
    "preprocess_frames",
    "read_clip",
    "read_clips",
    "read_thumbnails",
    "resized_frames",
    "video_info",
    "window_starts",
]

MAX_CLIP_PIXELS = 300_000_000  # of one clip: 16 frames of 4K are 133 million
_FRAME_FOLDER_NAMES = {"frames", "images", "imgs", "jpegimages", "rgb"}


@dataclass(frozen=True)
class Clip:
    """Consecutive (or every ``stride``-th) frames of a video.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB, upright, in the size of the source.
        fps: frames per second of the source (25 for a folder of pictures). Shown at its own
            speed, the clip runs at ``fps / stride``.
        source: path as it was given.
        start: number of the first frame, counted from 0.
        stride: distance between neighbouring frames of the clip in the source.
    """

    frames: Frame
    fps: float
    source: str
    start: int
    stride: int = 1

    @property
    def name(self) -> str:
        """Name of the file without suffix, or of the folder (its parent's for ``x/frames``)."""
        path = Path(self.source)
        if path.name.casefold() in _FRAME_FOLDER_NAMES and path.parent.name:
            return path.parent.name
        return re.sub(r"\.[A-Za-z][A-Za-z0-9]{1,4}$", "", path.name) or path.name


def video_info(path: PathLike) -> VideoInfo:
    """Frames, rate, upright size and duration, without decoding more than one frame.

    Raises:
        ClipError: ``path`` is not a video or folder of frames that can be read.
    """
    return open_source(path).info()


def read_clip(path: PathLike, start: int = 0, frames: int = 16, stride: int = 1) -> Clip:
    """Read one window: frames ``start``, ``start + stride``, ... of a video or frame folder.

    Args:
        path: video file in any container and codec of ffmpeg, GIF, or a folder of pictures.
        start: number of the first frame, from 0, in order of display (see ``c3d_viz.clips.video``).
        frames: how many, 16 for C3D.
        stride: 1 for consecutive frames.

    Raises:
        ClipError: the file cannot be read, or has no such frames. One line says what to do.
    """
    return next(read_clips(path, [start], frames, stride))


def read_clips(
    path: PathLike, starts: Sequence[int], frames: int = 16, stride: int = 1
) -> Iterator[Clip]:
    """Read several windows in one pass over the file, yielding each as soon as it is whole.

    ``starts`` must ascend; windows may overlap. A frame is let go when no later window needs it.

    Raises:
        ClipError: as read_clip. Windows before the faulty one have been yielded by then.
    """
    _check_window(path, starts, frames, stride)
    source = open_source(path)
    windows = [[start + i * stride for i in range(frames)] for start in starts]
    wanted = sorted({number for window in windows for number in window})
    fps = source.fps()
    held: dict[int, Frame] = {}
    at = 0
    for number, frame in source.frames(wanted):
        height, width = frame.shape[:2]
        if height * width * frames > MAX_CLIP_PIXELS:
            raise ClipError(
                f"{shown(path)}: {frames} frames of {width} x {height} are more than the "
                f"{MAX_CLIP_PIXELS // 1_000_000} million pixels a clip may have; scale it down"
            )
        held[number] = frame
        while at < len(windows) and number == windows[at][-1]:
            at += 1
            keep = windows[at][0] if at < len(windows) else number + 1
            stack = _take(held, windows[at - 1], keep)
            yield Clip(stack, fps, os.fspath(path), starts[at - 1], stride)
            del stack  # or this window would stay in memory until the next is whole
    if at < len(windows):
        have = source.info().frames
        if have > windows[at][-1]:
            raise ClipError(
                f"{shown(path)} states {have} frames but ends before frame {windows[at][-1]}: it "
                f"is truncated; choose an earlier start, or copy the file again"
            )
        raise _too_short(path, have, starts[at], frames, stride)


def _take(held: dict[int, Frame], window: list[int], keep: int) -> Frame:
    """Stack a window; frames before ``keep`` leave ``held`` as they are copied."""
    stack = np.empty((len(window), *held[window[0]].shape), dtype=np.uint8)
    for i, number in enumerate(window):
        stack[i] = held[number] if number >= keep else held.pop(number)
    for number in [n for n in held if n < keep]:
        del held[number]
    return stack


def window_starts(
    n_frames: int, frames: int = 16, stride: int = 1, windows: int | None = None
) -> list[int]:
    """Starts of windows spread evenly over a video, ascending and without repetition.

    Args:
        n_frames: frames of the video.
        windows: how many: the middles of as many equal parts (one window: the middle of the
            video), fewer where the video has no more. None: end to end, as many as fit.

    Raises:
        ClipError: the video is shorter than one window, or an argument is below 1.
    """
    _check_window("the video", [0], frames, stride)
    if windows is not None and windows < 1:
        raise ClipError(f"windows must be at least 1, got {windows}")
    span = (frames - 1) * stride + 1
    room = n_frames - span
    if room < 0:
        raise _too_short("the video", n_frames, 0, frames, stride)
    if windows is None:
        return list(range(0, room + 1, span))
    return sorted({int((2 * i + 1) * room // (2 * windows)) for i in range(windows)})


def resized_frames(clip: Clip, spec: InputSpec) -> Frame:
    """Frames in the size before the crop, (T, H', W', 3) uint8 RGB, bilinear as the release."""
    height, width = _resized_size(clip.frames.shape[1:3], spec)
    return np.stack(
        [cv2.resize(f, (width, height), interpolation=cv2.INTER_LINEAR) for f in clip.frames]
    ).astype(np.uint8, copy=False)


def cropped_frames(clip: Clip, spec: InputSpec) -> Frame:
    """The exact pixels the net sees, (T, 112, 112, 3) uint8 RGB: resized, then centre crop."""
    resized = resized_frames(clip, spec)
    top, left = _crop_offset(resized.shape[1:3], spec)
    height, width = spec.crop
    return np.ascontiguousarray(resized[:, top : top + height, left : left + width])


def preprocess(clip: Clip, spec: InputSpec) -> Tensor:
    """The net's input (1, 3, T, 112, 112) float32, channels in ``spec.channel_order``.

    As the authors' release: resize, subtract the mean (volume or channel), centre crop, scale.

    Raises:
        ShapeError: the clip has not ``spec.frames`` frames, or the mean volume does not fit.
    """
    return preprocess_frames(
        cropped_frames(clip, spec), spec, resized=_resized_size(clip.frames.shape[1:3], spec)
    )


def preprocess_frames(
    frames: Frame, spec: InputSpec, *, resized: tuple[int, int] | None = None
) -> Tensor:
    """The same for frames (T, 112, 112, 3) uint8 RGB that are cropped already.

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
    if spec.channel_order == "BGR":
        frames = frames[..., ::-1]
    x = frames.astype(np.float32).transpose(3, 0, 1, 2)  # (T,H,W,C) -> (C,T,H,W)
    x = (x - _mean(spec, resized)) * np.float32(spec.scale)
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))[None]


def _mean(spec: InputSpec, resized: tuple[int, int] | None) -> npt.NDArray[np.float32]:
    """What is taken off, broadcastable to (3, T, H, W) of the crop."""
    if spec.mean_volume is None:
        return np.array(spec.mean, dtype=np.float32).reshape(3, 1, 1, 1)
    volume = spec.mean_volume
    size = resized or (spec.resize if isinstance(spec.resize, tuple) else volume.shape[2:4])
    if volume.shape != (3, spec.frames, *size):
        raise ShapeError(
            f"the mean volume has shape {volume.shape}, frames resized to {size[1]} x {size[0]} "
            f"need {(3, spec.frames, *size)} (C, T, H, W); use the volume made for this size"
        )
    top, left = _crop_offset((size[0], size[1]), spec)
    height, width = spec.crop
    return volume[:, :, top : top + height, left : left + width].astype(np.float32, copy=False)


def _resized_size(size: Sequence[int], spec: InputSpec) -> tuple[int, int]:
    """(height, width) after the resize: fixed, or by the short side with the aspect kept."""
    if isinstance(spec.resize, tuple):
        return spec.resize
    height, width = size
    factor = spec.resize / min(height, width)
    return int(height * factor + 0.5), int(width * factor + 0.5)


def _crop_offset(size: Sequence[int], spec: InputSpec) -> tuple[int, int]:
    """(top, left) of the centre crop; the release's (8, 29) for 128 x 171."""
    top, left = size[0] - spec.crop[0], size[1] - spec.crop[1]
    if top < 0 or left < 0:
        raise ShapeError(
            f"the crop {spec.crop[1]} x {spec.crop[0]} is larger than the frames resized to "
            f"{size[1]} x {size[0]}; raise InputSpec.resize"
        )
    return top // 2, left // 2


def _check_window(path: PathLike, starts: Sequence[int], frames: int, stride: int) -> None:
    if frames < 1 or stride < 1:
        raise ClipError(
            f"{shown(path)}: frames and stride must be at least 1, got {frames} and {stride}"
        )
    if any(start < 0 for start in starts):
        raise ClipError(
            f"{shown(path)}: start must be 0 or more, got {min(starts)}; frames count from 0"
        )
    if any(b < a for a, b in itertools.pairwise(starts)):
        raise ClipError(f"{shown(path)}: starts must ascend, got {list(starts)}")


def _too_short(path: PathLike, have: int, start: int, frames: int, stride: int) -> ClipError:
    span = (frames - 1) * stride + 1
    every = "" if stride == 1 else f" at stride {stride}"
    plural = "frame" if have == 1 else "frames"
    if have < span:
        return ClipError(
            f"{shown(path)} has {have} {plural}; a window of {frames}{every} needs {span}: give a "
            f"longer video" + (" or a smaller stride" if stride > 1 else "")
        )
    return ClipError(
        f"{shown(path)} has {have} {plural}; start {start} with {frames} frames{every} needs "
        f"{start + span}: the last possible start is {have - span}"
    )
