"""Windows of a clip, read and prepared for a network, each kept in the shared cache."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import c3d_viz as viz
from c3d_viz import clips
from c3d_viz.errors import ClipError

from . import pictures
from .samples import Source
from .tasks import Key
from .work import Net, Picture, kept

SHARP = 3  # the picture under an overlay has 3 x the pixels the network gets


@dataclass(frozen=True)
class Prepared:
    """One window of a clip, prepared: the 16 frames a network gets.

    Attributes:
        key: clip, window and preprocessing.
        frames: uint8 (16, 112, 112, 3) RGB, the exact pixels.
        sharp: the same part of the picture with SHARP x the pixels, to draw maps on.
        wide: uint8 (16, H, W, 3), the window in the clip's own shape, at most 360 high.
        x: the network's input.
        notes: what people should know of these frames, a line each.
    """

    key: Key
    frames: Picture
    sharp: Picture
    wide: Picture
    x: Any
    start: int
    stride: int
    fps: float
    notes: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        """Width to height of what the network gets."""
        return self.frames.shape[2] / self.frames.shape[1]

    @property
    def numbers(self) -> list[int]:
        """Frame numbers in the video."""
        return [self.start + i * self.stride for i in range(len(self.frames))]


def on(net: Net, win: Prepared) -> Prepared:
    """The same window for another network with the same preprocessing."""
    return replace(win, key=(*win.key, net.key))


def window(source: Source, net: Net, start: int, stride: int) -> Prepared:
    """Read and prepare one window of a clip."""
    key = ("window", source.key, start, stride, net.key)

    def make() -> Prepared:
        spec = net.spec.input
        clip = viz.read_clip(source.path, start, spec.frames, stride)
        return prepare(key, clip, net)

    return kept(key, make)


def readable(source: Source, net: Net, start: int, stride: int) -> tuple[Prepared, str]:
    """The window, or an earlier one where it cannot be read, and why.

    Raises:
        ClipError: no earlier one can be read either.
    """

    def look() -> tuple[int, str]:
        begin, why = start, ""
        while True:
            try:
                window(source, net, begin, stride)
            except ClipError as error:
                why = why or str(error)
                if not begin:
                    raise ClipError(why) from None
                begin //= 2
            else:
                return begin, why

    begin, why = kept(("readable", source.key, start, stride, net.key), look)
    return window(source, net, begin, stride), why


def prepare(key: Key, clip: viz.Clip, net: Net) -> Prepared:
    """A window from frames in memory."""
    spec = net.spec.input
    larger = spec.replace(
        resize=SHARP * spec.resize
        if isinstance(spec.resize, int)
        else (SHARP * spec.resize[0], SHARP * spec.resize[1]),
        crop=(SHARP * spec.crop[0], SHARP * spec.crop[1]),
    )
    wide = clip.frames
    if wide.shape[1] > 360:
        wide = pictures.resized(wide, 360)
    return Prepared(
        key,
        viz.cropped_frames(clip, spec),
        viz.cropped_frames(clip, larger),
        wide,
        viz.preprocess(clip, spec),
        clip.start,
        clip.stride,
        clip.fps,
        clip.notes,
    )


def altered(net: Net, win: Prepared, how: str) -> Prepared:
    """The window reversed, frozen (its middle frame throughout) or shuffled (seed 0)."""
    key = (*win.key, how)
    order = _order(len(win.frames), how)

    def make() -> Prepared:
        frames = np.ascontiguousarray(win.frames[order])
        return replace(
            win,
            key=key,
            frames=frames,
            sharp=np.ascontiguousarray(win.sharp[order]),
            wide=np.ascontiguousarray(win.wide[order]),
            x=clips.preprocess_frames(frames, net.spec.input),
        )

    return kept(key, make)


def altered_numbers(win: Prepared, how: str) -> list[int]:
    """Frame numbers in the video of the window altered, in the order in which they then come."""
    numbers = win.numbers
    return [numbers[i] for i in _order(len(numbers), how)]


def _order(frames: int, how: str) -> np.ndarray[Any, Any]:
    plain = np.arange(frames)
    return {
        "as it is": plain,
        "reversed": plain[::-1],
        "frozen": np.full(frames, frames // 2),
        "shuffled": np.random.default_rng(0).permutation(frames),
    }[how]
