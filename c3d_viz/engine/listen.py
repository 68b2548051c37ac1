"""Listening to a model without changing it: whatever happens, it is left as it was found.

Three things could disturb a model that other threads use at the same moment, and each is avoided:

* modes: a model in training mode is never switched; the work runs on a copy of its *structure*
  in eval mode that shares every parameter and buffer (``eval_view``);
* hooks: a forward hook fires for every thread that calls the module, so each hook of this package
  answers only to the thread that registered it (``recording``);
* in-place operations: an activation is copied before a later in-place ReLU overwrites it.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import LayerError, ShapeError, VizError
from ..nets import layer_module

# (layer, module, its first input, its output) -> what to keep
Keep = Callable[[str, nn.Module, Tensor, Tensor], Tensor]


def eval_view(model: nn.Module) -> nn.Module:
    """The model itself if every module is in eval mode, else a view of it that is.

    The view has modules of its own and the model's parameters and buffers (no memory is spent on
    weights), so dropout and batch statistics are off without a flag of the caller's model moving.

    Raises:
        VizError: the model is in training mode and cannot be copied.
    """
    if not any(module.training for module in model.modules()):
        return model
    memo: dict[int, object] = {
        id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())
    }
    try:
        return copy.deepcopy(model, memo).eval()
    except Exception as error:
        raise VizError(
            f"{type(model).__name__} is in training mode and its structure cannot be copied "
            f"({error}); call model.eval() first"
        ) from error


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Within the block, convolutions on a GPU keep float32 and give the same bits each time.

    cuDNN's defaults round to TF32 and may pick another kernel each time. The flags are the
    process's, so they are set for as short as possible. Nothing to do on a CPU.
    """
    cudnn: Any = torch.backends.cudnn
    wanted = {"deterministic": True, "benchmark": False, "allow_tf32": False}
    before = {name: getattr(cudnn, name) for name in wanted} if device.type == "cuda" else {}
    try:
        for name in before:
            setattr(cudnn, name, wanted[name])
        yield
    finally:
        for name, value in before.items():
            setattr(cudnn, name, value)


def check_input(model: nn.Module, x: Tensor) -> None:
    """Raise ShapeError unless ``x`` is one clip (1, ...) of floats on the model's device."""
    if x.ndim < 2 or x.shape[0] != 1:
        raise ShapeError(f"one clip at a time: x must be (1, C, T, H, W), got {tuple(x.shape)}")
    if not x.is_floating_point():
        raise ShapeError(f"x must be floating point, got {x.dtype}; use preprocess()")
    parameter = next(model.parameters(), None)
    if parameter is None:
        return
    if parameter.device != x.device:
        raise ShapeError(f"x is on {x.device} and the model on {parameter.device}; move one")
    if parameter.dtype != x.dtype:
        raise ShapeError(f"x is {x.dtype} and the model {parameter.dtype}; convert one")


class _Listener:
    """A hook of this package: it only reads, so ``has_hooks`` leaves it out."""

    def __init__(self, hook: Callable[[nn.Module, tuple[Tensor, ...], object], None]) -> None:
        self._hook = hook

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
        self._hook(module, inputs, output)


def has_hooks(module: nn.Module) -> bool:
    """Whether somebody else's hooks may change what this module (not its children) computes."""
    return any(
        not isinstance(hook, _Listener)
        for hooks in (
            module._forward_hooks,
            module._forward_pre_hooks,
            module._backward_hooks,
            module._backward_pre_hooks,
        )
        for hook in tuple(hooks.values())
    )


def split_call(layer: str) -> tuple[str, int | None]:
    """``"relu#0"`` -> ``("relu", 0)``, the module's first call; ``"relu"`` -> ``("relu", None)``.

    A module that the forward pass calls several times has several outputs. The plain name means
    its last call.
    """
    name, mark, call = layer.rpartition("#")
    if mark and call.isdigit():
        return name, int(call)
    return layer, None


@contextmanager
def recording(model: nn.Module, layers: Sequence[str], keep: Keep) -> Iterator[dict[str, Tensor]]:
    """Within the block, ``keep(layer, module, input, output)`` of each call goes to the result.

    The result is filled by forward passes of *this* thread only and has the layers in the order
    in which they ran. Hooks are gone when the block is left, also by an exception.

    Raises:
        LayerError: no such layer, or its module returns something else than a tensor.
    """
    owner = threading.get_ident()
    kept: dict[str, Tensor] = {}
    handles: list[torch.utils.hooks.RemovableHandle] = []

    def listen(layer: str, module: nn.Module, wanted: int | None) -> None:
        calls = 0

        def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
            nonlocal calls
            if threading.get_ident() != owner:
                return
            call, calls = calls, calls + 1
            if wanted is not None and call != wanted:
                return
            if not isinstance(output, Tensor):
                raise LayerError(f"layer {layer!r} returns {type(output).__name__}, not a tensor")
            kept.pop(layer, None)  # a later call also counts as later in order
            kept[layer] = keep(layer, module, inputs[0], output)

        handles.append(module.register_forward_hook(_Listener(hook)))

    try:
        for layer in dict.fromkeys(layers):
            name, wanted = split_call(layer)
            listen(layer, layer_module(model, name), wanted)
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def check_recorded(kept: dict[str, Tensor], layers: Sequence[str]) -> None:
    """Raise LayerError for a layer that exists but that the forward pass never called."""
    for layer in layers:
        if layer not in kept:
            raise LayerError(
                f"the forward pass does not call layer {layer!r} (as often as that); choose a "
                f"module it calls"
            )
