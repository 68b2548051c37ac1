"""What a method can be asked about besides a unit: a whole channel, a class, any number.

A target is put behind the network as a layer of one channel, ``"target"``. Every method then asks
about the one unit of that layer, as about any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor, nn

from ..engine import Unit, check_recorded, check_unit, eval_view, recording
from ..errors import LayerError, ShapeError
from ..nets import layers_of

Reduce = Literal["mean", "sum"]


@dataclass(frozen=True)
class Channel:
    """A whole feature map: the mean or the sum over all its cells.

    Attributes:
        layer: as in ``Unit``.
        channel: feature map, from 0.
        reduce: "mean" or "sum".
    """

    layer: str
    channel: int
    reduce: Reduce = "mean"

    def __post_init__(self) -> None:
        unit = Unit(self.layer, self.channel)  # its own words for a wrong layer or channel
        object.__setattr__(self, "channel", unit.channel)
        if self.reduce not in get_args(Reduce):
            raise LayerError(
                f"reduce must be one of {', '.join(get_args(Reduce))}, got {self.reduce!r}"
            )

    def __str__(self) -> str:
        return f"{self.layer} · channel {self.channel}, {self.reduce} over its cells"

    @property
    def unit(self) -> Unit:
        """The channel as a unit without a position."""
        return Unit(self.layer, self.channel, ())

    def of(self, activation: Tensor) -> Tensor:
        """The number (1, 1), from the layer's output (1, C, ...).

        Raises:
            LayerError: there is no such channel.
        """
        check_unit(activation.shape[1:], Unit(self.layer, self.channel))
        cells = activation[:, self.channel].reshape(len(activation), -1)
        return cells.mean(1, keepdim=True) if self.reduce == "mean" else cells.sum(1, keepdim=True)


@dataclass(frozen=True)
class Output:
    """A number made from what the network returns.

    Attributes:
        number: a class, from 0; or a function from what the network returns for a batch of clips to
            one number a clip, (N,), differentiable.
        name: of the number, for people.
    """

    number: int | Callable[[Any], Tensor]
    name: str = ""

    def __str__(self) -> str:
        what = "a number" if callable(self.number) else f"class {self.number}"
        return f"output · {self.name or what}"

    @property
    def unit(self) -> Unit:
        """The class as a unit of a layer "output"; a function's is channel 0."""
        return Unit("output", 0 if callable(self.number) else self.number, ())

    def of(self, output: Any) -> Tensor:
        """The number (N, 1), from what the network returns.

        Raises:
            ShapeError: the output has no classes, or the function gives something else.
            LayerError: there is no such class.
        """
        if callable(self.number):
            values = self.number(output)
            if not isinstance(values, Tensor) or values.ndim != 1:
                given = type(values).__name__
                if isinstance(values, Tensor):
                    given = f"shape {tuple(values.shape)}"
                raise ShapeError(
                    f"a function of the output gives one number a clip, (N,), got {given}"
                )
            return values[:, None]
        if not isinstance(output, Tensor) or output.ndim != 2:
            given = (
                str(tuple(output.shape)) if isinstance(output, Tensor) else type(output).__name__
            )
            raise ShapeError(
                f"the network returns {given}, not (N, classes); give a function of it: "
                f"Output(lambda output: ...)"
            )
        if not 0 <= self.number < output.shape[1]:
            raise LayerError(f"the output has classes 0-{output.shape[1] - 1}, got {self.number}")
        return output[:, self.number, None]


Target = Unit | Channel | Output


class Aimed(nn.Module):
    """A network whose last layer, "target", answers with one number, (N, 1)."""

    def __init__(self, network: nn.Module, aim: Channel | Output) -> None:
        super().__init__()
        self.network, self.aim, self.target = eval_view(network), aim, nn.Identity()
        self.training = self.target.training = False  # of these two; the network is the caller's

    def named_layers(self) -> Mapping[str, nn.Module]:
        """The network's own layers by their own names, and the target."""
        own: dict[str, nn.Module] = {n: m for n, m in self.network.named_modules() if n}
        if "named_layers" in vars(type(self.network)):
            own = dict(layers_of(self.network))
        return {**own, "target": self.target}

    def forward(self, x: Tensor) -> Tensor:
        """The target's number for each clip."""
        if isinstance(self.aim, Output):
            return self._answered(self.aim.of(self.network(x)))
        layer = self.aim.layer
        with recording(self.network, [layer], _copied) as kept:
            self.network(x)
        check_recorded(kept, [layer])
        return self._answered(self.aim.of(kept[layer]))

    def _answered(self, number: Tensor) -> Tensor:
        answer: Tensor = self.target(number)
        return answer


AIM = Unit("target", 0, ())


def _copied(_layer: str, _module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
    return output.clone()  # an in-place ReLU that comes next would overwrite it
