"""Decoded frames to RGB arrays: bit depth, colour matrix, and the turn a phone asks for."""

from __future__ import annotations

import gc
import threading
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

Frame = npt.NDArray[np.uint8]
# The part of a display matrix that turns: display x = a x + c y, display y = b x + d y.
Turn = tuple[int, int, int, int]
UPRIGHT: Turn = (1, 0, 0, 1)
# Colour matrices, ITU-T H.273, by the names that PyAV before 17 wants to be told: it took all
# video for BT.601. Later ones read them from the frame.
_MATRICES = {1: "ITU709", 4: "FCC", 7: "SMPTE240M"} if int(av.__version__[:2]) < 17 else {}

_own = threading.local()  # a frame's own converter would set up its tables for that frame alone


class SourceFrame(NamedTuple):
    """A frame of a source, (H, W, 3) uint8 RGB, and what is wrong with it, if anything."""

    number: int
    frame: Frame
    flaw: str = ""


def to_rgb(frame: av.VideoFrame, turn: Turn) -> Frame:
    """(H, W, 3) uint8 RGB, upright. 8 bits whatever the source has; its own colour matrix."""
    return upright(_converted(frame), turn)


def to_small_rgb(frame: av.VideoFrame, turn: Turn, height: int) -> Frame:
    """(height, w, 3) uint8 RGB, upright, scaled down before it is converted: cheap."""
    tall, wide = upright_size(frame, turn)
    width = max(2, round(wide * height / tall))
    stored = (height, width) if _lying(turn) else (width, height)
    return upright(_converted(frame, width=stored[0], height=stored[1]), turn)


def _converted(frame: av.VideoFrame, **options: Any) -> Frame:
    matrix = _MATRICES.get(int(frame.colorspace))
    if matrix:
        options |= {"src_colorspace": matrix, "dst_colorspace": "DEFAULT"}
    if not hasattr(_own, "reformatter"):
        _own.reformatter = VideoReformatter()
    rgb = _own.reformatter.reformat(frame, format="rgb24", **options)
    return np.asarray(rgb.to_ndarray(), dtype=np.uint8)


def upright(image: Frame, turn: Turn) -> Frame:
    """Turn and mirror an image (H, W, ...) as the display matrix asks."""
    if turn == UPRIGHT:
        return image
    a, b, c, d = turn
    if _lying(turn):
        image = image.swapaxes(0, 1)
        mirror_x, mirror_y = c < 0, b < 0
    else:
        mirror_x, mirror_y = a < 0, d < 0
    if mirror_x:
        image = image[:, ::-1]
    if mirror_y:
        image = image[::-1]
    return np.ascontiguousarray(image)


def turn_of(frame: av.VideoFrame) -> Turn:
    """How the frame asks to be shown. Ask one frame of a file, and call ``let_go`` after it."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return UPRIGHT
    a, b, _, c, d, *_ = np.frombuffer(data, dtype=np.int32).tolist()
    return a, b, c, d


def let_go(pixels: int) -> None:
    """Free a frame that ``turn_of`` has looked at and nobody holds.

    PyAV's ``side_data`` ties a frame into a circle. Python's collector frees it some time later,
    called by the number of objects, not by their size: large frames would pile up.
    """
    if pixels > 1_000_000:
        gc.collect(1)


def upright_size(frame: av.VideoFrame, turn: Turn) -> tuple[int, int]:
    """(height, width) as shown."""
    return (frame.width, frame.height) if _lying(turn) else (frame.height, frame.width)


def _lying(turn: Turn) -> bool:
    return abs(turn[0]) < abs(turn[1])
