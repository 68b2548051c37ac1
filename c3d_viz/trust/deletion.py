"""Deletion and insertion: do the pixels that a map calls important matter to the unit?

Petsiuk et al. 2018, "RISE" (arXiv 1806.07421): pixels are taken away from the clip, or given back
to an empty one, most important first; the measure is the area under the unit's activation over the
share of pixels, small for deletion and large for insertion. Average drop: Chattopadhay et al. 2018,
"Grad-CAM++" (arXiv 1710.11063), max(0, y - y_masked) / y.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..engine import Unit
from ..errors import ShapeError, VizError
from ..methods import Attribution
from ..stats import Floats
from .asked import Asked

BLUR = 8.0  # pixels, of the filling that has no detail
_SMOOTH = 2.0  # pixels, of a map that multiplies the clip


@dataclass(frozen=True)
class Faithfulness:
    """What the unit does as pixels are taken away, or given back, most important first.

    Attributes:
        share: (S,) share of the pixels changed, 0 to 1.
        deletion: (S,) activation as the most important pixels are filled, relative to the clip's.
        insertion: (S,) activation as they appear on a filled clip, relative to the clip's.
        deletion_area, insertion_area: areas under the curves; a faithful map has a small
            deletion area and a large insertion area.
        score: insertion less deletion; 0 is about what noise has.
    """

    share: Floats
    deletion: Floats
    insertion: Floats

    @property
    def deletion_area(self) -> float:
        return _area(self.deletion, self.share)

    @property
    def insertion_area(self) -> float:
        return _area(self.insertion, self.share)

    @property
    def score(self) -> float:
        return self.insertion_area - self.deletion_area


def _area(y: Floats, x: Floats) -> float:
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum())  # trapezoids


def _grey(x: Tensor, gone: Tensor) -> Tensor:
    return x.masked_fill(gone, 0.0)  # the mean colour of a preprocessed clip


def _blurred(x: Tensor, gone: Tensor) -> Tensor:
    planes = x[0].flatten(0, 1).cpu().numpy()  # (C T, H, W)
    smooth = np.stack([cv2.GaussianBlur(p, (0, 0), BLUR) for p in planes])
    return torch.where(gone, torch.from_numpy(smooth).reshape(x.shape[1:])[None].to(x), x)


def _neighbour(x: Tensor, gone: Tensor) -> Tensor:
    filled = x.clone()
    for t in range(1, x.shape[2]):  # the first frame has none before it and stays
        filled[:, :, t] = torch.where(gone[t], filled[:, :, t - 1], x[:, :, t])
    return filled


# (clip (1, C, T, H, W), what is taken away (T, H, W)) -> the clip with those pixels filled
FILLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "grey": _grey,
    "blurred": _blurred,
    "neighbour": _neighbour,
}


def deletion_insertion(
    model: nn.Module, x: Tensor, att: Attribution, *, steps: int = 10, filling: str = "grey"
) -> Faithfulness:
    """Take pixels away from the clip, or give them back, in the order of the map's |R|.

    A pixel is one place in one frame, all colours. The unit stays at its position.

    Args:
        model: the network the map was made with.
        x: the clip (1, C, T, H, W) it was made of.
        att: the map.
        steps: number of equal parts; steps + 1 points each, two forward passes a step.
        filling: key of FILLINGS: "grey" is 0, the mean colour of a preprocessed clip; "blurred" the
            frame without detail; "neighbour" the pixel of the frame before, so that nothing moves
            where it was taken.

    Raises:
        ShapeError: map and clip differ in size, or the map is not finite.
        VizError: no such filling, or steps below 1.
    """
    importance = importance_of(att.values)
    return faithfulness(model, x, att.unit, importance, steps=steps, filling=filling)


def importance_of(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """|R| summed over colours: (C, T, H, W) -> (T, H, W)."""
    total: npt.NDArray[np.float32] = np.abs(values).sum(0, dtype=np.float32)
    return total


def faithfulness(
    model: nn.Module,
    x: Tensor,
    unit: Unit,
    importance: npt.NDArray[np.floating],
    *,
    steps: int = 10,
    filling: str = "grey",
    within: npt.NDArray[np.bool_] | None = None,
    asked: Asked | None = None,
) -> Faithfulness:
    """``deletion_insertion`` of any map (T, H, W); see there.

    Args:
        within: (T, H, W), the pixels that shares are of; all others stay. A unit that sees a
            twentieth of the clip has lost everything at the first step otherwise. None is all.
        asked: the model with what it has answered already, where other maps were measured before.
    """
    asked = asked or Asked(model)
    _check(x, importance)
    if filling not in FILLINGS or steps < 1:
        raise VizError(
            f"fillings are {', '.join(FILLINGS)} and steps 1 or more, got {filling!r}, {steps}"
        )
    fill = FILLINGS[filling]
    inside = np.ones(importance.shape, bool) if within is None else within
    places = torch.from_numpy(np.flatnonzero(inside))
    flat = torch.from_numpy(importance[inside])
    order = places[torch.sort(flat, descending=True, stable=True).indices]
    whole = torch.from_numpy(inside).to(x.device)
    share = np.linspace(0, 1, steps + 1)
    gone: list[float] = []
    back: list[float] = []
    for part in share:
        chosen = torch.zeros(importance.size, dtype=torch.bool)
        chosen[order[: round(part * len(order))]] = True
        mask = chosen.reshape(x.shape[2:]).to(x.device)
        gone.append(asked.answer(fill(x, mask), unit))
        back.append(asked.answer(fill(x, ~mask & whole), unit))
    scale = gone[0] if gone[0] > 0 else float("nan")
    return Faithfulness(share, np.asarray(gone) / scale, np.asarray(back) / scale)


def average_drop(
    model: nn.Module,
    x: Tensor,
    unit: Unit,
    importance: npt.NDArray[np.floating],
    *,
    asked: Asked | None = None,
) -> float:
    """Share of the answer that is lost when the clip is multiplied by the map, 0 to 1.

    The map is blurred by 2 pixels and divided by its maximum; NaN where it is empty or the unit
    does not answer.

    Raises:
        ShapeError: map and clip differ in size, or the map is not finite.
    """
    _check(x, importance)
    asked = asked or Asked(model)
    before = asked.answer(x, unit)
    smooth = np.stack([cv2.GaussianBlur(f, (0, 0), _SMOOTH) for f in importance.astype(np.float32)])
    if before <= 0 or smooth.max() <= 0:
        return float("nan")
    weight = torch.from_numpy(smooth / smooth.max()).to(x)
    return max(0.0, before - asked.answer(x * weight, unit)) / before


def _check(x: Tensor, importance: npt.NDArray[np.floating]) -> None:
    if tuple(x.shape[2:]) != importance.shape:
        raise ShapeError(f"the map {importance.shape} is not of the clip {tuple(x.shape[2:])}")
    if not np.isfinite(importance).all():
        raise ShapeError("a map whose pixels are to be taken away is finite everywhere")
