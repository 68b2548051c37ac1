"""The methods by name, and the two functions that run them.

A method is ``(model, x, unit) -> tensor of x's shape``, unnormalised. To add one: write a file like
``layercam.py`` and add a line to METHODS.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from .backprojection import DECONVNET, GRADIENT, GUIDED
from .gradcam import GRADCAM, GRADCAM_TIME
from .gradcam_pp import GRADCAM_PP
from .guided_gradcam import GUIDED_GRADCAM
from .input_x_gradient import INPUT_X_GRADIENT
from .integrated_gradients import INTEGRATED_GRADIENTS
from .layercam import LAYERCAM
from .narrowed import Narrowed
from .occlusion import OCCLUSION
from .rise import RISE
from .settings import Settings
from .smoothgrad import SMOOTHGRAD, SMOOTHGRAD_SQUARED
from .types import Attribution, Floats, Method, OnGrid, Progress

METHODS: dict[str, Method] = {
    "deconvnet": DECONVNET,
    "guided": GUIDED,
    "gradient": GRADIENT,
    "input_x_gradient": INPUT_X_GRADIENT,
    "integrated_gradients": INTEGRATED_GRADIENTS,
    "smoothgrad": SMOOTHGRAD,
    "smoothgrad_squared": SMOOTHGRAD_SQUARED,
    "gradcam": GRADCAM,
    "gradcam_time": GRADCAM_TIME,
    "gradcam_pp": GRADCAM_PP,
    "layercam": LAYERCAM,
    "guided_gradcam": GUIDED_GRADCAM,
    "occlusion": OCCLUSION,
    "rise": RISE,
}
Given = Settings | Mapping[str, object] | None


def method_named(name: str) -> Method:
    """The method of METHODS.

    Raises:
        VizError: there is none of that name.
    """
    if name not in METHODS:
        raise VizError(f"no method {name!r}; there are {', '.join(METHODS)}")
    return METHODS[name]


def settings_of(name: str, given: Given = None) -> Settings | None:
    """The settings that a method runs with.

    Args:
        given: by name, those that are to differ from the default; or all of them as they are.

    Raises:
        VizError: the method has no such setting, or the value does not fit.
    """
    kind = method_named(name).settings
    if kind is None:
        if given:
            raise VizError(f"{name} has no settings, got {given!r}")
        return None
    if isinstance(given, Settings):
        if type(given) is not kind:
            raise VizError(f"{name} takes {kind.__name__}, got {type(given).__name__}")
        return given
    return kind.of(name, given or {})


def read_settings(words: Sequence[str], methods: Sequence[str]) -> dict[str, Settings]:
    """Settings as a command line gives them, of those methods that have any.

    Args:
        words: as in ``"smoothgrad.samples=50"``; of one setting the last counts.
        methods: keys of METHODS, those that are asked for.

    Raises:
        VizError: something else, or a setting of a method that is not asked for.
    """
    given: dict[str, dict[str, str]] = {method: {} for method in methods}
    for word in words:
        name, mark, value = word.partition("=")
        method, dot, setting = name.partition(".")
        if not (mark and dot):
            raise VizError(
                f"a setting is METHOD.NAME=VALUE as in gradcam.layer=conv5b, got {word!r}"
            )
        method_named(method)
        if method not in given:
            raise VizError(
                f"{word} sets {method}, which is not asked for; asked for: {', '.join(methods)}"
            )
        given[method][setting] = value
    found = {method: settings_of(method, given[method]) for method in given}
    return {method: settings for method, settings in found.items() if settings is not None}


@checked(VizError, "model", "x")
def attribute(
    model: nn.Module,
    x: Tensor,
    unit: Unit,
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
        unit: layer, channel and position; a position of None is the channel's strongest.
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
    units: Iterable[Unit],
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
    units: Iterable[Unit],
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
    if how.rule is not None:
        precision, note = settled(precision, seen.x.device.type)
        backs = seen.back(list(units), how.rule, precision=precision)
        made: Iterator[Attribution] = (
            Attribution(_array(b.values), b.unit, method, b.activation, b.report, note)
            for b in backs
        )
    else:
        if precision != "float32":
            raise VizError(f"{method} has no {precision} preview; only the three ReLU rules do")
        heard = progress if how.reports else None
        made = _by_function(seen, list(units), method, chosen, heard)
    return _in_full_precision(made, seen.x.device)


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
