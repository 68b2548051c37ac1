"""Units: one cell of a layer's output, its ranges, and where a channel is strongest."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..arguments import check_fields
from ..errors import LayerError, VizError


@dataclass(frozen=True)
class Unit:
    """One cell of a layer's output.

    Attributes:
        layer: a layer of the model. For C3D the paper's names (after the ReLU); for any other
            network a module's name, and ``"name#k"`` for the k-th call (from 0) of a module that
            is called several times. The plain name is its last call.
        channel: feature map, from 0.
        at: ``(t, h, w)`` in the layer's own grid, ``()`` for a fully connected layer; None is
            the channel's strongest position, found when the unit is used.

    Raises:
        LayerError: a field of the wrong kind.
    """

    layer: str
    channel: int
    at: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_fields(self, LayerError)
        object.__setattr__(self, "channel", operator.index(self.channel))
        if self.at is not None:
            object.__setattr__(self, "at", tuple(operator.index(i) for i in self.at))


def check_unit(shape: Sequence[int], unit: Unit) -> None:
    """Raise LayerError unless ``unit`` lies in a layer of ``shape`` (C, ...); names the ranges."""
    if not shape:
        raise LayerError(f"{unit.layer} gives a single number and has no channels")
    if not 0 <= unit.channel < shape[0]:
        raise LayerError(f"{unit.layer} has channels 0-{shape[0] - 1}, got {unit.channel}")
    if unit.at is None:
        return
    grid = tuple(shape[1:])
    if len(unit.at) != len(grid) or any(not 0 <= i < n for i, n in zip(unit.at, grid, strict=True)):
        if not grid:
            raise LayerError(f"{unit.layer} is fully connected: at must be (), got {unit.at}")
        ranges = ", ".join(f"0-{n - 1}" for n in grid)
        raise LayerError(f"{unit.layer} has positions ({ranges}), got {unit.at}")


def locate(activation: Tensor, unit: Unit) -> Unit:
    """``unit`` with a concrete position: its own, else the first of the channel's strongest.

    Args:
        activation: the layer's output without the batch axis, (C, T, H, W) or (C,).

    Raises:
        LayerError: channel or position outside the layer; the message names the ranges.
        VizError: the channel holds NaN, so nothing in it is strongest.
    """
    check_unit(activation.shape, unit)
    if unit.at is not None:
        return unit
    channel = activation[unit.channel]
    flat = channel.reshape(-1)
    refuse_nan(flat, unit.layer)
    # not argmax: it leaves open which of several equal values it answers
    first = int(torch.nonzero(flat == flat.max())[0])
    return Unit(unit.layer, unit.channel, _unravel(first, channel.shape))


def refuse_nan(values: Tensor, layer: str) -> None:
    """Raise VizError if ``values`` of a layer hold NaN or infinities."""
    if not bool(torch.isfinite(values).all()):
        raise VizError(f"{layer} holds NaN or infinite activations; check the input and weights")


def _unravel(index: int, shape: Sequence[int]) -> tuple[int, ...]:
    at = []
    for n in reversed(shape):
        index, i = divmod(index, n)
        at.append(i)
    return tuple(reversed(at))
