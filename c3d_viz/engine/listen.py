"""Listening to a model without changing it: whatever happens, it is left as it was found.

Three things could disturb a model that other threads use at the same moment, and each is avoided:

* modes, buffers, attributes: the work runs on a copy of the model's *structure* in eval mode, which
  shares every parameter; what a ``forward`` writes to its own module stays there (``eval_view``);
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

from ..errors import LayerError, ShapeError, VizError, memory_ended
from ..nets import layer_module, unwrapped
from .flags import full_precision

# (layer, module, its first input, its output) -> what to keep
Keep = Callable[[str, nn.Module, Tensor, Tensor], Tensor]


def eval_view(model: nn.Module) -> nn.Module:
    """A view of the model in eval mode, which nothing that runs can change it through.

    The view has modules and buffers of its own and the model's parameters (no memory is spent on
    weights), so dropout and batch statistics are off without a flag of the caller's model moving,
    and a network that counts, averages or remembers in its ``forward`` does so in the view.
    Wrappers that only call another module (``unwrapped``) are looked through, and compiled modules
    run as the Python that they were compiled from. A model in eval mode that cannot be copied is
    taken as it is.

    Raises:
        VizError: the model is in training mode, or partly compiled, and cannot be copied.
    """
    model = unwrapped(model)
    try:
        return structure(model)
    except Exception as error:
        mode, advice = "is in training mode", "call model.eval() first"
        if any(_is_compiled(module) for module in model.modules()):
            mode, advice = "is partly compiled", "give the modules before torch.compile"
        elif not any(module.training for module in model.modules()):
            return model
        raise VizError(
            f"{type(model).__name__} {mode} and its structure cannot be copied ({error}); {advice}"
        ) from error


def structure(model: nn.Module, *, hooks: bool = True) -> nn.Module:
    """A copy of the model's modules in eval mode, which shares its parameters.

    Args:
        hooks: whether the hooks on its modules go with it; they are the same ones.
    """
    memo: dict[int, object] = {id(tensor): tensor for tensor in model.parameters()}
    own = {id(module) for module in model.modules()}
    for module in model.modules():
        for held in (held for name, held in vars(module).items() if "_hooks" in name):
            if not isinstance(held, dict):
                continue
            if not hooks:  # other threads may be at them just now
                memo[id(held)] = type(held)()
                continue
            # a method of one of the modules goes to its copy; whoever else listens stays the same
            foreign = (
                h for h in tuple(held.values()) if id(getattr(h, "__self__", None)) not in own
            )
            memo |= {id(hook): hook for hook in foreign}
    return _eager(copy.deepcopy(model, memo)).eval()


def _is_compiled(module: nn.Module) -> bool:
    return unwrapped(module) is not module or module._compiled_call_impl is not None


def _eager(model: nn.Module) -> nn.Module:
    for module in list(model.modules()):
        module._compiled_call_impl = None
        for name, child in module.named_children():
            setattr(module, name, unwrapped(child))
    return model


@contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """Within the block, what the caller has switched on changes nothing: autocast, TF32, inference.

    Gradients stay on or off as they are.
    """
    with (
        torch.inference_mode(False),
        torch.autocast(device.type, enabled=False),
        full_precision(device),
    ):
        yield


def forward(model: nn.Module, x: Tensor) -> Any:
    """What a network gives for a clip.

    Raises:
        VizError: its own code fails; the line names the clip's shape and what was said.
    """
    try:
        return model(x)
    except VizError:
        raise
    except Exception as error:
        if (told := memory_ended(error)) is not None:
            raise VizError(told) from error
        said = str(error).strip().partition("\n")[0]
        raise VizError(
            f"{type(model).__name__} fails on a clip of shape {tuple(x.shape)}: "
            f"{type(error).__name__}: {said}"
        ) from error


def check_input(model: nn.Module, x: Tensor) -> None:
    """Raise unless ``x`` is one clip (1, ...) of floats on the device of a model that can be read.

    Raises:
        ShapeError: ``x`` is something else.
        VizError: the model is scripted, traced or quantised, or no module at all.
    """
    _check_model(model)
    if not isinstance(x, Tensor):
        raise ShapeError(
            f"x must be one tensor (1, C, T, H, W), got {type(x).__name__}; say how a network that "
            f"takes something else gets it from one clip: viz.wrap(model, inputs=...)"
        )
    if x.is_nested:
        raise ShapeError("x must be one clip (1, C, T, H, W), got a nested tensor")
    if x.layout != torch.strided:
        raise ShapeError(f"x must be a dense tensor, got {x.layout}; give x.to_dense()")
    if x.ndim < 2 or x.shape[0] != 1 or not x.numel():
        raise ShapeError(f"one clip at a time: x must be (1, C, T, H, W), got {tuple(x.shape)}")
    if not x.is_floating_point():
        raise ShapeError(f"x must be floating point, got {x.dtype}; use preprocess()")
    parameter = next(model.parameters(), None)
    if parameter is not None and parameter.device != x.device:
        raise ShapeError(f"x is on {x.device} and the model on {parameter.device}; move one")
    if parameter is not None and parameter.dtype != x.dtype:
        raise ShapeError(f"x is {x.dtype} and the model {parameter.dtype}; convert one")
    if x.device.type == "meta":
        raise ShapeError("x is on the device meta, which holds no values; give a real clip")


def _check_model(model: nn.Module) -> None:
    """Refuse what no hook and no gradient gets into; it would answer with zeros or nothing."""
    if not isinstance(model, nn.Module):
        raise VizError(f"the model must be a torch.nn.Module, got {type(model).__name__}")
    for name, module in model.named_modules():
        where = f"its layer {name}" if name else "it"
        if isinstance(module, torch.jit.ScriptModule):
            raise VizError(
                f"the model cannot be looked into: {where} is a scripted or traced program "
                f"(TorchScript); give the Python module it was made from"
            )
        if type(module).__module__.startswith("torch.") and ".quantized" in type(module).__module__:
            raise VizError(
                f"the model has no gradients: {where} is quantised ({type(module).__name__}); "
                f"give the floating-point model it was made from"
            )


class _Listener:
    """A hook of this package: it only reads, so ``has_hooks`` leaves it out."""

    def __init__(self, hook: Callable[[nn.Module, tuple[object, ...], object], None]) -> None:
        self._hook = hook

    def __call__(self, module: nn.Module, inputs: tuple[object, ...], *rest: Any) -> None:
        # rest: arguments by keyword, output. PyTorch adds a hook and the wish for keywords one
        # after the other, so another thread's call may come between the two, without them
        named = rest[0] if len(rest) == 2 else {}
        self._hook(module, (*inputs, *named.values()), rest[-1])


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
    if mark and call.isascii() and call.isdigit() and len(call) < 10:
        return name, int(call)
    return layer, None


@contextmanager
def recording(
    model: nn.Module, layers: Sequence[str], keep: Keep, *, skipped: dict[str, str] | None = None
) -> Iterator[dict[str, Tensor]]:
    """Within the block, ``keep(layer, module, input, output)`` of each call goes to the result.

    The result is filled by forward passes of *this* thread only and has the layers in the order
    in which they ran. Hooks are gone when the block is left, also by an exception: what activation
    checkpointing runs again in a backward pass is not heard.

    Args:
        skipped: where to write the reason why a layer cannot be recorded, instead of raising.

    Raises:
        LayerError: no such layer, or its module returns something else than a tensor.
    """
    owner = threading.get_ident()
    kept: dict[str, Tensor] = {}
    handles: list[torch.utils.hooks.RemovableHandle] = []

    def listen(layer: str, module: nn.Module, wanted: int | None) -> None:
        calls = 0

        def hook(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
            nonlocal calls
            if threading.get_ident() != owner:
                return
            call, calls = calls, calls + 1
            if wanted is not None and call != wanted:
                return
            kept.pop(layer, None)  # a later call also counts as later in order
            if isinstance(output, Tensor):
                x = next((value for value in inputs if isinstance(value, Tensor)), output)
                kept[layer] = keep(layer, module, x, output)
                return
            reason = f"returns {type(output).__name__}, not a tensor"
            if skipped is None:
                raise LayerError(f"layer {layer!r} {reason}")
            skipped[layer] = reason

        handles.append(module.register_forward_hook(_Listener(hook), with_kwargs=True))

    try:
        for layer in dict.fromkeys(layers):
            name, wanted = split_call(layer)
            listen(layer, layer_module(model, name), wanted)
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def no_call(layer: str, calls: int | None = None) -> str:
    """What to say of a layer whose module is not called, or ``calls`` times, not often enough."""
    name, wanted = split_call(layer)
    if wanted is None:
        return f"the forward pass does not call layer {layer!r}; choose a module it calls"
    often = f"{wanted + 1} times" if calls is None else f"more than {calls} times"
    return (
        f"the forward pass does not call {name} {often.replace('1 times', '1 time')}: calls count "
        f"from 0, so {layer!r} is number {wanted + 1}; choose an earlier one"
    )


def check_recorded(kept: dict[str, Tensor], layers: Sequence[str]) -> None:
    """Raise LayerError for a layer that exists but that the forward pass never called."""
    for layer in layers:
        if layer not in kept:
            raise LayerError(no_call(layer))


def follows_clip(model: nn.Module, x: Tensor, layer: str) -> bool:
    """Whether what a layer answers changes with the clip, seen by running two clips."""
    answers = []
    for clip in (x.clone(), 1 - x):
        with (
            undisturbed(x.device),
            torch.no_grad(),
            recording(model, [layer], lambda _l, _m, _x, output: output.clone()) as kept,
        ):
            forward(model, clip)
        answers.append(kept[layer])
    return not torch.equal(*answers)
