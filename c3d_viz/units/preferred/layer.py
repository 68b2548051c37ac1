"""What a layer gives before its ReLU, for a batch of films, without running what lies behind it."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor, nn

from ...engine import check_input, check_recorded, eval_view, recording, undisturbed
from ...errors import LayerError


class _Reached(Exception):  # noqa: N818
    """The layer has answered; nothing behind it is needed."""


class Reader:
    """Reads one layer of a network; the network is only listened to.

    Where the layer is a ReLU module that does not overwrite its input, what is read is its input:
    a unit that does not fire still says which way is up. Other layers are read as they are.

    Args:
        model: any network that takes one clip. layer: a name. x: a clip to try it with.

    Raises:
        LayerError: no such layer, it is not called, or it gives no channels (N, C, ...).
        ShapeError: ``x`` is no clip of this network.
    """

    def __init__(self, model: nn.Module, layer: str, x: Tensor) -> None:
        check_input(model, x)
        self._model = eval_view(model)
        self.layer, self.device = layer, x.device
        self._calls, calls = 0, 0

        def count(_layer: str, _module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            return output.detach()

        with undisturbed(x.device), torch.no_grad(), recording(self._model, [layer], count) as kept:
            self._model(x.clone())
        check_recorded(kept, [layer])
        if kept[layer].ndim < 2 or kept[layer].shape[0] != 1:
            raise LayerError(f"{layer} gives {tuple(kept[layer].shape)}, not channels (1, C, ...)")
        self._calls = calls
        self.shape = tuple(kept[layer].shape[1:])

    def __call__(self, x: Tensor) -> Tensor:
        """(S, C, ...) before the ReLU, for S clips at once; differentiable."""
        reached: list[Tensor] = []

        def keep(_layer: str, module: nn.Module, before: Tensor, output: Tensor) -> Tensor:
            reached.append(before if type(module) is nn.ReLU and not module.inplace else output)
            if len(reached) == self._calls:
                raise _Reached
            return output

        with (
            contextlib.suppress(_Reached),
            undisturbed(x.device),
            recording(self._model, [self.layer], keep),
        ):
            self._model(x)
        return reached[-1]
