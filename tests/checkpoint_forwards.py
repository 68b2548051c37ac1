"""The forward pass of each source, in the source's own layout and order, from its own arrays.

Oracles for the readers: nothing here comes from c3d_viz. Each returns (conv5b, logits) with
conv5b as (1, C, 2, 7, 7).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Result = tuple[Tensor, Tensor]
CONVS = ("1a", "2a", "3a", "3b", "4a", "4b", "5a", "5b")
POOL_AFTER = {"1a": (1, 2, 2), "2a": (2, 2, 2), "3b": (2, 2, 2), "4b": (2, 2, 2)}


def pytorch_port(
    weight: Callable[[str], Tensor], bias: Callable[[str], Tensor], x: Tensor
) -> Result:
    """The PyTorch ports: conv3d, pool5 padded by (0, 1, 1), view, linear. Names as the paper's."""
    h = x
    for name in CONVS:
        h = F.relu(F.conv3d(h, weight(f"conv{name}"), bias(f"conv{name}"), padding=1))
        if name in POOL_AFTER:
            h = F.max_pool3d(h, POOL_AFTER[name], POOL_AFTER[name])
    conv5b = h
    h = F.max_pool3d(h, (2, 2, 2), (2, 2, 2), padding=(0, 1, 1))
    h = h.view(h.shape[0], -1)
    h = F.relu(F.linear(h, weight("fc6"), bias("fc6")))
    h = F.relu(F.linear(h, weight("fc7"), bias("fc7")))
    return conv5b, F.linear(h, weight("fc8"), bias("fc8"))


def caffe(blobs: dict[str, tuple[np.ndarray, np.ndarray]], x: Tensor) -> Result:
    """Caffe: 5-D blobs; pool5 rounds the output size up and clips windows at the border."""
    h = x
    for name in CONVS:
        kernel, bias = blobs[f"conv{name}"]
        h = F.relu(
            F.conv3d(h, torch.from_numpy(kernel), torch.from_numpy(bias.reshape(-1)), padding=1)
        )
        if name in POOL_AFTER:
            h = F.max_pool3d(h, POOL_AFTER[name], POOL_AFTER[name])
    volume = h[0].numpy()
    channels, depth, height, width = volume.shape
    pooled = np.empty((channels, 1, 4, 4), np.float32)
    for c in range(channels):
        for row in range(4):
            for column in range(4):
                window = volume[
                    c,
                    0 : min(2, depth),
                    2 * row : min(2 * row + 2, height),
                    2 * column : min(2 * column + 2, width),
                ]
                pooled[c, 0, row, column] = window.max()
    y = pooled.reshape(-1)  # Caffe's blobs are C-ordered: channels, length, height, width
    for name in ("fc6", "fc7", "fc8"):
        matrix, bias = blobs[name]
        y = matrix.reshape(matrix.shape[-2:]) @ y + bias.reshape(-1)
        y = y if name == "fc8" else np.maximum(y, 0)
    return h, torch.from_numpy(y)[None]


def conv_ndhwc(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """TensorFlow's conv3d, stride 1, SAME, then ReLU: x (T, H, W, C), kernel (t, h, w, in, out).

    out[p] = sum over taps d of x[p + d - 1] @ kernel[d]: a correlation, written as it is defined.
    """
    padded = np.pad(x, ((1, 1), (1, 1), (1, 1), (0, 0)))
    t, h, w = x.shape[:3]
    out = np.broadcast_to(bias.astype(np.float64), (t, h, w, bias.size)).copy()
    for i in range(3):
        for j in range(3):
            for k in range(3):
                out += padded[i : i + t, j : j + h, k : k + w] @ kernel[i, j, k]
    return np.maximum(out, 0)


def pool_ndhwc(x: np.ndarray, size: tuple[int, int, int]) -> np.ndarray:
    """Max pooling without overlap, (T, H, W, C), sides divisible by the window."""
    t, h, w, c = x.shape
    a, b, d = size
    return x.reshape(t // a, a, h // b, b, w // d, d, c).max(axis=(1, 3, 5))


def channels_last(
    kernels: dict[str, np.ndarray], biases: dict[str, np.ndarray], x: Tensor, *, transpose: bool
) -> Result:
    """Keras and TensorFlow: (T, H, W, C) throughout, pool5 zero-padded at the far end.

    Keras pads by ((0, 0), (0, 1), (0, 1)) and flattens (H, W, C). TensorFlow's SAME pooling pads
    the same cells; ``transpose`` is its pool5 transpose to (C, H, W) before the reshape.
    """
    h = x[0].permute(1, 2, 3, 0).numpy().astype(np.float64)
    for name in CONVS:
        h = conv_ndhwc(h, kernels[f"conv{name}"], biases[f"conv{name}"])
        if name in POOL_AFTER:
            h = pool_ndhwc(h, POOL_AFTER[name])
    conv5b = torch.from_numpy(h).permute(3, 0, 1, 2)[None]
    h = pool_ndhwc(np.pad(h, ((0, 0), (0, 1), (0, 1), (0, 0))), (2, 2, 2))
    if transpose:
        h = h.transpose(0, 3, 1, 2)
    y = h.reshape(-1)
    for name in ("fc6", "fc7", "fc8"):
        y = y @ kernels[name] + biases[name]
        y = y if name == "fc8" else np.maximum(y, 0)
    return conv5b, torch.from_numpy(y)[None]
