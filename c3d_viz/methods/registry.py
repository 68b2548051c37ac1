"""The methods by name, and the two functions that run them.

A method is ``(model, x, unit) -> tensor of x's shape``, signed and unnormalised. To add one: write
the function and add a line to METHODS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..arguments import checked
from ..engine import (
    BackProjection,
    Pass,
    Precision,
    RuleReport,
    Unit,
    check_input,
    eval_view,
    full_precision,
    settled,
)
from ..errors import VizError
from . import captum as captum_methods

# (model in eval mode, one clip, unit with a position) -> what the unit sees, of the clip's shape.
# It depends on the clip through the unit's activation alone: it may be run on the unit's
# receptive field.
MethodFunction = Callable[..., Tensor]
Progress = Callable[[int, int], None]  # (passes made, passes in all)


@dataclass(frozen=True)
class Attribution:
    """What one unit sees in the clip.

    Attributes:
        values: float32 (3, T, H, W) on the grid of the input tensor and in its channel order;
            signed, unnormalised. Scaling belongs to rendering.
        unit: the unit, with a concrete position.
        method: key of METHODS.
        activation: the unit's answer in the forward pass; 0 where a unit does not respond.
        report: for deconvnet and guided, what their rule met on the unit's way; else None.
        precision_note: why another precision was used than the one asked for; else None.
    """

    values: npt.NDArray[np.float32]
    unit: Unit
    method: str
    activation: float
    report: RuleReport | None = None
    precision_note: str | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines that have to stand wherever the map is shown; mostly none."""
        of_rule = () if self.report is None else self.report.notes(self.method)
        return of_rule if self.precision_note is None else (*of_rule, self.precision_note)


@dataclass(frozen=True)
class Method:
    """A way to ask what a unit sees.

    Attributes:
        title: name for people.
        sentence: what the map means, in one sentence.
        paper: where it comes from.
        rule: key of the engine's RULES, for a method that is one backward walk; else None.
        function: for every other method; see MethodFunction.
        reports: ``function`` takes many passes and a keyword ``progress`` to report them to.
    """

    title: str
    sentence: str
    paper: str
    rule: str | None = None
    function: MethodFunction | None = None
    reports: bool = False


METHODS: dict[str, Method] = {
    "deconvnet": Method(
        "Deconvolution",
        "Sends the unit's activation back and keeps, at every ReLU, only what is positive on the "
        "way back.",
        "Zeiler and Fergus 2014, Visualizing and Understanding Convolutional Networks",
        rule="deconvnet",
    ),
    "guided": Method(
        "Guided backpropagation",
        "As the deconvolution, and only through ReLUs that let their input through in the forward "
        "pass.",
        "Springenberg et al. 2015, Striving for Simplicity: The All Convolutional Net",
        rule="guided",
    ),
    "gradient": Method(
        "Gradient",
        "How the unit's activation changes when a pixel changes a little.",
        "Simonyan et al. 2014, Deep Inside Convolutional Networks",
        rule="gradient",
    ),
    "input_x_gradient": Method(
        "Input x gradient",
        "The gradient times the pixel's own value: what each pixel adds, to first order.",
        "Shrikumar et al. 2016, Not Just a Black Box",
        function=captum_methods.input_x_gradient,
    ),
    "integrated_gradients": Method(
        "Integrated gradients",
        "The gradient averaged from the mean image to the clip, times the difference; the values "
        "add up to the change of the activation.",
        "Sundararajan et al. 2017, Axiomatic Attribution for Deep Networks",
        function=captum_methods.integrated_gradients,
        reports=True,
    ),
}


@checked(VizError, "model", "x")
def attribute(
    model: nn.Module,
    x: Tensor,
    unit: Unit,
    method: str = "deconvnet",
    *,
    precision: Precision = "float32",
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

    Raises:
        VizError: unknown method or precision.
        LayerError: layer, channel or position does not exist.
        ShapeError: ``x`` is not one clip on the model's device and of its dtype.
    """
    return next(attribute_many(model, x, [unit], method, precision=precision, progress=progress))


@checked(VizError, "model", "x")
def attribute_many(
    model: nn.Module,
    x: Tensor,
    units: Iterable[Unit],
    method: str = "deconvnet",
    *,
    precision: Precision = "float32",
    progress: Progress | None = None,
) -> Iterator[Attribution]:
    """``attribute`` for many units of one clip: the same results, in order, with shared work.

    Lazy: each attribution is computed when it is asked for. Arguments and errors as ``attribute``
    (``progress`` counts the passes of all units); a wrong method, precision or clip is refused at
    the call, before any result is asked for.
    """
    check_input(model, x)
    return attributions(Pass(model, x), units, method, precision=precision, progress=progress)


def attributions(
    seen: Pass,
    units: Iterable[Unit],
    method: str,
    *,
    precision: Precision = "float32",
    progress: Progress | None = None,
) -> Iterator[Attribution]:
    """``attribute_many`` on a pass that others share: what it has found is not looked for again."""
    if method not in METHODS:
        raise VizError(f"no method {method!r}; there are {', '.join(METHODS)}")
    if precision not in get_args(Precision):
        raise VizError(f"no precision {precision!r}; there are {', '.join(get_args(Precision))}")
    how = METHODS[method]
    note = None
    if how.rule is not None:
        precision, note = settled(precision, seen.x.device.type)
        backs = seen.back(list(units), how.rule, precision=precision)
    else:
        assert how.function is not None
        if precision != "float32":
            raise VizError(f"{method} has no {precision} preview; only the three ReLU rules do")
        heard = progress if how.reports else None
        backs = _by_function(seen, list(units), how.function, heard)
    return _in_full_precision(backs, method, seen.x.device, note)


def _in_full_precision(
    backs: Iterator[BackProjection], method: str, device: torch.device, note: str | None
) -> Iterator[Attribution]:
    while True:
        with full_precision(device):
            back = next(backs, None)
        if back is None:
            return
        values = _array(back.values)
        if not (np.isfinite(values).all() and np.isfinite(back.activation)):
            raise VizError(
                f"the map of {back.unit.layer} channel {back.unit.channel} holds NaN or infinite "
                f"values; check the input and weights"
            )
        yield Attribution(values, back.unit, method, back.activation, back.report, note)


def _by_function(
    seen: Pass, units: list[Unit], function: MethodFunction, progress: Progress | None
) -> Iterator[BackProjection]:
    """One unit after the other, each on nothing but what it sees where that is known."""
    found = seen.find(units)
    model = eval_view(seen.model)
    for number, (unit, activation) in enumerate(found):
        run = function
        if progress is not None:
            run = partial(function, progress=_share(progress, number, len(found)))
        part = seen.alone(unit)
        if part is None:
            values = run(model, seen.x, unit)
        else:
            values = part.paste(run(part.model, part.x, part.unit), seen.x)
        yield BackProjection(values[0], unit, activation)


def _share(progress: Progress, number: int, units: int) -> Progress:
    """The passes of unit ``number`` as passes of all units."""
    return lambda done, total: progress(number * total + done, units * total)


def _array(values: Tensor) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = values.detach().to("cpu", torch.float32).numpy()
    return array
