"""The one entrance: units, channels and outputs of a network, explained by a method of METHODS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn

from ..arguments import checked
from ..engine import (
    Pass,
    Precision,
    Unit,
    check_input,
    eval_view,
    full_precision,
    settled,
)
from ..errors import VizError
from .narrowed import Narrowed
from .registry import METHODS, Given, method_named, settings_of
from .settings import Settings
from .targets import AIM, Aimed, Channel, Output, Target
from .types import Attribution, Floats, OnGrid, Progress


@checked(VizError, "model", "x")
def attribute(
    model: nn.Module,
    x: Tensor,
    unit: Unit | Channel | Output,
    method: str = "deconvnet",
    *,
    precision: Precision = "float32",
    settings: Given = None,
    progress: Progress | None = None,
) -> Attribution:
    """Project one unit back to the pixels.

    Args:
        model: any module; it is left exactly as it was.
        x: one clip (1, 3, T, H, W) as ``preprocess`` gives it.
        unit: layer, channel and position; a position of None is the channel's strongest. Or a
            whole ``Channel``, or an ``Output``: a class, or a function of what the network returns.
        method: key of METHODS.
        precision: "float32" computes in the model's own precision, on a GPU too, where TF32 is
            off and kernels are deterministic meanwhile. "bf16" is a faster preview
            for the three rules: the forward pass stays exact, the way back is rounded; about the
            same picture, values off by some percent. Where this processor is no faster in it,
            float32 is used and ``precision_note`` says so.
        settings: of the method, by name, as in ``{"samples": 50}``; what is not named stays at
            its default. docs/methods.md lists them.
        progress: told (passes made, passes in all) by methods of many passes; what it raises
            ends the work.

    Raises:
        VizError: unknown method, precision or setting, or a setting that does not fit.
        LayerError: layer, channel or position does not exist.
        ShapeError: ``x`` is not one clip on the model's device and of its dtype.
    """
    many = attribute_many(
        model, x, [unit], method, precision=precision, settings=settings, progress=progress
    )
    return next(many)


@checked(VizError, "model", "x")
def attribute_many(
    model: nn.Module,
    x: Tensor,
    units: Iterable[Unit | Channel | Output],
    method: str = "deconvnet",
    *,
    precision: Precision = "float32",
    settings: Given = None,
    progress: Progress | None = None,
) -> Iterator[Attribution]:
    """``attribute`` for many units of one clip: the same results, in order, with shared work.

    Lazy: each attribution is computed when it is asked for. Arguments and errors as ``attribute``
    (``progress`` counts the passes of all units); a wrong method, precision, setting or clip is
    refused at the call, before any result is asked for.
    """
    check_input(model, x)
    return attributions(
        Pass(model, x), units, method, precision=precision, settings=settings, progress=progress
    )


def attributions(
    seen: Pass,
    units: Iterable[Unit | Channel | Output],
    method: str,
    *,
    precision: Precision = "float32",
    settings: Given = None,
    progress: Progress | None = None,
) -> Iterator[Attribution]:
    """``attribute_many`` on a pass that others share: what it has found is not looked for again."""
    how = method_named(method)
    if precision not in get_args(Precision):
        raise VizError(f"no precision {precision!r}; there are {', '.join(get_args(Precision))}")
    chosen = settings_of(method, settings)
    if chosen is not None:
        chosen.check_clip(tuple(seen.x.shape[2:]))
    targets = list(units)
    if not all(isinstance(target, Unit) for target in targets):
        return _one_by_one(seen, targets, method, precision, chosen, progress)
    found = cast(list[Unit], targets)
    if how.rule is not None:
        precision, note = settled(precision, seen.x.device.type)
        backs = seen.back(found, how.rule, precision=precision)
        made: Iterator[Attribution] = (
            Attribution(_array(b.values), b.unit, method, b.activation, b.report, note)
            for b in backs
        )
    else:
        if precision != "float32":
            raise VizError(f"{method} has no {precision} preview; only the three ReLU rules do")
        heard = progress if how.reports else None
        made = _by_function(seen, found, method, chosen, heard)
    return _in_full_precision(made, seen.x.device)


def _one_by_one(
    seen: Pass,
    targets: list[Target],
    method: str,
    precision: Precision,
    settings: Settings | None,
    progress: Progress | None,
) -> Iterator[Attribution]:
    """Each target by itself; one that is no unit is asked of a network that ends with it."""
    for number, target in enumerate(targets):
        told = None if progress is None else _share(progress, number, len(targets))
        more: dict[str, Any] = {"precision": precision, "settings": settings, "progress": told}
        if isinstance(target, Unit):
            yield next(attributions(seen, [target], method, **more))
            continue
        aimed = Pass(Aimed(seen.model, target), seen.x)
        att = next(attributions(aimed, [AIM], method, **more))
        yield replace(att, unit=target.unit, target=target)


def _in_full_precision(made: Iterator[Attribution], device: torch.device) -> Iterator[Attribution]:
    while True:
        with full_precision(device):
            att = next(made, None)
        if att is None:
            return
        if not (np.isfinite(att.values).all() and np.isfinite(att.activation)):
            raise VizError(
                f"the map of {att.unit.layer} channel {att.unit.channel} holds NaN or infinite "
                f"values; check the input and weights"
            )
        yield att


def _by_function(
    seen: Pass, units: list[Unit], method: str, settings: Settings | None, progress: Progress | None
) -> Iterator[Attribution]:
    """One unit after the other, each on nothing but what it sees where that is known."""
    how = METHODS[method]
    assert how.function is not None
    found = seen.find(units)
    model = eval_view(seen.model)
    given: dict[str, Any] = {} if settings is None else {"settings": settings}
    for number, (unit, activation) in enumerate(found):
        if progress is not None:
            given["progress"] = _share(progress, number, len(found))
        run = partial(how.function, **given)
        part = None if how.scope == "model" else seen.alone(unit)
        made: Tensor | OnGrid
        if part is None:
            made = run(model, seen.x, unit)
        elif how.scope == "clip":
            narrowed = Narrowed(part)
            made = run(narrowed, seen.x, narrowed.unit)
        else:
            made = part.paste(cast(Tensor, run(part.model, part.x, part.unit)), seen.x)
        if isinstance(made, Tensor):
            yield Attribution(_array(made[0]), unit, method, activation, settings=settings)
            continue
        yield Attribution(
            _array(made.values[0]),
            unit,
            method,
            activation,
            made.report,
            native=_array(made.native),
            native_layer=made.layer,
            settings=settings,
        )


def _share(progress: Progress, number: int, units: int) -> Progress:
    """The passes of unit ``number`` as passes of all units."""
    return lambda done, total: progress(number * total + done, units * total)


def _array(values: Tensor) -> Floats:
    array: Floats = values.detach().to("cpu", torch.float32).numpy()
    return array
