"""Layers of a network that answer to the windows of a video, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..clips import WindowStream
from ..engine import check_input, check_recorded, eval_view, forward, recording, undisturbed
from ..errors import LayerError, VizError
from ..nets import InputSpec, ModelSpec
from ..progress import Progress

Vectors = npt.NDArray[np.float32]
Summary = Callable[[Tensor], Tensor]  # (B, C, ...) -> (B, C)


def mean_of_positions(output: Tensor) -> Tensor:
    """(B, C, ...) -> (B, C): each feature map's mean."""
    # a copy in any case: an in-place ReLU that comes next would overwrite the output
    return output.flatten(2).mean(-1) if output.ndim > 2 else output.clone()


def peak_of_positions(output: Tensor) -> Tensor:
    """(B, C, ...) -> (B, C): each feature map's highest activation."""
    return output.flatten(2).amax(-1) if output.ndim > 2 else output.clone()


class Listener:
    """What layers answer to windows, a vector for each: their channels one after the other.

    The model is only listened to and stays as it is.

    Args:
        spec: what the network takes.
        batch: windows computed at a time.
        summary: makes one number of each feature map.

    Attributes:
        layers: channels of each layer, in the order in which they were named.
        size: D, their sum.

    Raises:
        LayerError: no such layer, or it gives no row of channels.
        ShapeError: the spec does not fit the model.
        VizError: batch below 1; no layer.
    """

    def __init__(
        self,
        model: nn.Module,
        spec: ModelSpec | InputSpec,
        layers: Sequence[str],
        batch: int,
        summary: Summary,
    ) -> None:
        self.input = spec.input if isinstance(spec, ModelSpec) else spec
        if not 1 <= batch <= 4096:
            raise VizError(f"batch must be at least 1 window and at most 4096, got {batch}")
        if not layers:
            raise VizError("nothing to listen to: name at least one layer")
        self.batch, self._summary = batch, summary
        parameter = next(model.parameters(), torch.zeros(()))
        self._like = parameter.detach() if parameter.is_floating_point() else torch.zeros(())
        blank = torch.zeros(1, *self.input.shape).to(self._like)
        check_input(model, blank)
        self._model = eval_view(model)
        self._names = list(dict.fromkeys(layers))
        self.layers = {name: row.shape[1] for name, row in self._rows(blank).items()}
        self.size = sum(self.layers.values())

    def vectors(self, stream: WindowStream) -> Iterator[Vectors]:
        """(B, D) float32 for each batch of windows; the next is decoded while one is computed.

        Raises:
            ClipError, ShapeError: a frame cannot be decoded, or not be cropped.
            VizError: a layer answers NaN or infinity.
        """
        windows = iter(stream)

        def decode() -> list[Tensor]:
            return list(islice(windows, self.batch))

        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(decode)
            while batch := ahead.result():
                ahead = pool.submit(decode)
                rows = self._rows(torch.cat(batch))
                for name, row in rows.items():
                    if not bool(torch.isfinite(row).all()):
                        raise VizError(
                            f"{name} holds NaN or infinite activations for {stream.label}; "
                            f"check the input and weights"
                        )
                yield torch.cat(list(rows.values()), 1).cpu().numpy()

    def all_vectors(self, stream: WindowStream, progress: Progress | None = None) -> Vectors:
        """(N, D) float32, of all windows; ``progress`` as of ``describe``, errors as above."""
        answers = list[Vectors]()
        for answer in self.vectors(stream):
            answers.append(answer)
            if progress is not None:
                progress(sum(map(len, answers)), len(stream.starts), stream.label)
        return np.concatenate(answers)

    def _rows(self, x: Tensor) -> dict[str, Tensor]:
        """(B, C, T, H, W) -> (B, channels) float32 of each layer, on the model's device."""
        x = x.to(self._like)

        def keep(layer: str, _module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
            if output.ndim < 2 or output.shape[0] != len(x) or not output.numel():
                raise LayerError(
                    f"layer {layer!r} gives {tuple(output.shape)} for {len(x)} windows, not a row "
                    f"of channels for each; choose another layer"
                )
            return self._summary(output).float()

        with (
            undisturbed(x.device),
            torch.no_grad(),
            recording(self._model, self._names, keep) as kept,
        ):
            forward(self._model, x)
        check_recorded(kept, self._names)
        return {name: kept[name] for name in self._names}
