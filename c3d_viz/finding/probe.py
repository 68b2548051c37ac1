"""One forward pass before the layer of the test, and the back-projections that start from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from ..engine import Pass
from ..methods import attributions
from .types import LAYER


class Probe:
    """One clip before a network: which units are strongest, and their back-projections.

    The one pass that finds the strongest units serves their back-projections by every rule.

    Attributes:
        peaks: per channel, its unit at the strongest position, and the activation.
    """

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        self._pass = Pass(model, x)
        self.peaks = self._pass.peaks(LAYER)

    def strongest(self, k: int) -> list[int]:
        """The k channels with the highest maximum, strongest first, ties to the lower channel."""
        order = np.argsort([-activation for _, activation in self.peaks], kind="stable")
        return [int(channel) for channel in order[:k]]

    def project(self, channels: Sequence[int], method: str) -> npt.NDArray[np.float32]:
        """(U, 3, T, H, W): back-projections of the channels, each at its strongest position."""
        units = [self.peaks[channel][0] for channel in channels]
        return np.stack([a.values for a in attributions(self._pass, units, method)])
