"""Deletion and insertion: do the pixels that a map calls important matter to the unit?

Petsiuk et al. 2018, "RISE" (arXiv 1806.07421): pixels are taken away from the clip, or given back
to an empty one, most important first; the measure is the area under the unit's activation over the
share of pixels, small for deletion and large for insertion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..engine import activation, trace
from ..errors import ShapeError
from ..methods import Attribution
from ..stats import Floats


@dataclass(frozen=True)
class Faithfulness:
    """What the unit does as pixels are taken away, or given back, most important first.

    Attributes:
        share: (S,) share of the clip's pixels changed, 0 to 1.
        deletion: (S,) activation as the most important pixels turn grey, relative to the clip's.
        insertion: (S,) activation as they appear on a grey clip, relative to the clip's.
        deletion_area, insertion_area: areas under the curves; a faithful map has a small
            deletion area and a large insertion area.
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


def _area(y: Floats, x: Floats) -> float:
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum())  # trapezoids


def deletion_insertion(
    model: nn.Module, x: Tensor, att: Attribution, *, steps: int = 10
) -> Faithfulness:
    """Take pixels away from the clip, or give them back, in the order of the map's |R|.

    A pixel is one place in one frame, all colours; a pixel taken away has the value 0, which is
    the mean colour for a preprocessed clip. The unit stays at its position.

    Args:
        model: the network the map was made with.
        x: the clip (1, 3, T, H, W) it was made of.
        att: the map.
        steps: number of equal parts; steps + 1 points each, two forward passes a step.

    Raises:
        ShapeError: map and clip differ in size.
    """
    if tuple(x.shape[2:]) != att.values.shape[1:]:
        raise ShapeError(f"the map {att.values.shape} is not of the clip {tuple(x.shape[1:])}")
    importance = torch.from_numpy(np.abs(att.values).sum(0)).reshape(-1)
    order = torch.sort(importance, descending=True, stable=True).indices
    share = np.linspace(0, 1, steps + 1)
    gone, back = [], []

    def answer(clip: Tensor) -> float:
        return activation(trace(model, clip, [att.unit.layer]), att.unit)

    for part in share:
        chosen = torch.zeros(importance.numel(), dtype=torch.bool)
        chosen[order[: round(part * importance.numel())]] = True
        mask = chosen.reshape(x.shape[2:]).to(x.device)
        gone.append(answer(x.masked_fill(mask, 0.0)))
        back.append(answer(x.masked_fill(~mask, 0.0)))
    scale = gone[0] if gone[0] > 0 else float("nan")
    return Faithfulness(share, np.asarray(gone) / scale, np.asarray(back) / scale)
