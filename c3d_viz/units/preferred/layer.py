"""What a layer gives before its ReLU, for a batch of films, without running what lies behind it."""

from __future__ import annotations

from torch import Tensor, nn

from ..reach import Reach


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
        self._reach = Reach(model, [layer], x)
        self.layer, self.device = layer, self._reach.device
        self.shape = self._reach.shapes[layer][1:]

    def __call__(self, x: Tensor) -> Tensor:
        """(S, C, ...) before the ReLU, for S clips at once; differentiable."""
        return self._reach(x, _before_relu)[self.layer]


def _before_relu(_layer: str, module: nn.Module, before: Tensor, output: Tensor) -> Tensor:
    return before if type(module) is nn.ReLU and not module.inplace else output
