"""Which layers of a network an export takes, what each of them sees, and what has to stay out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

import torch
from torch import nn

from ..engine import called_layers, groups_of, layers_without_relus, receptive_fields
from ..errors import LayerError, VizError
from ..methods import METHODS, Settings
from ..nets import C3D, CONV_LAYERS, LAYERS, ModelSpec, ReceptiveField, layer_module
from ..progress import Progress
from ..trust import Facts, facts_for
from .settings import ExportSettings


@dataclass(frozen=True)
class Plan:
    """What of a network an export looks at.

    Attributes:
        fields: receptive field of each layer, in order; None where it sees the whole clip.
        left_out: by layer and method, why there is no map; by layer and "", why it is left out.
        facts: what a check found of the network, where anything was.
    """

    fields: Mapping[str, ReceptiveField | None]
    left_out: Mapping[tuple[str, str], str] = field(default_factory=dict)
    facts: Facts | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.fields)

    @property
    def layers_left_out(self) -> dict[str, str]:
        """The layers that were not named one by one and cannot be drawn, and why."""
        return {layer: why for (layer, method), why in self.left_out.items() if not method}

    def methods(self, layer: str, asked: Sequence[str]) -> tuple[str, ...]:
        """Those of the methods asked for that the layer has maps of."""
        return tuple(method for method in asked if (layer, method) not in self.left_out)


def plan_of(
    net: nn.Module, spec: ModelSpec, settings: ExportSettings, progress: Progress | None = None
) -> Plan:
    """The plan for the layers that settings name: a C3D's in their order; else modules by name.

    Of other networks, ``all`` is the groups (``groups_of``) and ``conv`` every convolution. Where a
    method has nothing to say about a layer (a rule that meets no ReLU below it and would be the
    plain gradient, a class activation map without a convolution below), a layer named by ``all`` or
    ``conv`` is left out with the reason; one that is named itself is refused.

    Raises:
        LayerError: a layer does not exist, is not called, or gives no (C, T, H, W) or (C,).
        VizError: a method has nothing to say about a layer that is named, or a setting of it does
            not fit into the network's clip; the facts are of another network.
    """
    for chosen in settings.of_methods().values():
        chosen.check_clip(spec.input.shape[1:])
    facts = facts_for(net, spec.name, settings.facts)
    if isinstance(net, C3D):
        layers = list(_with_logits(settings.layers, spec))
        wide = settings.layers in (LAYERS, CONV_LAYERS)
        left_out = _unasked(net, spec, settings, layers, () if wide else layers)
        return Plan(receptive_fields(net, spec.input.shape, layers), left_out, facts)
    if progress is not None:
        progress(0, 1, "layers and receptive fields")
    named = [name for name in settings.layers if name not in ("all", "conv")]
    calls = [name for name in named if "#" in name]
    shapes = called_layers(net, spec.input.shape, calls)
    called = {name: shape for name, shape in shapes.items() if name not in calls}
    groups: list[str] = []
    if "all" in settings.layers:
        groups += groups_of(net, called)
    if "conv" in settings.layers:
        groups += [n for n in called if isinstance(net.get_submodule(n), nn.Conv3d)]
    unfit: dict[tuple[str, str], str] = {}
    for name in dict.fromkeys([*groups, *named]):
        reason = _unfit(net, name, shapes)
        if reason is not None and name in named:
            raise LayerError(f"{name} {reason}; choose from {', '.join(groups_of(net, called))}")
        if reason is not None:
            unfit[name, ""] = f"{name} {reason}"
    layers = [n for n in dict.fromkeys([*groups, *named]) if (n, "") not in unfit]
    if not layers:
        raise LayerError("no layer of the network gives (C, T, H, W) or (C,); name one")
    left_out = unfit | _unasked(net, spec, settings, layers, named)
    return Plan(receptive_fields(net, spec.input.shape, layers), left_out, facts)


def _unasked(
    net: nn.Module,
    spec: ModelSpec,
    settings: ExportSettings,
    layers: Sequence[str],
    named: Sequence[str],
) -> dict[tuple[str, str], str]:
    """By layer and method, why the method says nothing about the layer; refused if it is named."""
    clip = torch.zeros(1, *spec.input.shape, device=torch.device(settings.device))
    found: dict[tuple[str, str], VizError] = {}
    rules = [m for m in settings.methods if METHODS[m].needs_relus and not isinstance(net, C3D)]
    if rules:
        for name, others in layers_without_relus(net, clip, layers).items():
            found |= {(name, method): refusal(method, name, others) for method in rules}
    reasons: dict[tuple[object, Settings], dict[str, VizError]] = {}
    for method, chosen in settings.of_methods().items():
        check = METHODS[method].check
        if check is not None:
            if (check, chosen) not in reasons:  # methods of one family ask the same
                reasons[check, chosen] = check(net, clip, layers, chosen)
            found |= {(name, method): error for name, error in reasons[check, chosen].items()}
    for (name, _), error in found.items():
        if name in named:
            raise error
    return {key: str(error) for key, error in found.items()}


def refusal(method: str, layer: str, others: Sequence[str]) -> VizError:
    only = f" (only {', '.join(others)})" if others else ""
    return VizError(
        f"no ReLU lies between {layer} and the clip{only}: {method} would be the plain gradient; "
        f"ask for method 'gradient'"
    )


def _unfit(net: nn.Module, name: str, shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    layer_module(net, name.rpartition("#")[0] or name)
    shape = shapes.get(name)
    if shape is None:
        counted = " so often (calls count from 0)" if "#" in name else ""
        return f"is not called by the forward pass{counted}, or gives no tensor (1, C, ...)"
    if len(shape) not in (1, 4):
        return f"gives {shape}, no (C, T, H, W) or (C,) that could be drawn"
    if PurePath(name).name != name:
        return "has a name that no folder can have"
    return None


def _with_logits(layers: tuple[str, ...], spec: ModelSpec) -> tuple[str, ...]:
    """The same without fc8 where the checkpoint carries no classifier."""
    if spec.num_classes or "fc8" not in layers:
        return layers
    rest = tuple(layer for layer in layers if layer != "fc8")
    if not rest:
        raise LayerError(
            "the weights carry no classifier, so there is no fc8; choose another layer"
        )
    return rest
