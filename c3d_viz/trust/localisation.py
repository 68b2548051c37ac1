"""Does the map lie on the object? Against masks, frame by frame.

Share of the map inside; pointing game (Zhang et al. 2016, "Top-down Neural Attention by Excitation
Backprop", arXiv 1608.00507); IoU with as many strongest pixels as the mask has. A map that misses
the object may still be right about the network: read it beside faithfulness.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import ShapeError
from ..stats import nanmean

BLUR = 2.0  # pixels, before the strongest place is looked for: one pixel is no place


@dataclass(frozen=True)
class Localisation:
    """Means over the frames in which there is an object; each 0 to 1, blind to the map's scale.

    Attributes:
        share: of the map's sum that lies inside the mask; NaN where the map is empty throughout.
        pointing: share of frames whose strongest place, after a blur, lies inside.
        iou: intersection over union with the mask of the strongest pixels, as many as it has.
        area: of the mask, as a share of the frame: what noise reaches by ``share``.
    """

    share: float
    pointing: float
    iou: float
    area: float


def localisation(
    importance: npt.NDArray[np.floating], masks: npt.NDArray[np.bool_]
) -> Localisation:
    """Compare a map with masks.

    Args:
        importance: (T, H, W), not below 0. A frame in which it is 0 throughout points nowhere: it
            counts as a miss, and has no share.
        masks: (T, H, W), where the object is.

    Raises:
        ShapeError: they differ in size, the map is negative somewhere or not finite, or no frame
            has an object.
    """
    if importance.shape != masks.shape or importance.ndim != 3:
        raise ShapeError(f"a map (T, H, W) and its masks, got {importance.shape}, {masks.shape}")
    if not np.isfinite(importance).all() or importance.min() < 0:
        raise ShapeError("a map to be compared with masks is finite and not below 0 anywhere")
    shown = [t for t in range(len(masks)) if masks[t].any()]
    if not shown:
        raise ShapeError("no frame has an object in its mask")
    shares, hits, overlaps = [], [], []
    for t in shown:
        frame, mask = importance[t].astype(np.float64), masks[t]
        total = frame.sum()
        shares.append(frame[mask].sum() / total if total > 0 else np.nan)
        smooth = cv2.GaussianBlur(frame, (0, 0), BLUR)
        hits.append(bool(total > 0 and mask.flat[int(smooth.argmax())]))
        overlaps.append(_iou(frame, mask))
    return Localisation(
        float(nanmean(shares)),
        float(np.mean(hits)),
        float(np.mean(overlaps)),
        float(masks[shown].mean()),
    )


def _iou(frame: npt.NDArray[np.float64], mask: npt.NDArray[np.bool_]) -> float:
    order = np.argsort(-frame, axis=None, kind="stable")[: int(mask.sum())]
    chosen = np.zeros(mask.size, bool)
    chosen[order] = frame.flat[order] > 0  # what is 0 is not marked, whatever its place in the sort
    both = (chosen & mask.ravel()).sum()
    return float(both / (chosen | mask.ravel()).sum())
