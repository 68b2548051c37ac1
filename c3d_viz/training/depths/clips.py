"""The clips that every network of the study sees, rendered once and kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ...progress import Progress
from ...synthetic import HOWS, WHATS, Library, render, sample_scenes
from ...work import Arrays, Piece, do
from ..data import to_input
from ..loop import Batch, Batches, step_seed
from .plan import Plan

CHUNK = 240  # clips a file


@dataclass(frozen=True)
class Clips:
    """N clips with everything that is asked about them.

    Attributes:
        frames: uint8 (N, 3, T, S, S) RGB.
        what, how: int64 (N,), indices into ``WHATS`` and ``HOWS``; clip i is of class i mod 60.
        sprite: int64 (N,), the target's cut-out.
    """

    frames: npt.NDArray[np.uint8]
    what: npt.NDArray[np.int64]
    how: npt.NDArray[np.int64]
    sprite: npt.NDArray[np.int64]

    def batch(self, index: npt.NDArray[np.int64]) -> Batch:
        """Input (n, 3, T, S, S) float32, what, how of the clips ``index``."""
        x = to_input(torch.from_numpy(self.frames[index]).float())
        return x, torch.from_numpy(self.what[index]), torch.from_numpy(self.how[index])


def rendered(
    library: Library,
    count: int,
    folder: Path,
    *,
    seed: int,
    plan: Plan,
    progress: Progress | None = None,
) -> Clips:
    """``count`` balanced clips of a library, read from ``folder`` as far as they lie there."""
    facts = (fingerprint(library), seed, plan.frames, plan.size, plan.clutter)
    pieces = [
        Piece(
            f"clips-{seed}-{first:06d}",
            f"clips {first} to {first + size - 1}",
            size,
            (*facts, first, size),
            partial(_chunk, library, first, size, seed, plan),
        )
        for first in range(0, count, CHUNK)
        for size in [min(CHUNK, count - first)]
    ]
    found = list(do(pieces, folder, resume=True, progress=progress).values())
    return Clips(*(np.concatenate([part[k] for part in found])
                   for k in ("frames", "what", "how", "sprite")))  # fmt: skip


def _chunk(library: Library, first: int, count: int, seed: int, plan: Plan) -> Arrays:
    own = step_seed(seed, first)
    index = torch.arange(first, first + count) % (len(WHATS) * len(HOWS))
    what, how = index // len(HOWS), index % len(HOWS)
    rows = []
    for start in range(0, count, 60):  # some 60 clips of floats at a time fit into little memory
        part = slice(start, start + 60)
        g = torch.Generator().manual_seed(own + start)
        scenes = sample_scenes(
            library, len(what[part]), g, what=what[part], how=how[part],
            frames=plan.frames, size=plan.size, clutter=plan.clutter,
        )  # fmt: skip
        pixels = render(library, scenes, plan.size, own + start).frames.round().to(torch.uint8)
        rows.append((pixels.numpy(), scenes.target.sprite.numpy()))
    pixels_of, sprite = (np.concatenate(part) for part in zip(*rows, strict=True))
    return {"frames": pixels_of, "what": what.numpy(), "how": how.numpy(), "sprite": sprite}


def fingerprint(library: Library) -> str:
    """SHA-256 of a library's pictures and kinds."""
    digest = hashlib.sha256()
    for tensor in (library.sprites, library.what, library.backgrounds):
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def epochs(clips: Clips, batch: int, seed: int) -> Batches:
    """Batches that go through all clips in an order of their own in every epoch.

    The order depends on ``seed`` and the epoch alone: networks of one seed see the same batches,
    and a run that goes on sees what an uninterrupted one would. ``len(clips.what)`` must be a
    multiple of ``batch``.
    """
    each = len(clips.what) // batch

    def batches(seed_of_step: int, share: float) -> Batch:
        epoch, place = divmod(seed_of_step - step_seed(seed, 0), each)
        order = np.random.default_rng([seed, epoch]).permutation(len(clips.what))
        return clips.batch(order[place * batch : (place + 1) * batch])

    return batches
