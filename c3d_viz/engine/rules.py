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

from torch import Tensor

from ..errors import VizError
from .report import RuleReport
from .units import Unit


@dataclass(frozen=True)
class Rule:
    """What a ReLU lets through of a signal on its way back.

    Attributes:
        name: key of RULES.
        asks_forward: only where the ReLU let its input through. A walk by a rule that does not
            ask need not keep where that was.
        asks_backward: only what is positive on the way back.
    """

    name: str
    asks_forward: bool
    asks_backward: bool

    def __call__(self, signal: Tensor, relu_mask: Tensor | None) -> Tensor:
        """The signal below a ReLU.

        Args:
            signal: g, arriving from above.
            relu_mask: bool, 1[x > 0], of the signal's shape; None for a rule that does not ask.
        """
        if self.asks_backward:
            signal = signal.clamp_min(0)
        if self.asks_forward:
            assert relu_mask is not None
            signal = signal * relu_mask
        return signal


# The only place where a rule is written down: both engines know a new one from its line here.
RULES = {
    rule.name: rule
    for rule in (
        Rule("gradient", asks_forward=True, asks_backward=False),
        Rule("deconvnet", asks_forward=False, asks_backward=True),
        Rule("guided", asks_forward=True, asks_backward=True),
    )
}


def rule_named(name: str) -> Rule:
    """The rule of a name; VizError, with the names there are, if there is none."""
    if name not in RULES:
        raise VizError(f"no rule {name!r}; there are {', '.join(RULES)}")
    return RULES[name]


@dataclass(frozen=True)
class BackProjection:
    """A signal at the input.

    Attributes:
        values: (C, T, H, W) of the input's C, T, H, W and dtype, signed.
        unit: where it started, with a concrete position.
        activation: what the unit answered in the forward pass.
        report: what the rule met on the unit's way; None where no rule was asked for, or the
            gradient's, which holds at every activation.
    """

    values: Tensor
    unit: Unit
    activation: float
    report: RuleReport | None = None
