"""All windows of a video in one pass, ready for a network, in memory of a few frames."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ClipError
from ..nets import InputSpec
from .clip import Clip, span_of
from .frame import Frame, SourceFrame
from .opening import PathLike, shown
from .prepare import cropped_frame, preprocess_frames
from .source import open_source

if TYPE_CHECKING:
    from torch import Tensor


Flaw = tuple[str, int, int]  # what is wrong with the frames from one number to another


def add_flaw(flaws: list[Flaw], what: str, first: int, last: int) -> None:
    """Note what is wrong with frames, in ascending order; those that are noted stay as they are."""
    first = max(first, flaws[-1][2] + 1) if flaws else first
    if flaws and flaws[-1][0] == what and flaws[-1][2] == first - 1 <= last:
        flaws[-1] = (what, flaws[-1][1], max(last, flaws[-1][2]))
    elif first <= last:
        flaws.append((what, first, last))


def flaw_notes(flaws: Sequence[Flaw]) -> tuple[str, ...]:
    """A line for each."""
    return tuple(
        f"frames {first}-{last}: {what}" if last > first else f"frame {first}: {what}"
        for what, first, last in flaws
    )


class WindowStream:
    """Windows of every ``spec.stride``-th frame, ``step`` frames apart, each as a network's input.

    Every frame is decoded, resized and cropped once, whatever the overlap, and only the cropped
    frames that one window reaches over are held. What is left behind the last whole window is
    not read.

    Args:
        video: a video file, animation or folder of frames, or a Clip: then windows of its frames,
            whatever stride it was read with.
        spec: what the network takes.
        step: from one window's first frame to the next one's.
        part: which of these windows; frames before the first of them are not read.

    Attributes:
        frames: number of frames of the video or clip.
        starts: place of each window's first frame in the video, or in the clip.
        source_notes: what is known of the source before its frames are read, a line each.

    Raises:
        ClipError: the video cannot be read, or is shorter than one window.
    """

    def __init__(
        self, video: Clip | PathLike, spec: InputSpec, step: int, part: slice = slice(None)
    ) -> None:
        if step < 1:
            raise ClipError(f"windows must be at least 1 frame apart, got {step}")
        self._video, self._spec = video, spec
        self._source = None if isinstance(video, Clip) else open_source(video)
        self.label = shown(video.source if isinstance(video, Clip) else os.fspath(video))
        if self._source is None:
            assert isinstance(video, Clip)
            self.frames, notes = len(video.frames), video.notes
        else:
            info = self._source.info()
            self.frames, notes = info.frames, info.notes
        self.source_notes, self._flaws = notes, list[Flaw]()
        self._stride = spec.stride if self._source is not None else 1
        self._span = span = span_of(self._stride, spec.frames)
        self.starts = range(0, self.frames - span + 1, step)
        if not self.starts:
            plural = "frame" if self.frames == 1 else "frames"
            why = "".join(f" ({note})" for note in notes)
            raise ClipError(
                f"{self.label} has {self.frames} {plural}{why}; a window of {spec.frames} needs "
                f"{span}: give a longer video"
            )
        self.starts = self.starts[part]

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know, a line each; damaged frames as far as they have been read."""
        return (*self.source_notes, *flaw_notes(self._flaws))

    @property
    def flaws(self) -> tuple[Flaw, ...]:
        """Damaged frames as far as they have been read."""
        return tuple(self._flaws)

    def cuts(self, every: int) -> tuple[int, ...]:
        """Places in ``starts``, of each ``every``-th, from which a reader may as well begin.

        Such a place is the first, and any that lies behind a keyframe by at most half of what is
        between two: frames on the way there are decoded for nothing.
        """
        keys = self._source.keyframes() if self._source and len(self.starts) > every else None
        if keys is None:
            return (0,)
        known, room = np.asarray(keys), every * self.starts.step // 2
        places = np.arange(0, len(self.starts), every)
        begins = np.asarray(self.starts)[places]
        before = known[np.searchsorted(known, begins, side="right") - 1]
        return tuple(places[(places == 0) | (begins - before <= room)].tolist())

    def __iter__(self) -> Iterator[Tensor]:
        """Each window as (1, C, T, H, W) float32, in the order of ``starts``.

        Raises:
            ClipError: a frame cannot be decoded, or the file ends before what it states.
            ShapeError: the crop is larger than the frames, or a mean volume does not fit.
        """
        spec = self._spec
        self._flaws = []
        held: deque[Frame] = deque(maxlen=self._span)
        number = -1
        for number, frame, flaw in self._read(self.starts[0], self.starts[-1] + self._span):
            cropped, resized = cropped_frame(frame, spec)
            held.append(cropped)
            if flaw:
                add_flaw(self._flaws, flaw, number, number)
            if number - self._span + 1 in self.starts:
                window = np.stack(list(held)[:: self._stride])
                yield preprocess_frames(window, spec, resized=resized)
        if number < self.starts[-1] + self._span - 1:
            raise ClipError(
                f"{self.label} states {self.frames} frames but ends before frame {number + 1}: "
                f"it is truncated; copy it again"
            )

    def _read(self, first: int, end: int) -> Iterator[SourceFrame]:
        if isinstance(self._video, Clip):
            return (SourceFrame(i, self._video.frames[i]) for i in range(first, end))
        assert self._source is not None
        return self._source.frames(range(first, end))
