"""A model read into a graph, by listening to one forward pass on shapes alone.

The pass runs on a view of the model's structure (``structure``) with tensors that have shapes and
no values (PyTorch's "meta" device), under a mode that hears every call of this thread. That
costs milliseconds, computes nothing, and sees through functional code, reused modules, subclasses
and in-place operations alike; whatever asks for a value on its way ends the reading. A tensor is
known by its identity and by its version, so that what is overwritten behind a view's back is
noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.modules.module as nn_module
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ...nets import unwrapped
from ..listen import has_hooks, structure, undisturbed
from ..relu_forms import tensors
from .convolution import Conv
from .graph import Graph, Unknown
from .operations import Operation, operation
from .pooling import MaxPool
from .steps import Flatten, ReLU, Step
from .sums import Add, Affine

_ASKS_GRADIENT: Any = Tensor.requires_grad.__get__  # type: ignore[attr-defined]


def graph_of(model: nn.Module, x: Tensor) -> Graph:
    """The model as a graph, as far as its operations are known; ``Graph.find`` says of what.

    Args:
        x: one clip (1, C, T, H, W); only its shape, dtype and device are looked at.
    """
    reason = _closed(model)
    if reason:
        return Graph((), reason=reason)
    with undisturbed(x.device), torch.enable_grad():
        reader = _Reader(x)
        try:
            view = structure(model, hooks=False)
            originals = [module for module in model.modules() if unwrapped(module) is module]
            for original, module in zip(originals, view.modules(), strict=True):
                reader.listen(original, module)
            with reader:
                view(reader.clip)
        except Exception as error:  # whatever a model does when it meets shapes without values
            said = next(iter(str(error).splitlines()), "")
            return Graph((), reason=f"it does not run on shapes ({type(error).__name__}: {said})")
    return reader.graph()


def _closed(model: nn.Module) -> str:
    """Why the model must be run as it is, if so: the graph calls no module."""
    if any(
        getattr(nn_module, f"_global_{kind}_hooks", None)
        for kind in ("forward", "forward_pre", "backward")
    ):
        return "hooks on all modules are registered"
    for name, module in model.named_modules():
        if has_hooks(module):
            return f"somebody's hooks are registered on {name or 'it'}"
        if isinstance(module, torch.jit.ScriptModule):
            return f"{name or 'it'} is scripted"
    return ""


class _Reader(TorchFunctionMode):
    """Hears the calls of one forward pass, and makes steps of those that it knows."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self._dtype, self._device = x.dtype, x.device.type
        self.clip = _without_values(x)
        self._steps = [Step(shape=tuple(x.shape[1:]))]
        self._levels: dict[int, tuple[int, int]] = {}  # id of a tensor -> level, version
        self._reasons: dict[int, str] = {}  # id of a tensor -> what made it
        self._held: list[Tensor] = []  # alive: an id is used again
        self._outputs: dict[nn.Module, list[int | Unknown]] = {}
        self._makers: dict[int, nn.Module] = {}
        self._overwrites = False
        self._meta: dict[int, Tensor] = {}
        self._set(self.clip, 0)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Any = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        on_clip = [t for t in tensors((args, kwargs)) if t.is_meta]
        if not on_clip:
            return func(*args, **kwargs)
        if func == _ASKS_GRADIENT:  # as when it is walked back, whatever hangs on it
            return True
        step = self._step(func, args, kwargs, on_clip)
        if isinstance(step, Operation) and step.makes is not None:
            result = on_clip[0].new_empty(step.makes)
        else:
            result = func(*self._on_meta(args), **self._on_meta(kwargs))
        self._note(func, step, result, on_clip)
        return result

    def _step(
        self, func: Callable[..., Any], args: Any, kwargs: Any, on_clip: list[Tensor]
    ) -> Operation | str:
        """The call as an operation on levels, or why it is none."""
        name = getattr(func, "__name__", str(func))
        for tensor in on_clip:
            level = self._level(tensor)
            if isinstance(level, Unknown):
                return level.reason
        found = operation(func, args, kwargs)
        if found is None or {id(t) for t in found.inputs} != {id(t) for t in on_clip}:
            return f"{name} is not known to the fast engine"
        if not torch.is_grad_enabled():
            return f"{name} runs where gradients are cut off"
        if torch.is_autocast_enabled(self._device):
            return f"{name} runs under autocast"
        return found

    def _note(
        self,
        func: Callable[..., Any],
        found: Operation | str,
        result: Any,
        on_clip: list[Tensor],
    ) -> None:
        """Keep what the call's answers are."""
        known = (self._levels.get(id(tensor)) for tensor in on_clip)
        written = any(
            level is not None and level[1] != tensor._version
            for level, tensor in zip(known, on_clip, strict=True)
        )
        if isinstance(result, Tensor) and isinstance(found, Operation):
            found = self._add(func, found, result)
        self._overwrites |= written
        if isinstance(found, str):
            for tensor in tensors(result):
                self._held.append(tensor)
                self._levels.pop(id(tensor), None)
                self._reasons[id(tensor)] = found
                self._overwrites = True  # for all that is known

    def _add(self, func: Callable[..., Any], found: Operation, result: Tensor) -> Operation | str:
        inputs = tuple(self._levels[id(t)][0] for t in found.inputs)
        shape = tuple(result.shape[1:])
        below = tuple(self._steps[level].shape for level in inputs)
        if found.kind is None:
            if shape != below[0]:
                return f"{func.__name__} changes the shape"
            self._set(result, inputs[0])
            return found
        clip = result.ndim > 1 and result.shape[0] == 1 and result.dtype == self._dtype
        if not clip or (found.kind is Flatten and len(shape) != 1):
            return f"{func.__name__} does not give one clip"
        if found.kind is Affine and shape != below[0]:
            return f"{func.__name__} changes the shape"
        if found.kind is Add and self._is_relu(*inputs):
            return f"{func.__name__} of x and relu(-x) is not known to the fast engine"
        self._steps.append(found.kind(inputs=inputs, below=below, shape=shape, **found.settings))
        self._set(result, len(self._steps) - 1)
        return found

    def _is_relu(self, first: int, second: int) -> bool:
        """Whether the sum of two levels is x + relu(-x), which goes back as a ReLU."""
        for level, other in ((first, second), (second, first)):
            step = self._steps[level]
            if isinstance(step, ReLU):
                (below, scale), (x, factor) = self._scaled(step.inputs[0]), self._scaled(other)
                if below == x and bool((scale == -factor).all()):
                    return True
        return False

    def _scaled(self, level: int) -> tuple[int, Tensor]:
        """The level that a level is, but for factors and shifts, and the product of the factors."""
        scale = torch.ones(())
        while isinstance(step := self._steps[level], Affine):
            level, scale = step.inputs[0], scale * torch.as_tensor(step.scale, device="cpu")
        return level, scale

    def _set(self, tensor: Tensor, level: int) -> None:
        self._held.append(tensor)
        self._levels[id(tensor)] = level, tensor._version

    def _level(self, tensor: Tensor) -> int | Unknown:
        if id(tensor) not in self._levels:
            return Unknown(self._reasons.get(id(tensor), "it comes from code that cannot be heard"))
        level, version = self._levels[id(tensor)]
        if version != tensor._version:
            return Unknown("a view of it is written to")
        return level

    def _on_meta(self, given: Any) -> Any:
        if isinstance(given, Tensor):
            if given.is_meta:
                return given
            if id(given) not in self._meta:
                self._held.append(given)
                self._meta[id(given)] = _without_values(given)
            return self._meta[id(given)]
        if type(given) in (tuple, list):
            return type(given)(self._on_meta(item) for item in given)
        if type(given) is dict:
            return {key: self._on_meta(item) for key, item in given.items()}
        return given

    def listen(self, original: nn.Module, module: nn.Module) -> None:
        """Keep which level each call of a module of the view makes."""
        before = 0

        def begins(_module: nn.Module, _inputs: tuple[Any, ...]) -> None:
            nonlocal before
            before = len(self._steps)

        def ends(_module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
            calls = self._outputs.setdefault(original, [])
            if not isinstance(output, Tensor):
                calls.append(Unknown(f"returns {type(output).__name__}, not a tensor"))
                return
            with torch._C.DisableTorchFunction():
                calls.append(self._level(output) if output.is_meta else Unknown("sees no clip"))
            if calls[-1] == before == len(self._steps) - 1:
                self._makers[before] = original

        module.register_forward_pre_hook(begins)
        module.register_forward_hook(ends)

    def graph(self) -> Graph:
        """What has been heard."""
        steps = tuple(with_shortcuts(Graph(tuple(self._steps))))
        unknown = any(
            isinstance(call, Unknown) for calls in self._outputs.values() for call in calls
        )
        return Graph(steps, self._outputs, self._makers, self._overwrites or unknown)


def _without_values(given: Tensor) -> Tensor:
    return torch.empty_strided(given.shape, given.stride(), dtype=given.dtype, device="meta")


def with_shortcuts(graph: Graph) -> list[Step]:
    """The steps, those that go back together put together (``shortcut``, ``folded``)."""
    steps = list(graph.steps)
    for level, step in enumerate(graph.steps):
        if len(step.inputs) != 1 or graph.readers[step.inputs[0]] != (level,):
            continue
        below = steps[step.inputs[0]]
        if isinstance(step, MaxPool) and step.side_by_side and isinstance(below, ReLU):
            steps[step.inputs[0]] = replace(below, shortcut=True)
            steps[level] = replace(step, shortcut=True, ceiling=below.ceiling)
        elif isinstance(step, Affine) and isinstance(below, Conv):
            scale = torch.as_tensor(step.scale, dtype=below.conv.weight.dtype)
            scale = scale.to(below.conv.weight.device).expand(below.shape[0])
            steps[step.inputs[0]] = replace(below, scale=scale)
            steps[level] = replace(step, folded=True)
    return steps
