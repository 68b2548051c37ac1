"""One unit of one case in a network, and the maps of it that every check asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..clips import preprocess_frames
from ..engine import Unit
from ..methods import attribute
from ..nets import InputSpec
from .baselines import BASELINES
from .cases import Case, Frames
from .deletion import importance_of

Importance = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Subject:
    """What the checks look at.

    Attributes:
        model: in eval mode; never changed.
        spec: what it takes as input.
        case: the clip.
        unit: with a position. steps: length of its layer's grid in time, 1 where it has none.
        seed: of all that is random.
    """

    model: nn.Module
    spec: InputSpec
    case: Case
    unit: Unit
    steps: int
    seed: int = 0
    _maps: dict[str, Importance] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def x(self) -> Tensor:
        """The clip as the network takes it, (1, C, T, H, W)."""
        return self.input_of(self.case.frames)

    def input_of(self, frames: Frames) -> Tensor:
        """Other frames as the network takes them."""
        return preprocess_frames(frames, self.spec).to(_device(self.model))

    def explain(
        self, method: str, frames: Frames | None = None, unit: Unit | None = None
    ) -> Importance:
        """The map (T, H, W) of the unit, or of another, in the clip, or in other frames."""
        if frames is None and unit is None:
            if method not in self._maps:
                self._maps[method] = self._map(self.model, self.x, self.unit, method)
            return self._maps[method]
        x = self.x if frames is None else self.input_of(frames)
        return self._map(self.model, x, unit or self.unit, method)

    def explain_in(self, method: str, model: nn.Module) -> Importance:
        """The unit's map in another network of the same shape."""
        return self._map(model, self.x, self.unit, method)

    def signed(self, method: str, x: Tensor) -> Tensor:
        """The signed map (1, C, T, H, W)."""
        values = torch.from_numpy(attribute(self.model, x, self.unit, method).values)[None]
        return values.to(x).expand(x.shape)  # of a grid there is one map for all channels

    def _map(self, model: nn.Module, x: Tensor, unit: Unit, method: str) -> Importance:
        return importance_of(attribute(model, x, unit, method).values)

    @cached_property
    def box(self) -> npt.NDArray[np.bool_]:
        """(T, H, W), True in the box in which the unit's gradient is not zero."""
        reached = self.explain("gradient") > 0
        inside = np.ones(reached.shape, bool)
        for axis in range(3):
            others = tuple(i for i in range(3) if i != axis)
            hit = np.flatnonzero(reached.any(others))
            line = np.zeros(reached.shape[axis], bool)
            if len(hit):
                line[hit[0] : hit[-1] + 1] = True
            inside &= line.reshape([-1 if i == axis else 1 for i in range(3)])
        return inside

    def baseline(self, name: str) -> Importance:
        """A map that no network made, cut to the box."""
        return np.asarray(BASELINES[name](self.case.frames, self.seed) * self.box, np.float32)


def _device(model: nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))
