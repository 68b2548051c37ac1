"""What every layer answers to a clip: activations, pooling switches, and its strongest units.

The model is only listened to (``hooks``): hooks, modes and ``requires_grad`` are afterwards as
before, whatever happens, and several threads may trace one model at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..arguments import checked
from ..errors import LayerError
from ..nets import layers_of
from .graph.reading import graph_of
from .listen import check_input, check_recorded, eval_view, forward, recording, undisturbed
from .units import Unit, check_unit, locate, refuse_nan

_SWITCH = "switches of "


@dataclass(frozen=True)
class Trace:
    """One forward pass.

    Attributes:
        activations: per layer the output without the batch axis, (C, T, H, W) for convolutions,
            (C,) for fully connected layers; in the order in which the layers ran.
        output: what the model returned, (1, classes) for C3D.
        switches: per max-pooling module, up to the deepest traced layer, int64 (C, T', H', W'):
            the flat index into T x H x W of the input cell that each output cell took, as
            ``nn.MaxPool3d(return_indices=True)`` gives it. Empty unless asked for.
        skipped: where no layers were named, why a layer was left out, by its name.
    """

    activations: dict[str, Tensor]
    output: Tensor
    switches: dict[str, Tensor] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


@checked(LayerError, "model", "x")
def trace(
    model: nn.Module,
    x: Tensor,
    layers: Sequence[str] | str | None = None,
    *,
    switches: bool = False,
) -> Trace:
    """Run one clip through the model and keep what the layers answer.

    Args:
        model: any module. In training mode, a view of it in eval mode is run (dropout and batch
            statistics off); the model's own flags never move.
        x: one clip (1, C, T, H, W), floating point, on the model's device.
        layers: names; None is every layer that can be recorded (of C3D: conv1a ... fc8; otherwise
            every module without children), and ``skipped`` says what could not.
        switches: also record the max-pooling modules' switches. Costs a second pooling each.

    Raises:
        LayerError: a layer that does not exist, is not called, or gives no tensor.
        ShapeError: ``x`` is not one clip on the model's device and of its dtype.
        VizError: the model is scripted, traced or quantised.
    """
    check_input(model, x)
    model = eval_view(model)
    skipped: dict[str, str] | None = {} if layers is None else None
    named = list(layers_of(model)) if layers is None else layers
    wanted = [named] if isinstance(named, str) else list(named)
    copying = True
    ran: list[str] = []

    def keep(layer: str, _module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
        ran.append(layer)
        # an in-place ReLU that comes next would overwrite what is kept here
        return output.clone() if copying else output

    def keep_switches(name: str, pool: nn.Module, x: Tensor, _output: Tensor) -> Tensor:
        ran.append(_SWITCH + name)
        return _switches(pool, x)

    pools = [name for name, module in model.named_modules() if isinstance(module, nn.MaxPool3d)]
    with (
        undisturbed(x.device),
        torch.no_grad(),
        recording(model, pools if switches else (), keep_switches) as taken,
        recording(model, wanted, keep, skipped=skipped) as kept,
    ):
        copying = graph_of(model, x).overwrites  # copies cost a tenth of a forward pass
        output = forward(model, x.clone())  # a model may write to its input
    if skipped is None:
        check_recorded(kept, wanted)
    else:
        _leave_out(kept, wanted, skipped)
    deepest = max(i for i, name in enumerate(ran) if not name.startswith(_SWITCH)) if kept else -1
    before = {name.removeprefix(_SWITCH) for name in ran[:deepest] if name.startswith(_SWITCH)}
    return Trace(
        {layer: _without_batch(layer, kept[layer]) for layer in kept},
        output,
        {name: _without_batch(name, taken[name]) for name in taken if name in before},
        skipped or {},
    )


@checked(LayerError)
def top_units(trace: Trace, layer: str, k: int = 4) -> list[Unit]:
    """The k channels with the highest maximum, strongest first, each at its strongest position.

    Equal maxima: the lower channel first; equal positions: the first in (t, h, w) order. Always k
    units: where fewer channels respond, the last ones are dead (``activation(trace, unit)`` 0).

    Raises:
        LayerError: the layer was not traced, or has fewer than k channels.
        VizError: the layer holds NaN.
    """
    values = _traced(trace, layer)
    if not 1 <= k <= values.shape[0]:
        raise LayerError(f"{layer} has {values.shape[0]} channels, got k={k}")
    strongest = values.reshape(values.shape[0], -1).amax(dim=1)
    refuse_nan(strongest, layer)
    order = torch.sort(strongest, descending=True, stable=True).indices
    return [locate(values, Unit(layer, int(channel))) for channel in order[:k]]


@checked(LayerError)
def peak(trace: Trace, layer: str, channel: int) -> Unit:
    """The channel's unit at its strongest position (the first of equal ones).

    Raises:
        LayerError: the layer was not traced or has no such channel.
    """
    return locate(_traced(trace, layer), Unit(layer, channel))


@checked(LayerError)
def units_at(trace: Trace, layer: str, at: tuple[int, ...], k: int = 4) -> list[Unit]:
    """The k channels that are strongest at one position of a layer, strongest first.

    Raises:
        LayerError: the layer was not traced, has no such position, or fewer than k channels.
    """
    values = _traced(trace, layer)
    check_unit(values.shape, Unit(layer, 0, at))
    if not 1 <= k <= values.shape[0]:
        raise LayerError(f"{layer} has {values.shape[0]} channels, got k={k}")
    column = values.movedim(0, -1)[at]  # (C,)
    refuse_nan(column, layer)
    order = torch.sort(column, descending=True, stable=True).indices
    return [Unit(layer, int(channel), at) for channel in order[:k]]


@checked(LayerError)
def activation(trace: Trace, unit: Unit) -> float:
    """The activation of a unit in a trace (0 for a dead channel).

    Raises:
        LayerError: the layer was not traced or does not hold the unit.
    """
    values = _traced(trace, unit.layer)
    unit = locate(values, unit)
    assert unit.at is not None
    return float(values[(unit.channel, *unit.at)])


def _switches(pool: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(pool, nn.MaxPool3d)
    indices: Tensor = F.max_pool3d(
        x,
        pool.kernel_size,
        pool.stride,
        pool.padding,
        pool.dilation,
        pool.ceil_mode,
        return_indices=True,
    )[1]
    return indices


def _leave_out(kept: dict[str, Tensor], wanted: Sequence[str], skipped: dict[str, str]) -> None:
    """Say for every layer that is not among the kept, or must not be, why."""
    for layer in wanted:
        if layer not in kept:
            skipped.setdefault(layer, "the forward pass does not call it")
        elif kept[layer].ndim < 2 or kept[layer].shape[0] != 1:
            skipped[layer] = f"gives {tuple(kept.pop(layer).shape)}, not (1, C, ...)"
        else:
            skipped.pop(layer, None)  # an earlier call gave no tensor, the last one did


def _without_batch(layer: str, output: Tensor) -> Tensor:
    if output.ndim < 1 or output.shape[0] != 1:
        raise LayerError(f"layer {layer!r} gives {tuple(output.shape)}, not (1, C, ...)")
    return output[0]


def _traced(trace: Trace, layer: str) -> Tensor:
    if layer not in trace.activations:
        raise LayerError(f"layer {layer!r} was not traced; traced: {', '.join(trace.activations)}")
    return trace.activations[layer]
