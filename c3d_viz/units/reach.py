"""What layers give for a clip, without running what lies behind the last of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from ..engine import check_input, check_recorded, eval_view, forward, recording, undisturbed
from ..errors import LayerError, VizError

PAIR = 2  # clips at once
_LAST = (  # what works along the last axis, as on tokens
    nn.Linear, nn.LayerNorm, nn.RMSNorm, nn.TransformerEncoder, nn.TransformerEncoderLayer,
    nn.TransformerDecoder, nn.TransformerDecoderLayer,
)  # fmt: skip

# (layer, module, its first input, its output) -> what to keep
Keep = Callable[[str, nn.Module, Tensor, Tensor], Tensor]


def check_finite(layer: str, values: Tensor) -> None:
    """Refuse what a layer answers where it is no number.

    Raises:
        VizError: it holds NaN or an infinity.
    """
    if not bool(torch.isfinite(values).all()):
        raise VizError(f"{layer} holds NaN or infinite activations; check the weights")


class _Reached(BaseException):
    """The layers have answered; nothing behind them is needed."""


class Reach:
    """Runs a network as far as the last of some layers; the network is only listened to.

    How often they are called is counted once, with the clip ``x``.

    Args:
        model: any network that takes one clip. layers: names. x: a clip to try it with.

    Attributes:
        shapes: of what each layer gives for one clip.

    Raises:
        LayerError: no such layer, it is not called, or it gives no channels (1, C, ...).
        ShapeError: ``x`` is no clip of this network.
    """

    def __init__(self, model: nn.Module, layers: Sequence[str], x: Tensor) -> None:
        example = next(model.parameters(), x)
        self.device, self._dtype = example.device, example.dtype
        x = x.to(self.device, self._dtype)
        check_input(model, x)
        self._model = eval_view(model)
        self.layers = tuple(layers)
        calls = 0

        def count(layer: str, module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            _check_channels(layer, module, output)
            return output.detach()

        with (
            undisturbed(x.device),
            torch.no_grad(),
            recording(self._model, self.layers, count) as kept,
        ):
            forward(self._model, x.clone())
        check_recorded(kept, self.layers)
        self._calls = calls
        self.shapes = {layer: tuple(kept[layer].shape) for layer in self.layers}

    def __call__(self, x: Tensor, keep: Keep) -> dict[str, Tensor]:
        """``keep(layer, module, input, output)`` of each layer's last call; differentiable.

        ``x`` may be several clips where the network takes them.
        """
        x = x.to(self.device, self._dtype)
        left = self._calls
        found: dict[str, Tensor] = {}

        def heard(layer: str, module: nn.Module, before: Tensor, output: Tensor) -> Tensor:
            nonlocal left
            left -= 1
            found[layer] = keep(layer, module, before, output)
            if left == 0:
                raise _Reached
            return output

        grad = torch.is_grad_enabled()  # which the end of inference mode would switch on
        with (
            contextlib.suppress(_Reached),
            undisturbed(x.device),
            torch.set_grad_enabled(grad),
            recording(self._model, self.layers, heard),
        ):
            forward(self._model, x)
        check_recorded(found, self.layers)
        return {layer: found[layer] for layer in self.layers}

    def apart(self, pair: Tensor) -> bool:
        """Whether two clips (2, ...) that are run at once answer as each does alone.

        A network may take one clip only, or mix those of a batch.
        """

        def plain(_layer: str, _module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
            return output.clone()

        with torch.no_grad():
            alone = [self(pair[k : k + 1], plain) for k in range(2)]
            try:
                both = self(pair, plain)
            except VizError:
                return False
        for layer, values in both.items():
            wanted = torch.cat([one[layer] for one in alone])
            if values.shape != wanted.shape or not bool(torch.isfinite(wanted).all()):
                return False  # NaN is refused by who reads the answers
            room = 1e-4 * float(wanted.abs().max())
            if not torch.allclose(values, wanted, rtol=1e-3, atol=room):
                return False
        return True

    def batches(self, count: int, tensor: Callable[[int], Tensor]) -> Iterator[Tensor]:
        """Clips number 0 to ``count``, in their order, two at once where the network allows it.

        PyTorch has no fast convolution for a single clip on a single thread: two take less time
        than one. More at once gain nothing and need memory.
        """
        size = 1
        if count >= 2 * PAIR and self.apart(torch.cat([tensor(0), tensor(1)])):
            size = PAIR
        for start in range(0, count, size):
            yield torch.cat([tensor(n) for n in range(start, min(start + size, count))])


def _check_channels(layer: str, module: nn.Module, output: Tensor) -> None:
    given = tuple(output.shape)
    if len(given) < 2 or given[0] != 1:
        raise LayerError(
            f"{layer} gives {given}, not channels (1, C, ...): frames or parts of the clip lie in "
            f"its first axis; name a layer behind the place where they come together"
        )
    if len(given) > 2 and isinstance(module, _LAST):
        raise LayerError(
            f"{layer} gives {given}, not channels (1, C, ...): a {type(module).__name__} has them "
            f"last, and {given[1]} are places; name a layer that gives channels first, or one that "
            f"gives one vector for a clip"
        )
