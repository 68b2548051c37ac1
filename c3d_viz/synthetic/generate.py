"""Clips whose every pixel is known: one object that moves in a known way, its mask, its motion.

The class of a clip is what moves and how, 60 classes. "How" is motion relative to the scene: a
camera pan moves everything and changes no class. Tests, positive controls, the dashboard's
examples and the training data come from one generator: ``library`` (pictures), ``scene`` (what
happens), ``pixels``. This module hands out single clips. Its procedural shapes need no file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from ..clips import Clip
from ..errors import ClipError
from .library import WHATS, Library, procedural_library
from .pixels import flow, render
from .scene import HOWS, Scenes, sample_scenes

CONTROL_ONSET = 8  # the frame at which a control starts or stops to move
SENSOR_NOISE = 2.0  # grey levels, on the controls
FPS = 25.0


@dataclass(frozen=True)
class SyntheticClip:
    """A clip and everything there is to know about it.

    Attributes:
        frames: uint8 (T, H, W, 3) RGB.
        masks: bool (T, H, W), where the object is what one sees (alpha above one half).
        motion: float32 (T, H, W, 2), pixels a frame as (x to the right, y down), from frame t to
            t + 1 (the last frame: from the frame before). The object's on its mask, camera pan
            included; the camera's elsewhere. A distractor's own motion is not in it.
        label: class name, e.g. "animal left"; "shape left" for a procedural shape.
        source: how it was made, for people and file names.
    """

    frames: npt.NDArray[np.uint8] = field(repr=False)
    masks: npt.NDArray[np.bool_] = field(repr=False)
    motion: npt.NDArray[np.float32] = field(repr=False)
    label: str
    source: str

    def clip(self) -> Clip:
        """The frames as a :class:`c3d_viz.clips.Clip`, as if read from a file."""
        return Clip(self.frames, FPS, self.source, 0)


def sample_clip(
    what: str | None = None,
    how: str | None = "right",
    *,
    seed: int = 0,
    frames: int = 16,
    size: int = 112,
    onset: int | None = None,
    offset: int | None = None,
    library: Library | None = None,
    clutter: float = 0.0,
) -> SyntheticClip:
    """One clip. The same arguments give the same pixels.

    That holds for one PyTorch on one kind of processor: ``torch.multinomial`` draws other numbers
    from the same seed before 2.7, and on ARM.

    Args:
        what: kind of object, one of ``WHATS``; None takes any. A kind needs a ``library`` that
            was read from files: procedural shapes have none.
        how: motion, one of ``HOWS``; None draws one.
        seed: of everything that is random: object, place, speed, background.
        frames: length T. size: side of the picture in pixels.
        onset: first frame that differs from the one before; None: 1, the motion fills the clip
            (with clutter and no offset: drawn within the first third, as in training).
        offset: first frame that no longer differs from the one before; None: never.
        library: pictures to choose from; None is ``procedural_library()``.
        clutter: 0 is a plain scene. Up to 1: distractors, occluders and camera motion with the
            chances of ``sample_scenes``, and random light, sensor noise and grey clips.

    Raises:
        ClipError: unknown ``what`` or ``how``, or numbers that describe no clip.
    """
    if library is None:
        library = _procedural(0)
    known = [w for i, w in enumerate(WHATS) if bool((library.what == i).any())]
    if what is not None and what not in known:
        raise ClipError(
            f"no {what!r} in this library; "
            + (
                f"choose from {', '.join(known)}"
                if known
                else "procedural shapes have no kind: leave it out, or pass library=load_library()"
            )
        )
    if how is not None and how not in HOWS:
        raise ClipError(f"no motion {how!r}; choose from {', '.join(HOWS)}")
    if frames < 2 or size < 16:
        raise ClipError(f"need at least 2 frames of 16 pixels, got {frames} of {size}")
    first, stop = 1 if onset is None else onset, frames if offset is None else offset
    if not 1 <= first < stop <= frames:
        raise ClipError(
            f"motion must start at frame 1 or later and before it stops, within {frames} frames; "
            f"got onset {onset}, offset {offset}"
        )
    if onset is None and offset is None and clutter == 0:
        onset = 1
    scenes = sample_scenes(
        library,
        1,
        torch.Generator().manual_seed(seed),
        what=None if what is None else torch.tensor([WHATS.index(what)]),
        how=None if how is None else torch.tensor([HOWS.index(how)]),
        frames=frames,
        size=size,
        clutter=clutter,
        onset=onset,
        offset=offset,
        augment=clutter > 0,
    )
    return _clips(library, scenes, size, f"synthetic, seed {seed}", noise_seed=seed)[0]


def positive_control(
    seed: int = 0,
    *,
    motion_first: bool = False,
    size: int = 112,
    noise: float = SENSOR_NOISE,
) -> SyntheticClip:
    """A textured still scene in which one object starts to move at frame 8 of 16.

    The answer to "appearance first, then motion?" is known here: yes. With ``motion_first`` the
    object moves from the start and comes to rest at frame 8, and the answer is no. No camera
    motion, no distractor; weak sensor noise, so that no two frames are equal.
    """
    return positive_controls(1, seed, motion_first=motion_first, size=size, noise=noise)[0]


def positive_controls(
    count: int,
    seed: int = 0,
    *,
    motion_first: bool = False,
    size: int = 112,
    noise: float = SENSOR_NOISE,
) -> list[SyntheticClip]:
    """Several controls of one order, moving left, right, up and down in turn.

    Args:
        count: how many. seed: of the shapes, the scenes and the noise.
        motion_first: see :func:`positive_control`; the two orders have scenes of their own.
        size: side of the picture in pixels. noise: standard deviation in grey levels.
    """
    library = _procedural(seed)
    onset, offset = (1, CONTROL_ONSET) if motion_first else (CONTROL_ONSET, None)
    scenes = sample_scenes(
        library,
        count,
        torch.Generator().manual_seed(seed * 10 + motion_first),
        how=torch.arange(count) % 4 + 1,
        size=size,
        clutter=0.0,
        onset=onset,
        offset=offset,
        augment=False,
    )
    rng = np.random.default_rng([seed, int(motion_first)])
    return _clips(library, scenes, size, f"synthetic, seed {seed}", sensor=(rng, noise))


@lru_cache(maxsize=4)
def _procedural(seed: int) -> Library:
    return procedural_library(seed)


def _clips(
    library: Library,
    scenes: Scenes,
    size: int,
    source: str,
    *,
    noise_seed: int | None = None,
    sensor: tuple[np.random.Generator, float] | None = None,
) -> list[SyntheticClip]:
    rendered = render(library, scenes, size, noise_seed)
    pixels = rendered.frames.permute(0, 2, 3, 4, 1).numpy()  # (N, T, H, W, 3)
    if sensor is not None:
        rng, sigma = sensor
        pixels = pixels + rng.normal(0, sigma, pixels.shape)
    frames = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    shown = rendered.alpha > 0.5
    camera = (scenes.pan[:, 1] - scenes.pan[:, 0])[:, None, None, None]  # a pan is uniform
    motion = torch.where(shown[..., None], flow(scenes.target, size), camera).float().numpy()
    labels = [
        f"{WHATS[what] if what >= 0 else 'shape'} {HOWS[how]}"
        for what, how in zip(scenes.what.tolist(), scenes.how.tolist(), strict=True)
    ]
    return [
        SyntheticClip(*row, source)
        for row in zip(frames, shown.numpy(), motion, labels, strict=True)
    ]
