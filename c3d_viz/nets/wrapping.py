"""Networks that take something else than one clip: from the clip to what they take."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import VizError
from .names import unwrapped

Inputs = Callable[[Tensor], "tuple[Any, ...] | Mapping[str, Any] | Tensor"]


def wrap(model: nn.Module, inputs: Inputs) -> nn.Module:
    """A network that takes one clip, for one that takes something else.

        net = viz.wrap(slowfast, inputs=lambda clip: ([clip[:, :, ::4], clip],))   # a list
        net = viz.wrap(model, inputs=lambda clip: {"video": clip, "mask": None})   # by keyword
        net = viz.wrap(model, inputs=lambda clip: clip.transpose(1, 2))            # (N, T, C, H, W)

    Whatever takes a network takes the result: maps are maps of the clip, and gradients that come
    back by several ways are summed there, so ``inputs`` must be made of PyTorch's operations. The
    layers keep their names. Parameters, buffers and modules are the model's own, which itself
    stays as it is; what would be done to them through one (``eval()``, ``to``) is done for both.

    Args:
        model: any module; wrappers that only call another one are looked through.
        inputs: from the clip (N, C, T, H, W), N mostly 1, to the tuple of the model's arguments,
            or to a dict of them by keyword; a tensor stands for a tuple of one.

    Raises:
        VizError: ``model`` is no Python module, or ``inputs`` cannot be called; when the network
            runs, that ``inputs`` returned something else.
    """
    if not isinstance(model, nn.Module) or isinstance(model, torch.jit.ScriptModule):
        raise VizError(
            f"wrap takes a torch.nn.Module, got {type(model).__name__}; give the Python module "
            f"that a scripted or traced one was made from"
        )
    if not callable(inputs):
        raise VizError(
            f"inputs must be a function from a clip to the model's arguments, got "
            f"{type(inputs).__name__}; write: lambda clip: (clip, ...)"
        )
    model = unwrapped(model)
    kind: Any = type(model)
    own = model.__dict__.get("forward")  # of this one instance

    def forward(self: Any, clip: Tensor) -> Any:
        given = inputs(clip)
        run = types.MethodType(kind.forward, self) if own is None else own
        if isinstance(given, Tensor):
            return run(given)
        if isinstance(given, Mapping):
            return run(**given)
        if isinstance(given, tuple):
            return run(*given)
        raise VizError(
            f"inputs must return a tuple of the model's arguments, or a dict of them by keyword, "
            f"got {type(given).__name__}; a list that is one argument goes in a tuple: ([a, b],)"
        )

    taking_a_clip = types.new_class(
        kind.__name__,
        (kind,),
        exec_body=lambda names: names.update(forward=forward, __module__=kind.__module__),
    )
    wrapped: nn.Module = copy.copy(model)  # shares what it holds; flags of its own
    wrapped.__dict__.pop("forward", None)
    wrapped.__class__ = taking_a_clip
    return wrapped
