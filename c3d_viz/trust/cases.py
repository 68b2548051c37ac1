"""The clips of a check: windows of given videos, with masks where there are some, and synthetic."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..clips import cropped_frames, find_videos, read_clip, video_info, window_starts
from ..errors import ClipError
from ..nets import InputSpec
from ..progress import Progress
from ..synthetic import HOWS, sample_clip
from .baselines import BASELINES, Maps

Frames = npt.NDArray[np.uint8]
Masks = npt.NDArray[np.bool_]

_MOVING = tuple(how for how in HOWS if how in ("left", "right", "up", "down"))
_CLUTTER = 0.8  # chance of a distractor 0.5, of a pan 0.4, of an occluder 0.3


@dataclass(frozen=True)
class Case:
    """One window, as the network sees it.

    Attributes:
        name: unique in a run, for people.
        source: the video it is of, the unit of the bootstrap.
        frames: uint8 (T, H, W, 3) RGB, cropped as for the network.
        masks: bool (T, H, W), where the object is; None where nobody knows.
        synthetic: made here; everything in it is known.
    """

    name: str
    source: str
    frames: Frames = field(repr=False)
    masks: Masks | None = field(repr=False, default=None)
    synthetic: bool = False
    _baselines: dict[tuple[str, int], Maps] = field(default_factory=dict, repr=False, compare=False)

    def baseline(self, name: str, seed: int) -> Maps:
        """A map (T, H, W) of BASELINES that no network made; one that layers and checks share."""
        if (name, seed) not in self._baselines:
            self._baselines[name, seed] = BASELINES[name](self.frames, seed)
        return self._baselines[name, seed]

    @cached_property
    def sha256(self) -> str:
        """Of frames and masks."""
        digest = hashlib.sha256(np.ascontiguousarray(self.frames).tobytes())
        if self.masks is not None:
            digest.update(np.packbits(self.masks).tobytes())
        return digest.hexdigest()


def real_cases(
    paths: Sequence[Path], spec: InputSpec, progress: Progress | None = None
) -> tuple[list[Case], list[str]]:
    """The middle window of every video, and a line for each of a folder that cannot be used.

    Raises:
        ClipError: a path that was named cannot be read or is too short.
    """
    cases: list[Case] = []
    skipped: list[str] = []
    seen: dict[str, int] = {}
    sources = find_videos(paths) if paths else []
    for number, (path, named) in enumerate(sources):
        if progress is not None:
            progress(number, len(sources), f"reading {path.name}")
        try:
            frames, masks, name = _window(path, spec)
        except ClipError as error:
            if named:
                raise
            skipped.append(str(error))
            continue
        seen[name] = seen.get(name, 0) + 1
        name = name if seen[name] == 1 else f"{name}-{seen[name]}"
        cases.append(Case(name, name, frames, masks))
    return cases, skipped


def _window(path: Path, spec: InputSpec) -> tuple[Frames, Masks | None, str]:
    total = video_info(path).frames
    try:
        (start,) = window_starts(total, spec.frames, spec.stride, windows=1)
    except ClipError as error:
        raise ClipError(f"{path}: {error}") from None
    clip = read_clip(path, start, spec.frames, spec.stride)
    beside = path.parent / "masks"
    masks = None
    if path.name == "frames" and beside.is_dir():
        if (drawn_for := video_info(beside).frames) != total:
            raise ClipError(f"{beside} holds {drawn_for} masks for {total} frames; they must agree")
        drawn = read_clip(beside, start, spec.frames, spec.stride)
        if drawn.frames.shape != clip.frames.shape:
            raise ClipError(
                f"{beside} holds masks of {drawn.frames.shape[2]} x {drawn.frames.shape[1]} pixels "
                f"for frames of {clip.frames.shape[2]} x {clip.frames.shape[1]}; they must agree"
            )
        # any colour but black is an object: data sets number theirs by colours
        lit = (drawn.frames.max(-1, keepdims=True) > 0).astype(np.uint8) * 255
        whole = dataclasses.replace(drawn, frames=np.repeat(lit, 3, axis=-1))
        masks = cropped_frames(whole, spec)[..., 0] > 127
    return cropped_frames(clip, spec), masks, clip.name


def synthetic_cases(count: int, spec: InputSpec, seed: int) -> list[Case]:
    """Clips of one object that moves left, right, up or down, in turn; a seed, its scenes."""
    size = min(spec.crop)
    cases = []
    for number in range(count):
        how = _MOVING[number % len(_MOVING)]
        made = sample_clip(
            how=how, seed=seed * 1000 + number, frames=spec.frames, size=size, clutter=_CLUTTER
        )
        frames, masks = made.frames, made.masks
        if spec.crop != (size, size):  # a frame that is not square: its middle part is drawn larger
            frames, masks = _stretched(frames, masks, spec.crop)
        name = f"synthetic-{number + 1}-{how}"
        cases.append(Case(name, name, frames, masks, synthetic=True))
    return cases


def _stretched(frames: Frames, masks: Masks, crop: tuple[int, int]) -> tuple[Frames, Masks]:
    rows = (np.arange(crop[0]) * frames.shape[1]) // crop[0]
    columns = (np.arange(crop[1]) * frames.shape[2]) // crop[1]
    return frames[:, rows][:, :, columns], masks[:, rows][:, :, columns]
