"""One forward pass before the layer of the test, and the back-projections that start from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..engine import Unit, Walker, activation, chain_of, forward, peak, trace
from ..methods import METHODS, attribute_many
from .types import LAYER


class Pass:
    """One clip before a network: which units are strongest, and their back-projections.

    In a plain chain the layers behind the one that is asked about are not run, and the one
    forward pass that finds the strongest units serves their back-projections by every rule.
    """

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        self.model, self.x = model, x
        self.chain = chain_of(model, tuple(x.shape[1:]))
        self.level = self.chain.level_of(model, LAYER) if self.chain is not None else None
        if self.chain is not None and self.level is not None:
            channels = self.chain.shapes[self.level][0]
            keys = [(self.level, Unit(LAYER, channel)) for channel in range(channels)]
            with torch.no_grad():
                # what guided backprop needs of a forward pass is all that any rule needs
                self.record = forward(self.chain, x, keys, "guided")
            self.peaks = [self.record.found[key] for key in keys]
        else:
            seen = trace(model, x, [LAYER])
            every = [peak(seen, LAYER, c) for c in range(len(seen.activations[LAYER]))]
            self.peaks = [(unit, activation(seen, unit)) for unit in every]

    def strongest(self, k: int) -> list[int]:
        """The k channels with the highest maximum, strongest first, ties to the lower channel."""
        order = np.argsort([-value for _, value in self.peaks], kind="stable")
        return [int(channel) for channel in order[:k]]

    def project(self, channels: Sequence[int], method: str) -> npt.NDArray[np.float32]:
        """(U, 3, T, H, W): back-projections of the channels, each at its strongest position."""
        rule = METHODS[method].rule
        if self.chain is None or self.level is None or rule is None:
            units = [self.peaks[channel][0] for channel in channels]
            return np.stack([a.values for a in attribute_many(self.model, self.x, units, method)])
        with torch.no_grad():
            walker = Walker(self.chain, rule, self.x.dtype)
            keys = [(self.level, Unit(LAYER, channel)) for channel in channels]
            maps = [walker.walk(self.record, self.x, key).values for key in keys]
        return np.stack([values.to(torch.float32).numpy() for values in maps])
