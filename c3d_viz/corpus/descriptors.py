"""A video as one vector: the mean of a layer's answers to its windows, of length 1.

Tran et al. 2015, section 3.3: windows of 16 frames that overlap by 8, the activations of fc6
averaged over the windows, L2-normalised.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..clips import Clip, WindowStream
from ..engine import check_input, check_recorded, eval_view, recording, undisturbed
from ..errors import LayerError, VizError
from ..nets import InputSpec, ModelSpec
from ..progress import Progress

Vectors = npt.NDArray[np.float32]
Video = Clip | str | os.PathLike[str]


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
    """A layer of a network that answers to windows, batch by batch.

    The model is only listened to and stays as it is. Arguments and errors as of ``describe``.
    """

    def __init__(
        self, model: nn.Module, spec: ModelSpec | InputSpec, layer: str, overlap: int, batch: int
    ) -> None:
        self.input = spec.input if isinstance(spec, ModelSpec) else spec
        if not 0 <= overlap < self.input.frames:
            raise VizError(
                f"overlap must be 0 to {self.input.frames - 1} frames, of windows of "
                f"{self.input.frames}, got {overlap}"
            )
        if batch < 1:
            raise VizError(f"batch must be at least 1 window, got {batch}")
        self.layer, self.step, self.batch = layer, self.input.frames - overlap, batch
        parameter = next(model.parameters(), torch.zeros(()))
        self._like = parameter.detach() if parameter.is_floating_point() else torch.zeros(())
        check_input(model, self._blank())
        self._model = eval_view(model)

    def size(self) -> int:
        """D, the length of a vector: the answer to a blank window."""
        return self._answer(self._blank()).shape[1]

    def _blank(self) -> Tensor:
        return torch.zeros(1, *self.input.shape).to(self._like)

    def stream(self, video: Video) -> WindowStream:
        """The windows of a video.

        Raises:
            ClipError: it cannot be read, or is shorter than one window.
        """
        return WindowStream(video, self.input, self.step)

    def vectors(self, stream: WindowStream) -> Iterator[Vectors]:
        """(B, D) float32 for each batch of windows; the next is decoded while one is computed.

        Raises:
            ClipError, ShapeError: a frame cannot be decoded, or not be cropped.
            VizError: the layer answers NaN or infinity.
        """
        windows = iter(stream)

        def decode() -> list[Tensor]:
            return list(islice(windows, self.batch))

        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(decode)
            while batch := ahead.result():
                ahead = pool.submit(decode)
                answer = self._answer(torch.cat(batch)).cpu().numpy()
                if not np.isfinite(answer).all():
                    raise VizError(
                        f"{self.layer} holds NaN or infinite activations for {stream.label}; "
                        f"check the input and weights"
                    )
                yield answer

    def _answer(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, D) float32, on the model's device."""
        x = x.to(self._like)

        def keep(layer: str, _module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
            if output.ndim < 2 or output.shape[0] != len(x) or not output.numel():
                raise LayerError(
                    f"layer {layer!r} gives {tuple(output.shape)} for {len(x)} windows, not a row "
                    f"of channels for each; choose another layer"
                )
            # a copy in any case: an in-place ReLU that comes next would overwrite the output
            return output.flatten(2).mean(-1) if output.ndim > 2 else output.clone()

        with (
            undisturbed(x.device),
            torch.no_grad(),
            recording(self._model, [self.layer], keep) as kept,
        ):
            self._model(x)
        check_recorded(kept, [self.layer])
        return kept[self.layer].float()


class Mean:
    """The mean of rows that come in batches, in double precision, and its direction."""

    def __init__(self) -> None:
        self.count = 0
        self._sum: npt.NDArray[np.float64] = np.zeros(1)  # broadcasts to the first rows

    def add(self, rows: Vectors) -> None:
        self.count += len(rows)
        self._sum = self._sum + rows.sum(axis=0, dtype=np.float64)

    def direction(self, label: str, layer: str) -> Vectors:
        """(D,) float32 of L2 norm 1.

        Raises:
            VizError: the mean is zero, which has no direction.
        """
        norm = math.sqrt(float(self._sum @ self._sum))
        if not norm:
            raise VizError(
                f"{layer} answers zero to every window of {label}, so there is no direction to "
                f"give; choose another layer or other weights"
            )
        return (self._sum / norm).astype(np.float32)


def describe(
    model: nn.Module,
    clip: Video,
    layer: str = "fc6",
    overlap: int = 8,
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
        overlap: frames that neighbouring windows share.
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
    mean, answers = Mean(), list[Vectors]()
    for answer in describer.vectors(stream):
        answers.append(answer)
        mean.add(answer)
        if progress is not None:
            progress(mean.count, len(stream.starts), stream.label)
    starts = np.asarray(stream.starts, dtype=np.int64)
    if isinstance(clip, Clip):
        starts = clip.start + clip.stride * starts
    vector = mean.direction(stream.label, layer)
    return Descriptor(vector, np.concatenate(answers), starts, stream.frames, stream.notes)
