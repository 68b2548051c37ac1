"""Receptive fields of any network: by arithmetic in a chain, else measured.

Measured is the support of a gradient: which input cells can reach a unit. The gradient of the
network itself is zero at every shut ReLU and at what a pooling did not take, so the measuring runs
another network of the same plan: convolutions average, poolings average, activations let everything
through, and every gradient on the way is cut to 0 or 1, so that nothing underflows or cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..nets import ReceptiveField, layer_module, receptive_field, runs_in_order, unwrapped
from .facts import version
from .listen import eval_view, recording, undisturbed

Told = Callable[[int, int, str], None]
# fmt: off
_PER_CELL = frozenset((
    "relu", "relu_", "relu6", "leaky_relu", "leaky_relu_", "elu", "elu_", "selu", "selu_", "celu",
    "celu_", "gelu", "silu", "silu_", "mish", "hardswish", "hardsigmoid", "hardtanh", "hardtanh_",
    "sigmoid", "sigmoid_", "tanh", "tanh_", "softplus", "logsigmoid", "softsign", "prelu", "rrelu",
    "threshold", "threshold_", "clamp", "clamp_", "clamp_min", "clamp_min_", "clip", "abs",
    "batch_norm", "dropout", "dropout_", "dropout3d", "feature_dropout", "alpha_dropout",
))
# fmt: on
_CONVOLUTIONS = frozenset(f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3))
_POOLINGS = {f"max_pool{n}d": getattr(F, f"avg_pool{n}d") for n in (1, 2, 3)}
_MEANS = {
    "amax": torch.mean,
    **{f"adaptive_max_pool{n}d": getattr(F, f"adaptive_avg_pool{n}d") for n in (1, 2, 3)},
}
_CHAIN = (nn.Conv3d, nn.MaxPool3d, nn.ReLU, nn.BatchNorm3d, nn.Dropout, nn.Dropout3d, nn.Identity)


class _Averaging(TorchFunctionMode):
    """Within the block, every operation depends on the cells it depends on, and by nothing else."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in _PER_CELL and args:
            return args[0]
        if name in _CONVOLUTIONS:
            return _averaging_convolution(func, *args, **given)
        result: Tensor
        if name == "linear":
            result = _linear(*args, **given)
        elif name in _POOLINGS and not given.get("return_indices"):
            result = _averaged(name, *args, **given)
        elif name in _MEANS:
            result = _MEANS[name](*args, **given)
        elif name in ("group_norm", "instance_norm", "layer_norm", "softmax", "log_softmax"):
            result = _coupled(name, *args, **given)
        else:
            return func(*args, **given)
        return _cut(result)


def _cut(x: Tensor) -> Tensor:
    """``x``, whose gradient says no more than which cells have one."""
    if x.requires_grad:
        x.register_hook(lambda slope: (slope != 0).to(slope.dtype))  # type: ignore[no-untyped-call]
    return x


def _averaging_convolution(
    func: Any, x: Tensor, weight: Tensor, bias: Any = None, *rest: Any, **given: Any
) -> Tensor:
    """A convolution of one channel, the mean of them all, which every output channel gets.

    Groups are not told apart: a unit is taken to see what any unit of its layer sees.
    """
    transposed = "transpose" in func.__name__
    # stride, padding, then dilation or (transposed) output padding, groups, dilation
    groups = rest[3] if len(rest) > 3 else given.get("groups", 1)
    given["groups"], rest = 1, (*rest[:3], *rest[4:])
    if transposed and len(rest) > 3:
        given["dilation"], rest = rest[3], rest[:3]
    channels = weight.shape[1] * int(groups) if transposed else weight.shape[0]
    axis = 1 - weight.ndim  # of the channels, with or without a batch
    kernel = weight.new_full((1, 1, *weight.shape[2:]), 1 / max(1, weight[0, 0].numel()))
    mean: Tensor = func(x.mean(axis, keepdim=True), kernel, None, *rest, **given)
    shape = list(mean.shape)
    shape[axis] = channels
    return _cut(mean).expand(shape).contiguous()  # the network may write to it


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return x.mean(-1, keepdim=True).expand(*x.shape[:-1], weight.shape[0]).contiguous()


def _averaged(
    name: str,
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    if any(d != 1 for d in (dilation if isinstance(dilation, tuple | list) else (dilation,))):
        result: Tensor = getattr(F, name)(x, kernel_size, stride, padding, dilation, ceil_mode)
        return result
    axes = int(name[-2])
    sizes = [
        (v,) * axes if isinstance(v, int) else tuple(v)
        for v in (kernel_size, stride or kernel_size, padding)
    ]
    pad: list[int] = []  # spelled out: averaging refuses a grid smaller than its kernel, padded too
    for n, k, s, p in zip(x.shape[-axes:], *sizes, strict=True):
        cells = (n + 2 * p - k + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (cells - 1) * s >= n + p:
            cells -= 1
        pad = [p, (cells - 1) * s + k - n - p, *pad]
    average: Tensor = _POOLINGS[name](F.pad(x, pad), kernel_size, stride)
    return average


def _coupled(name: str, x: Tensor, *rest: Any, **given: Any) -> Tensor:
    """What is divided by a statistic depends on every cell that the statistic is taken over."""
    axes: Any = tuple(range(2 if name == "instance_norm" else 1, x.ndim))
    if name == "layer_norm":
        axes = tuple(range(-len(rest[0] if rest else given["normalized_shape"]), 0))
    elif "softmax" in name:
        axes = given.get("dim", rest[0] if rest else -1)
    return x + x.mean(axes, keepdim=True)


def receptive_fields(
    model: nn.Module,
    shape: Sequence[int],
    layers: Iterable[str],
    progress: Told | None = None,
) -> dict[str, ReceptiveField | None]:
    """The receptive field of each layer; None where it has no (T, H, W) grid or sees no clip.

    In a chain of convolutions and max-poolings it is calculated and goes beyond the border. In any
    other network it is measured at the layer's central unit and its neighbour; an axis on which
    that field reaches the border, or differs between neighbours as behind an upsampling, counts as
    seen whole (size of the clip, step and start 0). An
    operation that takes one of several values in a way not known here counts for what it took.

    Args:
        shape: (C, T, H, W) of the clip.
        progress: told (done, layers in all, layer) before each measurement.

    Raises:
        LayerError: no such layer.
    """
    names = list(dict.fromkeys(layers))
    if _is_chain(model):
        return {name: _calculated(unwrapped(model), name) for name in names}
    kept, leaf = _averaged_pass(model, shape, names)
    fields: dict[str, ReceptiveField | None] = {}
    measured: dict[object, ReceptiveField | None] = {}
    for done, name in enumerate(names):
        if progress is not None:
            progress(done, len(names), name)
        key, output = kept.get(name, (None, None))
        if key not in measured:
            measured[key] = None if output is None else _measured(output, leaf)
        fields[name] = measured[key]
    if progress is not None:
        progress(len(names), len(names), "receptive fields")
    return fields


def _averaged_pass(
    model: nn.Module, shape: Sequence[int], names: Sequence[str]
) -> tuple[Mapping[str, tuple[object, Tensor]], Tensor]:
    view = eval_view(model)
    example = next((p for p in view.parameters() if p.is_floating_point()), torch.empty(0))
    keys: dict[str, object] = {}
    alive: list[Tensor] = []  # an id names a tensor for as long as it lives

    def keep(name: str, _module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
        alive.append(output)
        keys[name] = id(output), version(output)
        return output.clone()

    with (
        undisturbed(example.device),
        torch.enable_grad(),
        _Averaging(),
        recording(view, names, keep, skipped={}) as kept,
    ):
        leaf = torch.ones(1, *shape, dtype=example.dtype, device=example.device)
        leaf.requires_grad_()
        view(leaf * 1)
    return {name: (keys[name], kept[name]) for name in kept}, leaf


def _measured(output: Tensor, leaf: Tensor) -> ReceptiveField | None:
    if output.ndim != 5 or leaf.ndim != 5 or not output.requires_grad:
        return None
    grid, limits = output.shape[2:], leaf.shape[2:]
    centre = [n // 2 for n in grid]
    beside = [c + 1 if c + 1 < n else c - 1 for c, n in zip(centre, grid, strict=True)]
    own, other = _support(output, leaf, centre), _support(output, leaf, [max(0, b) for b in beside])
    if own is None or other is None:
        return None
    axes = []
    for (low, high), (low2, high2), at, at2, cells, limit in zip(
        own, other, centre, beside, grid, limits, strict=True
    ):
        inside = low > 0 and high < limit - 1
        if at2 < 0 and inside:  # one cell only
            axes.append((high - low + 1, limit, low))
            continue
        step = (low2 - low if low2 > 0 else high2 - high) * (at2 - at)
        size = high - low + 1
        # fields of one step cover the clip; where upsampling makes neighbours differ, they do not
        uneven = abs(step * cells - limit) >= size + step
        if not inside or uneven or (low2 == 0 and high2 == limit - 1):
            axes.append((limit, 0, 0))
        else:
            axes.append((size, step, low - at * step))
    sizes, steps, starts = zip(*axes, strict=True)
    return ReceptiveField(sizes, steps, starts)


def _support(output: Tensor, leaf: Tensor, at: list[int]) -> list[tuple[int, int]] | None:
    """First and last cell on each axis that reaches the unit; None where none does."""
    seed = torch.zeros_like(output)
    seed[0, :, at[0], at[1], at[2]] = 1
    (slope,) = torch.autograd.grad(output, leaf, seed, retain_graph=True, allow_unused=True)
    if slope is None:
        return None
    cells = (slope[0] != 0).any(0).nonzero()
    if not len(cells):
        return None
    return list(zip(cells.amin(0).tolist(), cells.amax(0).tolist(), strict=True))


def _is_chain(model: nn.Module) -> bool:
    """Whether arithmetic is enough, up to where a grid ends (the first layer of another kind)."""
    model = unwrapped(model)
    if not runs_in_order(model):
        return False
    for module in model.children():
        if isinstance(module, nn.Flatten):
            return True
        if type(module) not in _CHAIN or set(_dilation(module)) != {1}:
            return False
    return True


def _dilation(module: nn.Module) -> tuple[int, ...]:
    value: Any = getattr(module, "dilation", 1)
    return tuple(value) if isinstance(value, tuple | list) else (int(value),)


def _calculated(model: nn.Module, layer: str) -> ReceptiveField | None:
    assert isinstance(model, nn.Sequential)
    module = layer_module(model, layer)
    for child in model.children():
        if isinstance(child, nn.Flatten):
            return None
        if child is module:
            return receptive_field(model, layer)
    return None
