"""The way back through a convolution with a stride, as one convolution without.

Between two cells of the signal lie as many cells below as the stride is long. The cells at one
place between them, a phase, get their signal from one part of the kernel; so all phases together
are the channels of one ordinary transposed convolution, and are put side by side afterwards. The
ordinary call to few channels, as the first layer's way back is, multiplies matrices and spreads
the product over the cells, which takes three times as long.
"""

from __future__ import annotations

from itertools import product
from math import prod

from torch import Tensor

from .kernels import TransposedConv


class Phases:
    """A strided convolution's way back, prepared once for many signals.

    Args:
        weight: (out channels, in channels, kt, kh, kw) of a convolution of dilation 1, one group.
        stride: (t, h, w).
        like: a tensor of the device and dtype the signals will have.
    """

    def __init__(self, weight: Tensor, stride: tuple[int, ...], like: Tensor) -> None:
        outs, self._channels, *kernel = weight.shape
        self._stride, self._kernel = stride, kernel
        sizes = [-(-k // s) for k, s in zip(kernel, stride, strict=True)]  # of a phase's part
        parts = weight.new_zeros(outs, prod(stride), self._channels, *sizes)
        for number, (t, h, w) in enumerate(product(*map(range, stride))):
            part = weight[:, :, t :: stride[0], h :: stride[1], w :: stride[2]]
            nt, nh, nw = part.shape[2:]
            parts[:, number, :, :nt, :nh, :nw] = part
        self._margin = tuple(n - 1 for n in sizes)
        self._conv = TransposedConv(parts.flatten(1, 2), like)

    def __call__(self, signal: Tensor) -> Tensor:
        """The signal at every cell below that it reaches: (n - 1) * stride + kernel a side.

        Args:
            signal: (1, out channels, T, H, W), channels last.
        """
        parts = self._conv(signal, self._margin)[0]
        st, sh, sw = self._stride
        t, h, w = parts.shape[1:]
        # (st, sh, sw, C, t, h, w) -> (C, t, st, h, sh, w, sw)
        apart = parts.reshape(st, sh, sw, self._channels, t, h, w).permute(3, 4, 0, 5, 1, 6, 2)
        together = apart.reshape(1, self._channels, t * st, h * sh, w * sw)
        ends = (
            (n - 1) * s + k
            for n, s, k in zip(signal.shape[2:], self._stride, self._kernel, strict=True)
        )
        nt, nh, nw = ends
        return together[:, :, :nt, :nh, :nw]
