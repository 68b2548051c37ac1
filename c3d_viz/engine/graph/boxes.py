"""Boxes: ranges of cells of a level, and the windows that convolution and pooling slide over them.

A box ends at the true border of its level, where zero padding counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

from torch import Tensor

Box = tuple[tuple[int, int], ...]  # (start, stop) per axis; () for a vector
Shape = tuple[int, ...]  # (C, ...) of a level


@dataclass(frozen=True)
class Stencil:
    """Where a convolution or pooling looks: output i sees input i * stride - padding + ..."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    def reach(self, box: Box) -> Box:
        """The input cells that the output cells of ``box`` look at; may lie in the padding."""
        return tuple(
            (lo * s - p, (hi - 1) * s - p + d * (k - 1) + 1)
            for (lo, hi), k, s, p, d in zip(
                box, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )


@dataclass(frozen=True)
class Part:
    """The numbers of a part of a level.

    Attributes:
        values: (C, cells of the box).
        box: where they lie.
        fresh: whether nobody else holds the values, so that a sum may be made in them.
    """

    values: Tensor
    box: Box
    fresh: bool = field(default=False, kw_only=True)

    def of(self, box: Box) -> Tensor:
        """The values of a box inside this one; a view."""
        return self.values[cut(box, self.box)]

    def whole(self) -> Part:
        """Itself; a signal that is still to be unpooled (``Unpooled``) is made here."""
        return self

    def pieces(self) -> Iterator[Part]:
        """Itself; see ``Unpooled``."""
        yield self


def full(shape: Shape) -> Box:
    """All cells of a level."""
    return tuple((0, n) for n in shape[1:])


def cell(at: Sequence[int]) -> Box:
    """The box of a single cell."""
    return tuple((i, i + 1) for i in at)


def union(*boxes: Box) -> Box:
    """The smallest box around all of them."""
    return tuple(
        (min(lo for lo, _ in axis), max(hi for _, hi in axis)) for axis in zip(*boxes, strict=True)
    )


def clip(box: Box, sizes: Sequence[int]) -> Box:
    """The part of a box inside a level of ``sizes``."""
    return tuple((max(lo, 0), min(hi, n)) for (lo, hi), n in zip(box, sizes, strict=True))


def grown(box: Box, sizes: Sequence[int], cells: int) -> Box:
    """A box around ``box``, inside a level of ``sizes``, of at least so many cells; else it all."""
    if prod(sizes) <= cells:
        return tuple((0, n) for n in sizes)
    axes = list(box)
    while volume(tuple(axes)) < cells:  # the shortest first: least is asked of the levels below
        _, axis = min((hi - lo, i) for i, (lo, hi) in enumerate(axes) if hi - lo < sizes[i])
        lo, hi = axes[axis]
        axes[axis] = (lo, hi + 1) if hi < sizes[axis] else (lo - 1, hi)
    return tuple(axes)


def covers(box: Box, other: Box) -> bool:
    """Whether ``other`` lies inside ``box``."""
    return all(a <= lo and hi <= b for (a, b), (lo, hi) in zip(box, other, strict=True))


def volume(box: Box) -> int:
    """Cells in a box."""
    return prod(hi - lo for lo, hi in box)


def cut(box: Box, origin: Box) -> tuple[slice, ...]:
    """Index of ``box`` in a tensor (C, ...) that holds the cells of the box ``origin``."""
    return (
        slice(None),
        *(slice(lo - o, hi - o) for (lo, hi), (o, _) in zip(box, origin, strict=True)),
    )
