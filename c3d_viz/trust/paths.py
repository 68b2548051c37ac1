"""How many paths lead from each input pixel to a unit: what all networks of a shape share.

A pixel in the middle of a receptive field has many more ways to the unit than one at its edge, so
that maps of two *untrained* networks agree to a rank correlation of 0.93 to 0.99 (docs/finding.md,
section 3). Taking the count off leaves what the weights do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import nn

from ..engine import Unit
from ..nets import INPUT_SHAPE, triple


def path_counts(model: nn.Sequential, unit: Unit) -> npt.NDArray[np.float64]:
    """(T, H, W) number of paths from each input pixel to a conv unit of a C3D.

    A product of three vectors: a one at the unit is spread by every convolution's kernel (box of
    ones, zero padding) and repeated by every pooling's stride, axis by axis.
    """
    assert unit.at is not None
    children = list(model.named_children())
    last = [name for name, _ in children].index(unit.layer)
    chain = [m for _, m in children[: last + 1] if isinstance(m, nn.Conv3d | nn.MaxPool3d)]
    sizes: list[tuple[int, ...]] = [INPUT_SHAPE[1:]]
    for module in chain:
        stride = triple(module.stride)
        sizes.append(tuple(n // s for n, s in zip(sizes[-1], stride, strict=True)))
    vectors = []
    for axis in range(3):
        line = np.zeros(sizes[-1][axis])
        line[unit.at[axis]] = 1.0
        for module, below in zip(reversed(chain), reversed(sizes[:-1]), strict=True):
            if isinstance(module, nn.Conv3d):
                kernel = np.ones(triple(module.kernel_size)[axis])
                pad = len(kernel) // 2
                line = np.convolve(line, kernel)[pad : pad + below[axis]]
            else:
                line = np.repeat(line, triple(module.stride)[axis])
        vectors.append(line)
    paths: npt.NDArray[np.float64] = np.einsum("t,h,w->thw", *vectors)
    return paths
