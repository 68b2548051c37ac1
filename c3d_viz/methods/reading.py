"""One clip, read once by the network, and asked about afterwards: any layer, unit and method.

``attribute`` runs the network for each question. Where questions about one clip come one after
the other, as in the dashboard, that is most of the waiting: of C3D's conv5b, nine parts of ten.
A ``Reading`` keeps what every layer answered, and only walks back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from ..engine import (
    RULES,
    BackProjection,
    Chain,
    Record,
    Trace,
    Unit,
    Walker,
    activation,
    check_input,
    cut,
    locate,
    opened,
    pool_forward,
    trace,
)
from ..nets import C3D, unwrapped
from .registry import METHODS, Attribution, Progress, _attributions, _levels, attribute_many


class Reading:
    """What a network answered to one clip, and the way back from each of its answers.

    The maps are those of ``attribute`` up to rounding. The three ReLU rules on a C3D need no
    further forward pass; other methods and other networks are asked anew each time.

    Args:
        model: any module; in eval mode, and not changed while the reading is in use.
        x: one clip (1, 3, T, H, W).

    Attributes:
        trace: the activations of every layer.

    Raises:
        ShapeError: ``x`` is not one clip on the model's device and of its dtype.
    """

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        check_input(model, x)
        self.trace: Trace = trace(model, x)
        self._model = unwrapped(model)
        self._x = x

    @property
    def nbytes(self) -> int:
        """Bytes of the activations kept."""
        return sum(int(values.nbytes) for values in self.trace.activations.values())

    def attribute(
        self, unit: Unit, method: str = "deconvnet", *, progress: Progress | None = None
    ) -> Attribution:
        """Project one unit back to the pixels; arguments and errors as ``attribute``."""
        return next(self.attribute_many([unit], method, progress=progress))

    def attribute_many(
        self,
        units: Iterable[Unit],
        method: str = "deconvnet",
        *,
        progress: Progress | None = None,
    ) -> Iterator[Attribution]:
        """The same for many units, in order and lazily, with shared work."""
        units = list(units)
        rule = METHODS[method].rule if method in METHODS else None
        found = _levels(self._model, self._x, units) if rule and type(self._model) is C3D else None
        if rule is None or found is None:
            return attribute_many(self._model, self._x, units, method, progress=progress)
        return _attributions(self._walks(*found, rule), method, self._x.device)

    def _walks(
        self, chain: Chain, units: list[tuple[int, Unit]], rule: str
    ) -> Iterator[BackProjection]:
        with torch.inference_mode(False), torch.no_grad():
            record = self._record(chain, max((level for level, _ in units), default=0), rule)
            walker = Walker(chain, rule, self._x.dtype, once=len(units) == 1)
        for level, wanted in units:
            unit = locate(self.trace.activations[wanted.layer], wanted)
            record.found[level, unit] = unit, activation(self.trace, unit)
            with torch.inference_mode(False), torch.no_grad():
                back = walker.walk(record, self._x, (level, unit))
            yield back

    def _record(self, chain: Chain, deepest: int, rule: str) -> Record:
        """What the forward pass decided: which cells poolings took, which ReLUs were open.

        Poolings are run again. That takes little, and what they leave would be as large as the
        activations themselves.
        """
        answers = {
            level: values
            for layer, values in self.trace.activations.items()
            if (level := chain.level_of(self._model, layer)) is not None
        }
        record = Record([chain.full(level) for level in range(deepest + 1)])
        for level in range(1, deepest + 1):
            step = chain.steps[level - 1]
            if isinstance(step, nn.MaxPool3d):
                full, below = chain.full(level), chain.needed(level, chain.full(level))
                values = answers[level - 1][cut(below, chain.full(level - 1))]
                pooled, record.switches[level] = pool_forward(step, values, full, below)
                if RULES[rule].asks_forward and chain.has_relu_below(level):
                    record.passed[level] = opened(pooled)
            elif isinstance(step, nn.ReLU) and RULES[rule].asks_forward:
                record.passed[level] = opened(answers[level])
        return record
