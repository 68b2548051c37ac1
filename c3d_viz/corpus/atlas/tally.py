"""One pass over the peaks of all windows: the strongest, the yardstick, which maps are alike.

Memory depends on the number of feature maps alone, and nothing on how the windows were computed:
they come in order of the videos.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..listener import Vectors

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

QUANTILES = np.linspace(0, 1, 201)  # of the yardstick: half percents
_BITS = 15  # of a float32's 23 that a bin leaves out: bins are 1/256 of their value wide
_CODES = 1 << 17
_WHOLE_ORDER = 1024  # feature maps: of more the leaves are not put in the best order


class Winners:
    """For each feature map the windows of the highest value, at most ``per_video`` of a video.

    Of equal values those that came first are kept.
    """

    def __init__(self, size: int, top: int, per_video: int) -> None:
        self._top, self._per_video = top, per_video
        self._all = _none(size)
        self._of_video = _none(size)

    def add(self, peaks: Vectors, ids: Whole) -> None:
        """Windows of one video: (N, D) peaks and (N,) numbers by which they are known."""
        both = (np.broadcast_to(ids[:, None], peaks.shape), peaks)
        self._of_video = _best(self._of_video, both, self._per_video)

    def end_video(self) -> None:
        self._all = _best(self._all, self._of_video, self._top)
        self._of_video = _none(self._of_video[0].shape[1])

    def of(self, column: int) -> list[tuple[int, float]]:
        """(number, value) of a feature map's windows, strongest first; those above 0 alone."""
        ids, values = self._all
        return [
            (int(i), float(v))
            for i, v in zip(ids[:, column], values[:, column], strict=True)
            if v > 0
        ]


def _none(size: int) -> tuple[Whole, Vectors]:
    return np.zeros((0, size), np.int64), np.zeros((0, size), np.float32)


def _best(
    first: tuple[Whole, Vectors], then: tuple[Whole, Vectors], count: int
) -> tuple[Whole, Vectors]:
    ids = np.concatenate([first[0], then[0]])
    values = np.concatenate([first[1], then[1]])
    order = np.argsort(-values, axis=0, kind="stable")[:count]
    return np.take_along_axis(ids, order, 0), np.take_along_axis(values, order, 0)


class Yardstick:
    """Quantiles of each feature map's peaks, within 0.2 % of their value.

    Values are counted in bins by the leading bits of the float; lowest and highest are exact.
    """

    def __init__(self, size: int) -> None:
        self._keys, self._counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._low = np.full(size, np.inf, np.float32)
        self._high = np.full(size, -np.inf, np.float32)

    def add(self, peaks: Vectors) -> None:
        """(N, D) float32, N at least 1."""
        self._low = np.minimum(self._low, peaks.min(axis=0))
        self._high = np.maximum(self._high, peaks.max(axis=0))
        keys = np.arange(peaks.shape[1]) * _CODES + _code(peaks)
        new, counts = np.unique(keys, return_counts=True)
        self._keys, place = np.unique(np.concatenate([self._keys, new]), return_inverse=True)
        total = np.zeros(len(self._keys), np.int64)
        np.add.at(total, place, np.concatenate([self._counts, counts]))
        self._counts = total

    def quantiles(self, column: int) -> Vectors:
        """(201,) float32: what the shares QUANTILES of all windows stay at or below."""
        first, end = np.searchsorted(self._keys, (column * _CODES, (column + 1) * _CODES))
        up_to = np.cumsum(self._counts[first:end])
        values = _middle(self._keys[first:end] - column * _CODES)
        wanted = np.maximum(1, np.ceil(QUANTILES * up_to[-1]))
        made = values[np.searchsorted(up_to, wanted)]
        low, high = self._low[column], self._high[column]
        made = np.clip(made, low, high)
        made[0], made[-1] = low, high
        return np.asarray(made, np.float32)


def _code(values: Vectors) -> Whole:
    """0 .. 2**17 - 1, in the order of the values."""
    bits = np.ascontiguousarray(values, np.float32).view(np.int32).astype(np.int64)
    ordered = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    return (ordered >> _BITS) + _CODES // 2


def _middle(code: Whole) -> Vectors:
    """The value in the middle of a bin; 0 of the one that holds 0."""
    ordered = ((code - _CODES // 2) << _BITS) + (1 << _BITS - 1)
    ordered[code == _CODES // 2] = 0
    bits = np.where(ordered < 0, -ordered - (1 << 31), ordered)
    return bits.astype(np.int32).view(np.float32)


class Likeness:
    """How alike two feature maps of a layer answer: the correlation of their peaks."""

    def __init__(self, layers: Sequence[int]) -> None:
        self._ends = np.cumsum(layers)
        self._sums = np.zeros(int(self._ends[-1]))
        self._products = [np.zeros((n, n)) for n in layers]
        self._count = 0

    def add(self, peaks: Vectors) -> None:
        rows = peaks.astype(np.float64)
        self._count += len(rows)
        self._sums += rows.sum(axis=0)
        for products, end in zip(self._products, self._ends, strict=True):
            part = rows[:, end - len(products) : end]
            products += part.T @ part

    def correlation(self, layer: int) -> Floats:
        """(C, C), 0 beside a map that answers the same to every window."""
        products, end = self._products[layer], self._ends[layer]
        mean = self._sums[end - len(products) : end] / self._count
        covariance = products / self._count - np.outer(mean, mean)
        variance = np.diag(covariance)
        moves = variance > 1e-10 * (variance + mean**2)
        spread = np.sqrt(np.where(moves, variance, 1))
        made = np.where(np.outer(moves, moves), covariance / np.outer(spread, spread), 0)
        np.fill_diagonal(made, 1)
        return np.clip(made, -1, 1)


def order_of(correlation: Floats) -> list[int]:
    """Feature maps so that those alike are neighbours: leaves of a clustering by average linkage.

    Maps without a likeness to any come last.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    alone = ~(np.abs(correlation - np.eye(len(correlation))) > 0).any(axis=1)
    rest, last = np.flatnonzero(~alone), np.flatnonzero(alone)
    if len(rest) < 3:
        return [*rest.tolist(), *last.tolist()]
    part = correlation[np.ix_(rest, rest)]
    distance = squareform(1 - (part + part.T) / 2, checks=False)
    tree = linkage(distance, "average", optimal_ordering=len(rest) <= _WHOLE_ORDER)
    return [*rest[leaves_list(tree)].tolist(), *last.tolist()]
