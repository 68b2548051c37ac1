"""Decoded frames to RGB arrays: bit depth, colour matrix, and the turn a phone asks for."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]


def to_rgb(frame: av.VideoFrame) -> Frame:
    """(H, W, 3) uint8 RGB, upright. 8 bits whatever the source has; its own colour matrix."""
    return upright(np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8), frame)


def to_small_rgb(frame: av.VideoFrame, height: int) -> Frame:
    """(height, w, 3) uint8 RGB, upright, scaled down before it is converted: cheap."""
    tall, wide = upright_size(frame)
    width = max(2, round(wide * height / tall))
    turned = upright_size(frame) != (frame.height, frame.width)
    stored = (height, width) if turned else (width, height)
    small = frame.to_ndarray(format="rgb24", width=stored[0], height=stored[1])
    return upright(np.asarray(small, dtype=np.uint8), frame)


def upright(image: Frame, frame: av.VideoFrame) -> Frame:
    """Turn and mirror an image (H, W, ...) as the frame's display matrix asks."""
    matrix = _display_matrix(frame)
    if matrix is None:
        return image
    a, b, c, d = matrix  # display x = a x + c y, display y = b x + d y
    if abs(a) >= abs(b):
        mirror_x, mirror_y = a < 0, d < 0
    else:
        image = image.swapaxes(0, 1)
        mirror_x, mirror_y = c < 0, b < 0
    if mirror_x:
        image = image[:, ::-1]
    if mirror_y:
        image = image[::-1]
    return np.ascontiguousarray(image)


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int] | None:
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    a, b, _, c, d, *_ = np.frombuffer(data, dtype=np.int32).tolist()
    return a, b, c, d


def upright_size(frame: av.VideoFrame) -> tuple[int, int]:
    matrix = _display_matrix(frame)
    if matrix is None or abs(matrix[0]) >= abs(matrix[1]):
        return frame.height, frame.width
    return frame.width, frame.height
