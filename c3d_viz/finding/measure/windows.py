"""The clips of the test: windows of the given videos, fixed by rule, and synthetic ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from ...clips import (
    cropped_frames,
    find_videos,
    read_clip,
    span_of,
    video_info,
    window_starts,
)
from ...errors import ClipError
from ...nets import InputSpec
from ...progress import Progress
from ...synthetic import positive_controls
from ..types import Frames
from .stimulus import Stimulus, stimulus


@dataclass(frozen=True)
class ClipWindow:
    """Sixteen frames as the network sees them.

    Attributes:
        name: for people and file names, unique in a run.
        cluster: the source video, the unit of the bootstrap.
        frames: uint8 (T, 112, 112, 3) RGB.
        source: path as given, or how it was made.
        start: first frame in the source.
        kind: "real", "appearance first" or "motion first".
    """

    name: str
    cluster: str
    frames: Frames = field(repr=False)
    source: str
    start: int
    kind: str = "real"

    @cached_property
    def stimulus(self) -> Stimulus:
        """S and D, computed once for all networks."""
        return stimulus(self.frames)

    @cached_property
    def sha256(self) -> str:
        """Of the frames as the network sees them."""
        return hashlib.sha256(np.ascontiguousarray(self.frames).tobytes()).hexdigest()


def real_windows(
    paths: Sequence[Path],
    spec: InputSpec,
    per_video: int,
    progress: Progress | None = None,
) -> tuple[list[ClipWindow], list[str]]:
    """Evenly spread windows of every video.

    Returns:
        The windows, and one line for each video that was found in a folder and cannot be used.

    Raises:
        ClipError: a path that was named cannot be read or is too short, or no window is left.
    """
    sources = find_videos(paths)
    windows: list[ClipWindow] = []
    skipped: list[str] = []
    names: dict[str, int] = {}
    for number, (path, named) in enumerate(sources):
        if progress is not None:
            progress(number, len(sources), f"reading {path.name}")
        try:
            starts = _starts(path, spec, per_video)
            clips = [read_clip(path, start, spec.frames, spec.stride) for start in starts]
        except ClipError as error:
            if named:
                raise
            skipped.append(str(error))
            continue
        name = clips[0].name
        names[name] = names.get(name, 0) + 1
        if names[name] > 1:
            name = f"{name}-{names[name]}"
        for clip in clips:
            at, frames = f"{name}@{clip.start}", cropped_frames(clip, spec)
            windows.append(ClipWindow(at, name, frames, str(path), clip.start))
    if not windows:
        raise ClipError(f"no usable clip: {skipped[0] if skipped else 'nothing was found'}")
    return windows, skipped


def _starts(path: Path, spec: InputSpec, per_video: int) -> list[int]:
    have, needed = video_info(path).frames, span_of(spec.stride, spec.frames)
    if have < needed:
        raise ClipError(f"{path!s} has {have} frames; the test needs {needed}: leave it out")
    return window_starts(have, spec.frames, spec.stride, per_video)


def synthetic_windows(per_kind: int, seed: int, size: int = 112) -> list[ClipWindow]:
    """Still scenes in which an object starts to move at frame 8, and scenes with the motion first.

    Procedural shapes on procedural backgrounds, one moving object, no camera motion, sensor noise
    of 2 grey levels. The two kinds have scenes of their own.
    """
    windows = []
    for kind in ("appearance first", "motion first"):
        clips = positive_controls(per_kind, seed, motion_first=kind == "motion first", size=size)
        for number, clip in enumerate(clips):
            name = f"{kind.replace(' ', '-')}-{number}"
            windows.append(ClipWindow(name, name, clip.frames, clip.source, 0, kind))
    return windows


def frozen(window: ClipWindow) -> ClipWindow:
    """The window's middle frame, sixteen times."""
    middle = window.frames[len(window.frames) // 2]
    frames = np.repeat(middle[None], len(window.frames), axis=0)
    return ClipWindow(f"{window.name}-frozen", window.cluster, frames, window.source, window.start)


def shuffled(window: ClipWindow, seed: Sequence[int]) -> ClipWindow:
    """The window's frames in a random order."""
    order = np.random.default_rng(list(seed)).permutation(len(window.frames))
    name = f"{window.name}-shuffled-{'-'.join(map(str, seed))}"
    return ClipWindow(name, window.cluster, window.frames[order], window.source, window.start)
