"""The figure of a map: PCA and t-SNE side by side, a thumbnail or a dot for each video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...render import DARK, LIGHT, Theme, legend, new_figure, png
from .arrange import Arranged, Table

_HUES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#999999")
_MARKS = "os^Dv<>P"  # of the next eight classes another mark
_ZOOM = 0.55


def draw_map(
    table: Table,
    arranged: Arranged,
    thumbs: Mapping[int, npt.NDArray[np.uint8]],
    labels: Sequence[str] | None,
) -> tuple[bytes, bytes]:
    """PNG bytes, light and dark. ``labels`` name each video's class, in colour and by mark."""
    return tuple(_figure(table, arranged, thumbs, labels, theme) for theme in (LIGHT, DARK))  # type: ignore[return-value]


def _figure(
    table: Table,
    arranged: Arranged,
    thumbs: Mapping[int, npt.NDArray[np.uint8]],
    labels: Sequence[str] | None,
    theme: Theme,
) -> bytes:
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    first, second = arranged.variance
    views = [(arranged.pca, f"PCA: {first:.0%} and {second:.0%} of the variance")]
    if arranged.tsne is not None:
        views.append((arranged.tsne, f"t-SNE: perplexity {arranged.perplexity:.3g}"))
    figure, axes = new_figure(theme, (8 * len(views), 7.5), 1, len(views))
    names = sorted(set(labels or ()))
    for axis, (places, title) in zip(axes[0], views, strict=True):
        axis.set_title(title)
        axis.set_xticks([])
        axis.set_yticks([])
        for number, name in enumerate(names or [""]):
            rows = [i for i in range(len(table.paths)) if labels is None or labels[i] == name]
            axis.scatter(
                *places[rows].T,
                s=28,
                color=_HUES[number % len(_HUES)],
                marker=_MARKS[number // len(_HUES) % len(_MARKS)],
                label=name,
                zorder=3,
            )
        for i, picture in thumbs.items():
            colour = _HUES[names.index(labels[i]) % len(_HUES)] if labels else theme.faint
            box = AnnotationBbox(
                OffsetImage(picture, zoom=_ZOOM * _size(len(thumbs))),
                places[i],
                pad=0.12,
                bboxprops={"edgecolor": colour, "linewidth": 1.6 if labels else 0.8},
            )
            axis.add_artist(box)
        _margins(axis, places)
        axis.title.set_color(theme.ink)
    if 1 < len(names) <= 16:
        legend(figure, axes[0][0], theme)
    return png(figure)


def _size(count: int) -> float:
    """Smaller thumbnails where there are many."""
    return float(np.clip((60 / max(1, count)) ** 0.5, 0.35, 1))


def _margins(axis: Any, places: npt.NDArray[np.float32]) -> None:
    low, high = places.min(axis=0), places.max(axis=0)
    room = 0.09 * np.maximum(high - low, 1e-6)
    axis.set_xlim(low[0] - room[0], high[0] + room[0])
    axis.set_ylim(low[1] - room[1], high[1] + room[1])
