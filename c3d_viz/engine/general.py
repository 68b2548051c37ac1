"""Back-projection of a unit to the input for any network: autograd walks back.

Only the ReLU's backward is replaced, by one of ``rules``. It is replaced from a
``TorchFunctionMode``, which sees every form of ReLU (module, functional, tensor method, in place,
reused), holds for one thread only and never touches the model. ``chain`` walks a plain chain such
as C3D explicitly and faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..errors import VizError
from .listen import check_input, check_recorded, eval_view, recording
from .precision import Precision
from .rules import BackProjection, Rule, rule_named
from .units import Unit, locate


class _RuledReLU(torch.autograd.Function):
    """A rectifier whose backward is a rule. ``passed`` is where it has slope 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, answer: Tensor, passed: Tensor, rule: Rule) -> Tensor:
        ctx.rule = rule
        ctx.save_for_backward(passed)
        return answer.view_as(answer)

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor, None, None, None]:
        (passed,) = ctx.saved_tensors
        return ctx.rule(signals[0], passed), None, None, None


class RuledReLUs(TorchFunctionMode):
    """Within the block, every ReLU this thread runs goes back by ``rule``.

    Covered: ``nn.ReLU``, ``F.relu``, ``torch.relu``, ``Tensor.relu``, their in-place forms,
    ``clamp(min=0)`` / ``clip(min=0)`` / ``clamp_min(0)``, ``F.threshold(x, 0, 0)``, and the ReLU
    with a ceiling (``nn.ReLU6``, ``nn.Hardtanh(0, m)``; 1[x > 0] is then 1[0 < x < m]). Every
    other activation (leaky ReLU, GELU, SiLU ...) keeps its ordinary gradient under each rule, and
    so does code that is compiled or scripted, which no mode can see into.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule = rule

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        found = _rectifier(func, args, kwargs)
        if found is None:
            return func(*args, **kwargs)
        x, ceiling, in_place = found
        with torch.no_grad():
            passed = x > 0 if ceiling is None else (x > 0) & (x < ceiling)
            answer = x.clamp(0, ceiling)
        apply: Callable[..., Any] = _RuledReLU.apply
        ruled = apply(x, answer, passed, self.rule)
        # copy_ rather than a dirty mark: it also keeps the history of views right
        return x.copy_(ruled) if in_place else ruled


_RELUS = {torch.relu, Tensor.relu, F.relu}
_RELUS_IN_PLACE = {torch.relu_, Tensor.relu_}
_CLAMPS = {torch.clamp, torch.clip, Tensor.clamp, Tensor.clip, torch.clamp_min, Tensor.clamp_min}
_CLAMPS_IN_PLACE = {torch.clamp_, torch.clip_, Tensor.clamp_, Tensor.clip_, torch.clamp_min_}
_CLAMPS_IN_PLACE |= {Tensor.clamp_min_}
_THRESHOLDS = {F.threshold, torch.threshold}


def _rectifier(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Tensor, float | None, bool] | None:
    """(x, ceiling or None, in place) if the call is a ReLU of a floating tensor, else None."""
    x = args[0] if args else kwargs.get("input")
    if not isinstance(x, Tensor) or not x.is_floating_point() or kwargs.get("out") is not None:
        return None
    if func in _RELUS_IN_PLACE:
        return x, None, True
    if func in _RELUS:
        return x, None, bool(_argument(args, kwargs, 1, "inplace", False))
    if func in _CLAMPS or func in _CLAMPS_IN_PLACE:
        low, high = _argument(args, kwargs, 1, "min"), _argument(args, kwargs, 2, "max")
        if _is_number(low, 0) and high is None:
            return x, None, func in _CLAMPS_IN_PLACE
    if func in _THRESHOLDS:
        low = _argument(args, kwargs, 1, "threshold")
        if _is_number(low, 0) and _is_number(_argument(args, kwargs, 2, "value"), 0):
            return x, None, bool(_argument(args, kwargs, 3, "inplace", False))
    if func is F.relu6:
        return x, 6.0, bool(_argument(args, kwargs, 1, "inplace", False))
    if func is F.hardtanh:
        low = _argument(args, kwargs, 1, "min_val", -1.0)
        if _is_number(low, 0):
            ceiling = float(_argument(args, kwargs, 2, "max_val", 1.0))
            return x, ceiling, bool(_argument(args, kwargs, 3, "inplace", False))
    return None


def _argument(
    args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str, default: Any = None
) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)


def _is_number(value: Any, number: float) -> bool:
    return isinstance(value, int | float) and value == number


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
        VizError: unknown rule, or the model cuts its own graph before the layer.
    """
    how = rule_named(rule)
    check_input(model, x)
    units = list(units)
    layers = list(dict.fromkeys(unit.layer for unit in units))
    leaf, kept = _forward(eval_view(model), x, layers, how, precision)
    for number, unit in enumerate(units):
        last = number == len(units) - 1
        yield _backward(leaf, kept[unit.layer], unit, keep_graph=not last)


def _forward(
    model: nn.Module, x: Tensor, layers: Sequence[str], rule: Rule, precision: Precision
) -> tuple[Tensor, dict[str, Tensor]]:
    def keep(_layer: str, _module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
        # a copy inside the graph: what an in-place ReLU does next is no part of this layer
        return output.clone()

    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bf16"),
        RuledReLUs(rule),
        recording(model, layers, keep) as kept,
    ):
        leaf = x.detach().clone().requires_grad_()
        model(leaf * 1)  # the model may start with an in-place operation, which a leaf forbids
    check_recorded(kept, layers)
    return leaf, kept


def _backward(leaf: Tensor, layer: Tensor, unit: Unit, *, keep_graph: bool) -> BackProjection:
    unit = locate(layer[0].detach(), unit)
    assert unit.at is not None
    with torch.inference_mode(False), torch.enable_grad():
        if not layer.requires_grad:
            raise VizError(f"the model detaches {unit.layer} from its input; nothing to go back by")
        seed = layer[(0, unit.channel, *unit.at)]
        (values,) = torch.autograd.grad(seed, leaf, retain_graph=keep_graph, allow_unused=True)
    if values is None:  # the layer does not depend on the clip
        values = torch.zeros_like(leaf)
    return BackProjection(values[0].detach(), unit, float(seed.detach()))
