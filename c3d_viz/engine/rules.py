"""The three rules by which a signal goes back through a ReLU, and what a walk back gives.

A signal g travels from a unit back to the pixels: through convolutions by their transpose without
bias, through max-pooling by its switches, and at every ReLU, whose input was x, by the rule:

* ``gradient``:  g * 1[x > 0]              (Simonyan et al. 2014)
* ``deconvnet``: g * 1[g > 0]              (Zeiler and Fergus 2014)
* ``guided``:    g * 1[g > 0] * 1[x > 0]   (Springenberg et al. 2015)

The signal starts as 1 at the unit. Every rule is positively homogeneous, so starting with the
unit's activation would only scale the map. Both engines take their rules from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from .units import Unit

Rule = Literal["gradient", "deconvnet", "guided"]
RULES: tuple[Rule, ...] = get_args(Rule)


@dataclass(frozen=True)
class BackProjection:
    """A signal at the input.

    Attributes:
        values: (C, T, H, W) of the input's C, T, H, W and dtype, signed.
        unit: where it started, with a concrete position.
        activation: what the unit answered in the forward pass.
    """

    values: Tensor
    unit: Unit
    activation: float


def apply_rule(rule: Rule, signal: Tensor, passed: Tensor | None) -> Tensor:
    """The signal behind a ReLU.

    Args:
        rule: one of RULES.
        signal: g, arriving from above.
        passed: bool, 1[x > 0]: where the ReLU let its input through. Only ``deconvnet`` does
            without.
    """
    if rule == "deconvnet":
        return signal.clamp_min(0)
    assert passed is not None
    return signal * passed if rule == "gradient" else signal.clamp_min(0) * passed
