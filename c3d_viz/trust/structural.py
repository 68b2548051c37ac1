"""Structural similarity of two stacks of images.

Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity":
(2 m1 m2 + c1) (2 s12 + c2) / ((m1^2 + m2^2 + c1) (s1^2 + s2^2 + c2)) with local means m, variances
s^2 and the covariance s12; 1 for equal images.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import ShapeError

Maps = npt.NDArray[np.float32]


def ssim(first: Maps, second: Maps) -> float:
    """Mean structural similarity of two stacks (T, H, W) with values 0-1.

    Gaussian window with sigma 1.5, constants (0.01)^2 and (0.03)^2; mean over all pixels.

    Raises:
        ShapeError: they differ in size.
    """
    if first.shape != second.shape or first.ndim != 3:
        raise ShapeError(f"two stacks (T, H, W) are compared, got {first.shape}, {second.shape}")

    def local(stack: Maps) -> Maps:
        return np.stack([cv2.GaussianBlur(f, (11, 11), 1.5) for f in stack])

    a, b = np.asarray(first, np.float32), np.asarray(second, np.float32)
    mean_a, mean_b = local(a), local(b)
    var_a, var_b = local(a * a) - mean_a**2, local(b * b) - mean_b**2
    cov = local(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    return float((top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean())
