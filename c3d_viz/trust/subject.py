"""One unit of one case in a network, and the maps of it that every check asks for."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..clips import preprocess_frames
from ..engine import Unit
from ..nets import InputSpec
from .asked import Asked
from .cases import Case, Frames
from .deletion import importance_of

Importance = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Subject:
    """What the checks look at; several threads may.

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
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @cached_property
    def x(self) -> Tensor:
        """The clip as the network takes it, (1, C, T, H, W)."""
        return self.input_of(self.case.frames)

    def input_of(self, frames: Frames) -> Tensor:
        """Other frames as the network takes them."""
        return preprocess_frames(frames, self.spec).to(_device(self.model))

    @cached_property
    def _asked(self) -> Asked:
        return Asked(self.model)

    def asked(self, model: nn.Module | None = None) -> Asked:
        """The network, or another of the same shape, to be asked by one thread."""
        return Asked(model or self.model, dict(self._asked.layers))

    def explain(self, method: str) -> Importance:
        """The map (T, H, W) of the unit in the clip.

        Raises:
            VizError: the method gives none here.
        """
        with self._lock:
            if method not in self._maps:
                self._maps[method] = _importance(self._asked, method, self.x, self.unit)
            return self._maps[method]

    def explain_in(self, asked: Asked, method: str) -> Importance:
        """The unit's map in another network of the same shape."""
        return _importance(asked, method, self.x, self.unit)

    def explain_by(self, asked: Asked, method: str, frames: Frames, unit: Unit) -> Importance:
        """The map of a unit in other frames."""
        if frames is self.case.frames and unit == self.unit:
            return self.explain(method)
        return _importance(asked, method, self.input_of(frames), unit)

    def signed(self, asked: Asked, method: str, x: Tensor) -> Tensor:
        """The signed map (1, C, T, H, W) of the unit in another clip."""
        values = torch.from_numpy(asked.attribute(method, x, self.unit).values)[None]
        return values.to(x).expand(x.shape)  # of a grid there is one map for all channels

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
        return np.asarray(self.case.baseline(name, self.seed) * self.box, np.float32)


def _importance(asked: Asked, method: str, x: Tensor, unit: Unit) -> Importance:
    return importance_of(asked.attribute(method, x, unit).values)


def _device(model: nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))
