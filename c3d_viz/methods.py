"""The methods by name, and the two functions that run them.

A method is ``(model, x, unit) -> tensor of x's shape``, signed and unnormalised. To add one: write
the function and add a line to METHODS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from . import captum_methods
from .backprop import BackProjection, Rule, backproject
from .boxes import chain_of
from .chain import backproject_chain
from .errors import VizError
from .hooks import check_input, eval_view
from .tracing import Unit, check_unit, locate, trace

Precision = Literal["float32", "bf16"]


@dataclass(frozen=True)
class Attribution:
    """What one unit sees in the clip.

    Attributes:
        values: float32 (3, T, H, W) on the grid of the input tensor and in its channel order;
            signed, unnormalised. Scaling belongs to rendering.
        unit: the unit, with a concrete position.
        method: key of METHODS.
        activation: the unit's answer in the forward pass; 0 where a unit does not respond.
    """

    values: npt.NDArray[np.float32]
    unit: Unit
    method: str
    activation: float


@dataclass(frozen=True)
class Method:
    """A way to ask what a unit sees.

    Attributes:
        title: name for people.
        sentence: what the map means, in one sentence.
        paper: where it comes from.
        rule: the ReLU rule, for the three methods that are one backward walk; else None.
        function: ``(model, x, unit) -> (1, 3, T, H, W)`` for every other method; the model is in
            eval mode and the unit has a concrete position.
    """

    title: str
    sentence: str
    paper: str
    rule: Rule | None = None
    function: Callable[[nn.Module, Tensor, Unit], Tensor] | None = None


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
    ),
}


def attribute(
    model: nn.Module,
    x: Tensor,
    unit: Unit,
    method: str = "deconvnet",
    *,
    precision: Precision = "float32",
) -> Attribution:
    """Project one unit back to the pixels.

    Args:
        model: any module; it is left exactly as it was.
        x: one clip (1, 3, T, H, W) as ``preprocess`` gives it.
        unit: layer, channel and position; a position of None is the channel's strongest.
        method: key of METHODS.
        precision: "bf16" is a faster preview for the three rules: about the same picture,
            values off by some percent. The default computes in the model's own precision.

    Raises:
        VizError: unknown method or precision.
        LayerError: layer, channel or position does not exist.
        ShapeError: ``x`` is not one clip on the model's device and of its dtype.
    """
    return next(attribute_many(model, x, [unit], method, precision=precision))


def attribute_many(
    model: nn.Module,
    x: Tensor,
    units: Iterable[Unit],
    method: str = "deconvnet",
    *,
    precision: Precision = "float32",
) -> Iterator[Attribution]:
    """``attribute`` for many units of one clip: the same results, in order, with shared work.

    Lazy: each attribution is computed when it is asked for. Arguments and errors as ``attribute``;
    wrong arguments are refused at the call, before the first result is asked for.
    """
    if method not in METHODS:
        raise VizError(f"no method {method!r}; there are {', '.join(METHODS)}")
    if precision not in get_args(Precision):
        raise VizError(f"no precision {precision!r}; there are {', '.join(get_args(Precision))}")
    check_input(model, x)
    how = METHODS[method]
    if how.rule is not None:
        found = _by_rule(model, x, list(units), how.rule)
    else:
        assert how.function is not None
        found = _one_by_one(eval_view(model), x, list(units), how.function)
    return (Attribution(_array(back.values), back.unit, method, back.activation) for back in found)


def _by_rule(
    model: nn.Module, x: Tensor, units: list[Unit], rule: Rule
) -> Iterator[BackProjection]:
    """The explicit walk where the model is a chain and the layers are its steps, else autograd."""
    chain = chain_of(model, x.shape[1:])
    levels = [chain.level_of(model, unit.layer) for unit in units] if chain else []
    if chain is None or not all(levels):
        return backproject(model, x, units, rule)
    for level, unit in zip(levels, units, strict=True):
        check_unit(chain.shapes[level or 0], unit)
    keys = [(level or 0, unit) for level, unit in zip(levels, units, strict=True)]
    return backproject_chain(chain, x, keys, rule)


def _one_by_one(
    model: nn.Module,
    x: Tensor,
    units: list[Unit],
    function: Callable[[nn.Module, Tensor, Unit], Tensor],
) -> Iterator[BackProjection]:
    layers = list(dict.fromkeys(unit.layer for unit in units))
    activations = trace(model, x, layers).activations
    for unit in units:
        unit = locate(activations[unit.layer], unit)
        assert unit.at is not None
        activation = float(activations[unit.layer][(unit.channel, *unit.at)])
        yield BackProjection(function(model, x, unit)[0], unit, activation)


def _array(values: Tensor) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = values.detach().to("cpu", torch.float32).numpy()
    return array
