"""Input × gradient: what each pixel adds to the answer, to first order.

Formula: R = x * df/dx, f the unit's activation. Captum's implementation.

Limit: at a pixel of the mean colour (x = 0) it is zero, however much hangs on the pixel; it is
exact only where f is linear.

Reference: Shrikumar et al. 2016, Not Just a Black Box, arXiv 1605.01713.
"""

from __future__ import annotations

from torch import Tensor, nn

from ..engine import Unit, undisturbed
from .answer import answer_of, leaf_of
from .types import Method


def input_x_gradient(model: nn.Module, x: Tensor, unit: Unit) -> Tensor:
    """Gradient of the unit times the input; x and result (1, C, T, H, W)."""
    from captum.attr import InputXGradient

    with undisturbed(x.device):
        values: Tensor = InputXGradient(answer_of(model, unit)).attribute(leaf_of(x))
    return values.detach()


INPUT_X_GRADIENT = Method(
    "Input × gradient",
    "The gradient times the pixel's own value: what each pixel adds, to first order.",
    "Shrikumar et al. 2016, Not Just a Black Box",
    function=input_x_gradient,
)
