"""What a model says about itself: its layers by name, and whether it is its children in order.

A network of the project says it by two names of its class, which everything generic reads here:
``named_layers()`` and ``runs_in_order``.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from ..errors import LayerError
from .names import module_named, nearest, unwrapped


def layers_of(model: nn.Module) -> Mapping[str, nn.Module]:
    """The layers by name: the model's own ``named_layers()``, else every module without children.

    A layer is the module whose *output* is the layer's activation.
    """
    own = vars(type(model)).get("named_layers")
    if own is not None:
        layers: Mapping[str, nn.Module] = own(model)
        return layers
    return {name: module for name, module in model.named_modules() if _has_no_children(module)}


def _has_no_children(module: nn.Module) -> bool:
    return next(module.children(), None) is None  # without asking any for its truth or length


def layer_module(model: nn.Module, layer: str) -> nn.Module:
    """The module whose output is the activation of ``layer``.

    For C3D, conv and fc names mean the output *after* the layer's ReLU (fc8: the logits). Any
    other name is the module's own, as in ``dict(model.named_modules())``.

    Wrappers (``module.``, ``_orig_mod.``) may stand in the name or not, as in the model.

    Raises:
        LayerError: no such layer; the message names the nearest.
    """
    model = unwrapped(model)
    layers = layers_of(model)
    module = layers[layer] if layer in layers else module_named(model, layer)
    if module is None:
        named = "named_layers" in vars(type(model))
        known = list(layers) if named else [name for name, _ in model.named_modules() if name]
        raise LayerError(f"no layer {layer!r}; this model has {nearest(layer, known)}")
    return module


def runs_in_order(module: nn.Module) -> bool:
    """Whether its forward pass does nothing but run its children one after the other.

    Only of the very class that says so: a subclass may do anything.
    """
    return type(module) is nn.Sequential or bool(vars(type(module)).get("runs_in_order"))
