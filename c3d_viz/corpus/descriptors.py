"""A video as one vector: the mean of a layer's answers to its windows, of length 1.

Tran et al. 2015, section 3.3: windows of 16 frames that overlap by 8, the activations of fc6
averaged over the windows, L2-normalised.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from torch import nn

from ..arguments import checked
from ..clips import Clip, WindowStream
from ..errors import VizError
from ..nets import InputSpec, ModelSpec
from ..progress import Progress
from .listener import Listener, Vectors, mean_of_positions

Video = Clip | str | os.PathLike[str]
Sums = npt.NDArray[np.float64]

LENGTH = 64  # windows of a piece, or a few more: what is added up and kept together


@dataclass(frozen=True)
class Descriptor:
    """What a network answers to a video.

    Attributes:
        vector: (D,) float32 of L2 norm 1: the mean of ``windows``, normalised.
        windows: (N, D) float32, what the layer answers to each window; the mean over its
            positions where it has any. Not normalised.
        starts: (N,) int64, number of each window's first frame in the source.
        frames: number of frames of the video; those behind the last whole window are left out.
        notes: what is known of the frames, a line each, as of a Clip.
    """

    vector: Vectors = field(repr=False)
    windows: Vectors = field(repr=False)
    starts: npt.NDArray[np.int64]
    frames: int
    notes: tuple[str, ...] = ()


class Describer:
    """A layer of a network that answers to windows; arguments and errors as of ``describe``."""

    def __init__(
        self,
        model: nn.Module,
        spec: ModelSpec | InputSpec,
        layer: str,
        overlap: int | None,
        batch: int,
    ) -> None:
        takes = spec.input if isinstance(spec, ModelSpec) else spec
        overlap = takes.frames // 2 if overlap is None else overlap
        if not 0 <= overlap < takes.frames:
            raise VizError(
                f"overlap must be 0 to {takes.frames - 1} frames, of windows of "
                f"{takes.frames}, got {overlap}"
            )
        self.layer, self.overlap, self.step = layer, overlap, takes.frames - overlap
        self.listener = Listener(model, takes, [layer], batch, mean_of_positions)
        self.size = self.listener.size
        self.piece = batch * math.ceil(LENGTH / batch)  # windows; no batch is of two pieces

    def stream(self, video: Video, part: slice = slice(None)) -> WindowStream:
        """The windows of a video, or a part of them.

        Raises:
            ClipError: it cannot be read, or is shorter than one window.
        """
        takes = self.listener.input
        apart = self.step if isinstance(video, Clip) else self.step * takes.stride
        return WindowStream(video, takes, apart, part)

    def vectors(self, stream: WindowStream) -> Iterator[Vectors]:
        """(B, D) float32 for each batch of windows; see ``Listener.vectors``."""
        return self.listener.vectors(stream)


def starts_in_source(video: Video, stream: WindowStream) -> npt.NDArray[np.int64]:
    """Number of each window's first frame in the file that a video, or a Clip, was read from."""
    starts = np.asarray(stream.starts, dtype=np.int64)
    return video.start + video.stride * starts if isinstance(video, Clip) else starts


class Sum:
    """The sum of rows that come in batches, in double precision, and its direction.

    Added up piece by piece: the same bits, whoever adds a piece up.

    Attributes:
        count: number of rows so far.
    """

    def __init__(self, piece: int) -> None:
        self.count = 0
        self._piece = piece
        self._before: Sums = np.zeros(1)  # broadcasts to the first rows
        self._part: Sums = np.zeros(1)

    def add(self, rows: Vectors | Sums) -> None:
        self.count += len(rows)
        self._part = self._part + rows.sum(axis=0, dtype=np.float64)
        if self.count % self._piece == 0:
            self._before, self._part = self.total, np.zeros(1)

    @property
    def total(self) -> Sums:
        """(D,) float64."""
        return self._before + self._part

    def direction(self, label: str, layer: str) -> Vectors:
        """(D,) float32 of L2 norm 1.

        Raises:
            VizError: the sum is zero, which has no direction.
        """
        norm = math.sqrt(float(self.total @ self.total))
        if not norm:
            raise no_direction(label, layer)
        return (self.total / norm).astype(np.float32)


def no_direction(label: str, layer: str) -> VizError:
    """What is said of a video whose sum is zero."""
    return VizError(
        f"{layer} answers zero to every window of {label}, so there is no direction to give; "
        f"choose another layer or other weights"
    )


@checked(VizError)
def describe(
    model: nn.Module,
    clip: Video,
    layer: str = "fc6",
    overlap: int | None = None,
    *,
    spec: ModelSpec | InputSpec,
    batch: int = 8,
    progress: Progress | None = None,
) -> Descriptor:
    """A video as one vector of length 1: a layer's mean answer to overlapping windows.

    The protocol of Tran et al. 2015 with the defaults. Frames are decoded once and let go; memory
    grows by the vectors alone. Frames behind the last whole window are left out.

    Args:
        model: any module that takes (B, C, T, H, W); on its own device.
        clip: a Clip of any length from one window on, or path of a video, animation or folder of
            frames.
        layer: any layer with a row of channels; spatial ones are averaged over their positions.
        overlap: frames that neighbouring windows share, of those that are taken where the network
            takes every n-th (``InputSpec.stride``); None: half of a window, 8 of C3D's 16.
        spec: what the network takes: the second value of ``load_model``, or an ``InputSpec``.
        batch: windows computed at a time; the answers differ by less than 1e-5.
        progress: called with windows done, their number, and the video's name.

    Raises:
        ClipError: the video cannot be read or is shorter than one window.
        LayerError: no such layer, or it gives no row of channels.
        ShapeError: the spec does not fit the model or the frames.
        VizError: overlap or batch outside their range; the layer answers only zeros, or NaN.
    """
    describer = Describer(model, spec, layer, overlap, batch)
    stream = describer.stream(clip)
    windows, total = describer.listener.all_vectors(stream, progress), Sum(describer.piece)
    for first in range(0, len(windows), batch):
        total.add(windows[first : first + batch])
    starts = starts_in_source(clip, stream)
    vector = total.direction(stream.label, layer)
    return Descriptor(vector, windows, starts, stream.frames, stream.notes)
