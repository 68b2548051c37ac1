"""Procedural clips of a cut-out moving over a picture, with exact masks and motion.

The class of a clip is what moves (animal, food, plant, vehicle, object, person) and how (still,
left, right, up, down, expand, contract, clockwise, counter-clockwise, shake): 60 classes. The
target is the larger cut-out, in front. "How" is motion relative to the scene: a camera pan moves
everything and changes no class. Without a library of cut-outs the target is a textured shape
drawn here, and only "how" has a meaning.

The parts: synthetic_library.py (cut-outs, backgrounds, splits), synthetic_scene.py (poses),
synthetic_render.py (pixels, masks, flow).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import torch

from .errors import ClipError
from .synthetic_library import (
    WHATS,
    Library,
    load_library,
    procedural_library,
    split_of,
)
from .synthetic_render import flow, render
from .synthetic_scene import CLASSES, HOWS, Scenes, sample_scenes

if TYPE_CHECKING:
    from .clips import Clip

__all__ = [
    "CLASSES",
    "HOWS",
    "WHATS",
    "Library",
    "SyntheticBatch",
    "SyntheticClip",
    "load_library",
    "positive_control",
    "procedural_library",
    "sample_batch",
    "sample_clip",
    "split_of",
]

Order = Literal["appearance-then-motion", "motion-then-appearance"]


@dataclass(frozen=True)
class SyntheticClip:
    """One clip and the truth about it.

    Attributes:
        frames: uint8 (T, H, W, 3) RGB.
        masks: bool (T, H, W), pixels that show the target (more than half of the pixel).
        motion: float32 (T, H, W, 2), image motion (x right, y down) in pixels per frame of the
            target's material under each pixel, camera pan included; 0 off the mask. Frame t
            holds the way from t to t + 1, the last frame the way from the frame before.
        label: "animal left"; "shape left" for a procedural shape.
        seed: the seed it was made from.
    """

    frames: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.bool_]
    motion: npt.NDArray[np.float32]
    label: str
    seed: int = 0

    def clip(self, fps: float = 25.0) -> Clip:
        """As a ``c3d_viz.clips.Clip``, ready for ``preprocess``."""
        from .clips import Clip

        name = f"synthetic-{self.label.replace(' ', '-')}-{self.seed}"
        return Clip(frames=self.frames, fps=fps, source=name, start=0)


@dataclass(frozen=True)
class SyntheticBatch:
    """N clips and the truth about them; layouts as in ``SyntheticClip`` with N in front.

    Attributes:
        frames: uint8 (N, T, H, W, 3). masks: bool (N, T, H, W). motion: float32 (N, T, H, W, 2).
        what, how: int64 (N,), indices into WHATS (-1: shape) and HOWS.
        scenes: every random number behind the clips.
    """

    frames: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.bool_]
    motion: npt.NDArray[np.float32]
    what: npt.NDArray[np.int64]
    how: npt.NDArray[np.int64]
    scenes: Scenes


@lru_cache(maxsize=4)
def _shapes(seed: int) -> Library:
    return procedural_library(seed)


def sample_batch(
    n: int,
    *,
    library: Library | None = None,
    what: str | None = None,
    how: str | None = None,
    seed: int = 0,
    frames: int = 16,
    size: int = 112,
    clutter: float = 1.0,
    onset: int | None = None,
    offset: int | None = None,
    augment: bool = True,
) -> SyntheticBatch:
    """N clips from one seed; the same arguments give the same bytes.

    Args:
        library: from ``load_library``; None draws shapes and backgrounds, no files needed.
        what, how: fix the class; None draws it uniformly for each clip.
        frames: T >= 2. size: height and width in pixels.
        clutter: 0-1; at 1, 60 % of the clips have a distractor (0.35-0.6 of the target's size,
            behind it, moving on its own), 50 % a camera pan of 0.4-2 pixels a frame, 35 % an
            occluding bar.
        onset: first frame that differs from the one before it (still until then).
        offset: first frame that equals the one before it (still from then on).
        augment: random light, stretch, grey and noise.

    Raises:
        ClipError: an unknown class; ``what`` without a library; onset and offset that leave no
            motion.
    """
    if how is not None and how not in HOWS:
        raise ClipError(f"unknown motion {how!r}; choose one of {', '.join(HOWS)}")
    if what is not None and what not in WHATS:
        raise ClipError(f"unknown kind {what!r}; choose one of {', '.join(WHATS)}")
    if what is not None and (library is None or WHATS.index(what) not in library.what):
        raise ClipError(
            f"what={what!r} needs cut-outs of that kind: pass library=load_library(FOLDER), or "
            f"what=None for a drawn shape"
        )
    first, last = max(1, onset or 1), frames if offset is None else offset
    if frames < 2 or not first < last <= frames:
        raise ClipError(
            f"frames={frames}, onset={onset}, offset={offset} leave no motion; need "
            f"onset < offset <= frames and frames >= 2"
        )
    library = library or _shapes(0)
    generator = torch.Generator().manual_seed(seed)
    scenes = sample_scenes(
        library,
        n,
        generator,
        what=None if what is None else torch.full((n,), WHATS.index(what)),
        how=None if how is None else torch.full((n,), HOWS.index(how)),
        frames=frames,
        size=size,
        clutter=clutter,
        onset=onset,
        offset=offset,
        augment=augment,
    )
    drawn = render(library, scenes, size, seed)
    masks = drawn.alpha > 0.5
    motion = flow(scenes.target, size) * masks[..., None]
    return SyntheticBatch(
        drawn.frames.round().to(torch.uint8).permute(0, 2, 3, 4, 1).contiguous().numpy(),
        masks.numpy(),
        motion.numpy(),
        scenes.what.numpy(),
        scenes.how.numpy(),
        scenes,
    )


def sample_clip(
    what: str | None = None,
    how: str = "right",
    *,
    seed: int = 0,
    frames: int = 16,
    size: int = 112,
    onset: int | None = None,
    offset: int | None = None,
    library: Library | None = None,
    clutter: float = 0.0,
) -> SyntheticClip:
    """One clip, by default a plain scene: one textured shape, no pan, distractor or occluder.

    Args:
        what: None for a drawn shape; a kind of ``WHATS`` needs ``library``.
        how: one of ``HOWS``.
        onset, offset, clutter, library: see ``sample_batch``. With neither onset nor offset and
            clutter 0 the motion fills the clip.

    Raises:
        ClipError: as ``sample_batch``.
    """
    if onset is None and offset is None and clutter == 0:
        onset = 1
    batch = sample_batch(
        1,
        library=library,
        what=what,
        how=how,
        seed=seed,
        frames=frames,
        size=size,
        clutter=clutter,
        onset=onset,
        offset=offset,
        augment=clutter > 0,
    )
    kind = "shape" if batch.what[0] < 0 else WHATS[batch.what[0]]
    return SyntheticClip(
        batch.frames[0], batch.masks[0], batch.motion[0], f"{kind} {how}", seed
    )


def positive_control(order: Order, seed: int = 0) -> SyntheticClip:
    """A clip in which appearance and motion are planted in a known order.

    16 frames of 112 x 112: a textured shape on a textured still background, no noise, no pan.

    - "appearance-then-motion": frames 0-7 are identical (all there is to see is appearance);
      the shape moves left or right at each of frames 8-15.
    - "motion-then-appearance": the shape moves at each of frames 1-8; frames 8-15 are identical.
      Frame differences of the two orders are each other's mirror in time: 8 moving steps in one
      half (7 -> 8 ... 14 -> 15 against 0 -> 1 ... 7 -> 8), 7 still steps in the other.

    Raises:
        ClipError: unknown order.
    """
    how = "right" if seed % 2 == 0 else "left"
    if order == "appearance-then-motion":
        return sample_clip(None, how, seed=seed, onset=8)
    if order == "motion-then-appearance":
        return sample_clip(None, how, seed=seed, offset=9)
    raise ClipError(
        f"unknown order {order!r}; choose 'appearance-then-motion' or 'motion-then-appearance'"
    )
