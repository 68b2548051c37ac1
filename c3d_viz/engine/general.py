"""Back-projection of a unit to the input for any network: autograd walks back.

Only the ReLU's backward is replaced, by one of ``rules``, and only in this thread (``relus``); the
model is never touched. ``graph`` walks where every operation is known, faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from .listen import check_input, check_recorded, eval_view, follows_clip, forward, recording
from .precision import Precision
from .relus import RuledReLUs
from .report import Way, crossed, refuse_plain, way
from .rules import BackProjection, rule_named
from .units import Unit, locate


def backproject(
    model: nn.Module,
    x: Tensor,
    units: Sequence[Unit],
    rule: str,
    *,
    precision: Precision = "float32",
) -> Iterator[BackProjection]:
    """Back-project units by autograd, in order, lazily, with one forward pass for all of them.

    Works for any module, whatever its ReLUs, inside ``torch.no_grad()`` or inference mode, and
    from several threads at once. Only the input's gradient is computed: no parameter's ``.grad``
    changes. A unit of a module that is called several times belongs to its last call, or to call
    k with the layer name ``"name#k"``.

    Args:
        model: any module; in training mode a view of it in eval mode is used.
        x: one clip (1, C, T, H, W).
        units: of any layers; a position of None is resolved to the channel's strongest.
        rule: key of ``rules.RULES``.
        precision: "bf16" runs forward and backward pass under autocast; a preview.

    Raises:
        LayerError: layer, channel or position does not exist or was not called.
        ShapeError: ``x`` is not one clip on the model's device and of its dtype.
        VizError: unknown rule; the model cuts its own graph before the layer; or ``deconvnet`` or
            ``guided`` meets no ReLU on a unit's way and would be the plain gradient.
    """
    how = rule_named(rule)
    check_input(model, x)
    units = list(units)
    layers = list(dict.fromkeys(unit.layer for unit in units))
    model = eval_view(model)
    ruled = RuledReLUs(how)
    leaf, kept = _forward(model, x, layers, ruled, precision)
    ways = {}
    for layer in layers:
        ways[layer] = way(kept[layer], leaf)
        crossed(ways[layer], layer, partial(follows_clip, model, x, layer))
    ruled.follow({node for passage in ways.values() for node in passage.nodes})
    for number, unit in enumerate(units):
        last = number == len(units) - 1
        yield _backward(leaf, kept[unit.layer], unit, ruled, ways[unit.layer], keep_graph=not last)


def _forward(
    model: nn.Module, x: Tensor, layers: Sequence[str], ruled: RuledReLUs, precision: Precision
) -> tuple[Tensor, dict[str, Tensor]]:
    def keep(_layer: str, _module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
        # a copy inside the graph: what an in-place ReLU does next is no part of this layer
        return output.clone()

    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bf16"),
        ruled,
        recording(model, layers, keep) as kept,
    ):
        leaf = x.detach().clone().requires_grad_()
        ruled.facts.clip = get_gradient_edge(leaf).node
        forward(
            model, leaf * 1
        )  # the model may start with an in-place operation, which a leaf forbids
    check_recorded(kept, layers)
    return leaf, kept


def layers_without_relus(
    model: nn.Module, x: Tensor, layers: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Those of the layers on whose way to the clip ``deconvnet`` and ``guided`` meet no ReLU.

    With each the other activations there (see ``RuleReport``). One forward pass, none back.
    """
    model = eval_view(model)
    leaf, kept = _forward(model, x, layers, RuledReLUs(rule_named("guided")), "float32")
    ways = {layer: way(kept[layer], leaf) for layer in layers}
    return {n: w.report.others for n, w in ways.items() if w.reaches and not w.report.relus}


def _backward(
    leaf: Tensor, layer: Tensor, unit: Unit, ruled: RuledReLUs, passage: Way, *, keep_graph: bool
) -> BackProjection:
    unit = locate(layer[0].detach(), unit)
    assert unit.at is not None
    values = torch.zeros_like(leaf)
    ruled.met = False
    with torch.inference_mode(False), torch.enable_grad():
        seed = layer[(0, unit.channel, *unit.at)]
        if passage.reaches:
            (values,) = torch.autograd.grad(seed, leaf, retain_graph=keep_graph)
    plain = not ruled.met and bool(values.any())
    changes = ruled.rule.asks_backward  # else it is the gradient
    if changes and passage.reaches and (plain or not passage.report.relus):
        raise refuse_plain(ruled.rule.name, unit.layer, passage.report.others)
    report = passage.report if changes else None
    return BackProjection(values[0].detach(), unit, float(seed.detach()), report)
