"""From a video file or a folder of frames to 16-frame clips.

Only the frames asked for are kept in memory, however long the video is.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..arguments import check_fields, checked
from ..errors import ClipError, printable
from .frame import Frame
from .opening import PathLike, check_pixels, shown
from .source import open_source
from .video import VideoInfo

MAX_FRAMES = 1_000_000  # of all windows together: more cannot be listed quickly
MAX_NUMBER = 1_000_000_000  # of a frame: a year of video
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
        notes: what people should know who look at it, a line each: frames that a decoder filled
            in or that follow a damaged one, colours without tone mapping.

    Raises:
        ClipError: a field of the wrong kind, or frames of another layout.
    """

    frames: Frame
    fps: float
    source: str
    start: int
    stride: int = 1
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, ClipError)
        shape, kind = self.frames.shape, self.frames.dtype
        if len(shape) != 4 or shape[3] != 3 or kind != np.uint8 or not self.frames.size:
            raise ClipError(f"frames must be uint8 RGB (T, H, W, 3), got {kind} {shape}")

    @property
    def name(self) -> str:
        """See ``clip_name``."""
        return clip_name(self.source)


def clip_name(source: str) -> str:
    """Name of the file without suffix, or of the folder (its parent's for ``x/frames``).

    Printable: pictures, pages and tables show it.
    """
    path = Path(source)
    if path.name.casefold() in _FRAME_FOLDER_NAMES and path.parent.name:
        return printable(path.parent.name)
    return printable(re.sub(r"\.[A-Za-z][A-Za-z0-9]{1,4}$", "", path.name) or path.name)


@checked(ClipError)
def video_info(path: PathLike) -> VideoInfo:
    """Frames, rate, upright size and duration, without decoding more than one frame.

    Raises:
        ClipError: ``path`` is not a video or folder of frames that can be read.
    """
    return open_source(path).info()


@checked(ClipError)
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


@checked(ClipError)
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
    fps, notes = source.about()
    held: dict[int, Frame] = {}
    flaws: dict[int, str] = {}
    at = 0
    for number, frame, flaw in source.frames(wanted):
        check_pixels(shown(path), frames, frame.shape[1], frame.shape[0])
        held[number] = frame
        if flaw:
            flaws[number] = flaw
        while at < len(windows) and number == windows[at][-1]:
            at += 1
            keep = windows[at][0] if at < len(windows) else number + 1
            stack = _take(held, windows[at - 1], keep)
            told = (*notes, *_flaw_notes(windows[at - 1], flaws))
            yield Clip(stack, fps, os.fspath(path), starts[at - 1], stride, told)
            del stack  # or this window would stay in memory until the next is whole
    if at < len(windows):
        info = source.info()
        if info.frames > windows[at][-1]:
            raise ClipError(
                f"{shown(path)} states {info.frames} frames but ends before frame "
                f"{windows[at][-1]}: it is truncated; choose an earlier start, or copy it again"
            )
        why = "".join(f" ({note})" for note in info.notes if note not in notes)
        raise _too_short(path, info.frames, starts[at], frames, stride, why)


def _flaw_notes(window: list[int], flaws: dict[int, str]) -> Iterator[str]:
    """One line for each run of frames with the same flaw: "frames 20-23: ..."."""
    for flaw, run in itertools.groupby(window, flaws.get):
        if flaw:
            first, *rest = run
            which = f"frames {first}-{rest[-1]}" if rest else f"frame {first}"
            yield f"{which}: {flaw}"


def _take(held: dict[int, Frame], window: list[int], keep: int) -> Frame:
    """Stack a window; frames before ``keep`` leave ``held`` as they are copied."""
    stack = np.empty((len(window), *held[window[0]].shape), dtype=np.uint8)
    for i, number in enumerate(window):
        stack[i] = held[number] if number >= keep else held.pop(number)
    for number in [n for n in held if n < keep]:
        del held[number]
    return stack


@checked(ClipError)
def window_starts(
    n_frames: int,
    frames: int = 16,
    stride: int = 1,
    windows: int | None = None,
    start: int = 0,
) -> list[int]:
    """Starts of windows spread evenly over a video, ascending and without repetition.

    Args:
        n_frames: frames of the video.
        windows: how many: the middles of as many equal parts (one window: the middle of the
            video), fewer where the video has no more. None: end to end, as many as fit.
        start: the frame from which on they are spread.

    Raises:
        ClipError: no window fits behind ``start``, or an argument is below 1.
    """
    _check_window("the video", [start], frames, stride)
    if windows is not None and windows < 1:
        raise ClipError(f"windows must be at least 1, got {windows}")
    span = span_of(stride, frames)
    room = n_frames - start - span
    if room < 0:
        raise _too_short("the video", n_frames, start, frames, stride)
    if windows is None:
        return list(range(start, start + room + 1, span))
    count = min(windows, room + 1)
    return sorted({start + int((2 * i + 1) * room // (2 * count)) for i in range(count)})


def span_of(stride: int, frames: int = 16) -> int:
    """How many frames of a video a window reaches over, from its first to its last."""
    return (frames - 1) * stride + 1


def _check_window(path: PathLike, starts: Sequence[int], frames: int, stride: int) -> None:
    if frames < 1 or stride < 1:
        raise ClipError(
            f"{shown(path)}: frames and stride must be at least 1, got {frames} and {stride}"
        )
    if any(start < 0 for start in starts):
        raise ClipError(
            f"{shown(path)}: start must be 0 or more, got {min(starts)}; frames count from 0"
        )
    if max(starts, default=0) + frames * stride > MAX_NUMBER:
        raise ClipError(
            f"{shown(path)}: start {max(starts)} at stride {stride} lies behind the end of any "
            f"video; frames count from 0, to {MAX_NUMBER:,} at most"
        )
    if frames * len(starts) > MAX_FRAMES:
        raise ClipError(
            f"{shown(path)}: {len(starts)} windows of {frames} frames at stride {stride} are more "
            f"than any video has; ask for {MAX_FRAMES:,} frames at most"
        )
    if any(b < a for a, b in itertools.pairwise(starts)):
        raise ClipError(f"{shown(path)}: starts must ascend, got {list(starts)}")


def _too_short(
    path: PathLike, have: int, start: int, frames: int, stride: int, why: str = ""
) -> ClipError:
    span = span_of(stride, frames)
    every = "" if stride == 1 else f" at stride {stride}"
    plural = ("frame" if have == 1 else "frames") + why
    if have < span:
        return ClipError(
            f"{shown(path)} has {have} {plural}; a window of {frames}{every} needs {span}: give a "
            f"longer video" + (" or a smaller stride" if stride > 1 else "")
        )
    return ClipError(
        f"{shown(path)} has {have} {plural}; start {start} with {frames} frames{every} needs "
        f"{start + span}: the last possible start is {have - span}"
    )
