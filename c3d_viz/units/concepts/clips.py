"""The labelled clips of a run: three sets, drawn once, and the names of what is labelled."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...clips import preprocess_frames
from ...nets import InputSpec
from ...progress import Progress
from ...synthetic import HOWS, PARTS, WHATS, LabelledClip, Library, labelled_clips

LEVELS, CHOICE, REPORT = 16, 40, 40  # clips for thresholds, for choices, for the reported numbers


@dataclass(frozen=True)
class ConceptClips:
    """Clips with labels, the size of a network's input.

    Attributes:
        clips: all, those for thresholds first, then those for choices and those to report.
        sizes: how many of each.
        names: of the concepts.
    """

    clips: tuple[LabelledClip, ...]
    sizes: tuple[int, int, int]
    names: tuple[str, ...]

    @classmethod
    def drawn(
        cls,
        library: Library,
        spec: InputSpec,
        seed: int,
        sizes: tuple[int, int, int] = (LEVELS, CHOICE, REPORT),
        progress: Progress | None = None,
    ) -> ConceptClips:
        """Draw the clips; a picture that is not square is cut from the middle of a square one."""
        height, width = spec.crop
        side = max(16, height, width)
        top, left = (side - height) // 2, (side - width) // 2
        rows, columns = slice(top, top + height), slice(left, left + width)
        count = max(2, spec.frames)  # a motion needs two frames
        found = []
        for clip in labelled_clips(library, sum(sizes), seed, frames=count, size=side):
            frames = np.ascontiguousarray(clip.frames[: spec.frames, rows, columns])
            masks = np.ascontiguousarray(clip.masks[:, : spec.frames, rows, columns])
            found.append(LabelledClip(frames, masks, clip.what, clip.how))
            if progress is not None:
                progress(len(found), sum(sizes), "drawing clips")
        return cls(tuple(found), sizes, concept_names(library))

    def tensor(self, number: int, spec: InputSpec) -> Tensor:
        """(1, C, T, H, W) of one clip."""
        return preprocess_frames(self.clips[number].frames, spec)

    def parts(self, number: int, grid: Sequence[int]) -> Tensor:
        """(6, cells): the share of each cell of a layer's grid (t, h, w) that each part covers."""
        masks = torch.from_numpy(self.clips[number].masks).float()
        return F.adaptive_avg_pool3d(masks[None], (grid[0], grid[1], grid[2]))[0].flatten(1)

    def of_object(self, number: int) -> list[int]:
        """The concepts that are this clip's object by its motion, and by its kind."""
        clip = self.clips[number]
        first = len(PARTS)
        kind = [first + len(HOWS) + clip.what] if clip.what >= 0 else []
        return [first + clip.how, *kind]


def concept_names(library: Library) -> tuple[str, ...]:
    """Parts, the object's motions, and its kinds where the library has any."""
    kinds = [f"kind: {name}" for name in WHATS] if bool((library.what >= 0).any()) else []
    return (*PARTS, *(f"motion: {name}" for name in HOWS), *kinds)


def library_digest(library: Library) -> str:
    """SHA-256 of its pictures and kinds, in hex."""
    total = hashlib.sha256()
    for values in (library.sprites, library.what, library.backgrounds):
        total.update(f"{tuple(values.shape)}".encode())
        total.update(values.contiguous().numpy().data)
    return total.hexdigest()
