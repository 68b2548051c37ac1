"""Attributions over frames, as RGB arrays. Arrays in, arrays out; nothing is normalised before.

An attribution R is signed, (3, T, H, W). Three ways to see it:

- magnitude: the sum over colour of |R|, how strongly a pixel takes part. Sequential map.
- signed: the sum over colour of R, whether more light there drives the unit up or down.
  Diverging map, zero in the middle.
- raw: R itself as a colour picture around mid-grey, as in Zeiler & Fergus (2014) and Figure 4
  of the C3D paper.

Every picture needs an upper bound for its colours. By default it is one for the whole clip,
because scaling each frame by itself makes a frame where the unit saw nothing look like one where
it saw much. The bound is the 99.5th percentile of the non-zero strengths: a few extreme pixels
do not turn the rest black, and what lies above is drawn in the last colour.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from ..arguments import checked
from ..errors import ShapeError
from .canvas import Picture, colour_table

Floats = npt.NDArray[np.float32]
Mode = Literal["magnitude", "signed"]
Scale = Literal["clip", "frame"]
ChannelOrder = Literal["RGB", "BGR"]

PERCENTILE = 99.5
ALPHA = 0.9  # how far the strongest pixels cover the frame
SEQUENTIAL = "inferno"  # evenly perceived, safe for colour-blind people
DIVERGING = "blue-orange"  # dark at zero like inferno; told apart by every kind of eye


def values_of(att: Any) -> Floats:
    """(3, T, H, W) float32 of an Attribution or an array; (T, H, W) arrays become (1, T, H, W).

    Raises:
        ShapeError: another number of axes, or values that are not finite.
    """
    values = getattr(att, "values", att)
    values = floats(att if callable(values) else values, "an attribution")  # a tensor's is a method
    if values.ndim == 3:
        values = values[None]
    if values.ndim != 4 or values.size == 0:
        raise ShapeError(f"an attribution must have shape (3, T, H, W), got {values.shape}")
    if not np.isfinite(values).all():
        raise ShapeError("the attribution holds NaN or infinite values; nothing can be drawn")
    return values


def floats(values: Any, what: str) -> Floats:
    """Numbers of any kind as float32; ShapeError, naming ``what``, for anything else."""
    try:
        return np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise ShapeError(
            f"{what} must be an array of numbers, got {type(values).__name__}"
        ) from None


def notes_of(*atts: Any) -> list[str]:
    """What has to stand beside these attributions, each note once; arrays have none."""
    return list(dict.fromkeys(note for att in atts for note in getattr(att, "notes", ())))


def magnitude(att: Any) -> Floats:
    """(T, H, W) float32, at least 0: the sum over colour of absolute values."""
    return np.asarray(np.abs(values_of(att)).sum(axis=0, dtype=np.float32))


def signed(att: Any) -> Floats:
    """(T, H, W) float32: the sum over colour, sign kept."""
    return np.asarray(values_of(att).sum(axis=0, dtype=np.float32))


def plane(att: Any, mode: Mode) -> Floats:
    """``magnitude`` or ``signed`` by name."""
    if mode == "magnitude":
        return magnitude(att)
    if mode == "signed":
        return signed(att)
    raise ShapeError(f"mode must be 'magnitude' or 'signed', got {mode!r}")


def scale_of(values: Floats, scale: Scale = "clip", percentile: float = PERCENTILE) -> Floats:
    """Upper bound of the colours of each frame, (T,) float32, for values (..., T, H, W).

    The percentile of the absolute values that are not zero: over the whole clip (all T equal), or
    frame by frame. 0 where everything is zero.
    """
    if scale not in ("clip", "frame"):
        raise ShapeError(f"scale must be 'clip' or 'frame', got {scale!r}")
    strength = np.abs(np.moveaxis(values, -3, 0)).reshape(values.shape[-3], -1)
    if scale == "clip":
        return np.full(len(strength), _bound(strength, percentile), dtype=np.float32)
    return np.array([_bound(row, percentile) for row in strength], dtype=np.float32)


def _bound(strength: Floats, percentile: float) -> float:
    present = strength[strength > 0]
    # "higher" picks a value that occurs: of few values the largest, never one in between
    return float(np.percentile(present, percentile, method="higher")) if present.size else 0.0


def normalised(values: Floats, upper: npt.ArrayLike) -> Floats:
    """``values`` (..., T, H, W) over ``upper`` (scalar or (T,)), cut to -1..1; 0 where it is 0."""
    bound, count = floats(upper, "upper"), values.shape[-3]
    if bound.shape not in ((), (1,), (count,)) or not np.isfinite(bound).all():
        raise ShapeError(f"upper must be one finite number or one a frame, {count}")
    bound = np.broadcast_to(bound, (count,))[:, None, None]
    safe = np.where(bound > 0, bound, np.float32(1))
    return np.clip(np.where(bound > 0, values / safe, 0), -1, 1).astype(np.float32)


@checked(ShapeError, "upper")
def overlay(
    frames: Picture,
    att: Any,
    *,
    mode: Mode = "magnitude",
    scale: Scale = "clip",
    alpha: float = ALPHA,
    upper: npt.ArrayLike | None = None,
) -> Picture:
    """Frames with the attribution over them: the stronger, the more its colour covers the frame.

    Args:
        frames: (T, H, W, 3) uint8 RGB, the pixels the net saw (``cropped_frames``).
        att: Attribution, or array (3, T, H, W) or (T, H, W) of the same T, H, W.
        mode: "magnitude" (sequential map) or "signed" (diverging map).
        scale: "clip": one upper bound for all frames. "frame": each frame by its own; say so
            wherever the picture is shown.
        alpha: cover of the strongest pixels, 0..1.
        upper: the bound itself, scalar or (T,), in place of ``scale``: for several pictures on
            one scale.

    Returns:
        (T, H, W, 3) uint8 RGB.

    Raises:
        ShapeError: shapes that do not fit, or NaN in the attribution.
    """
    values = plane(att, mode)
    check_frames(frames, values.shape)
    if not 0 <= alpha <= 1:
        raise ShapeError(f"alpha must be 0 to 1, got {alpha}")
    level = normalised(values, scale_of(values, scale) if upper is None else upper)
    return blend(frames, level, mode, alpha)


def blend(frames: Picture, level: Floats, mode: Mode, alpha: float) -> Picture:
    """Lay levels (T, H, W), 0..1 or -1..1, over frames (T, H, W, 3)."""
    paint, keep = _paint(mode, alpha)
    share = level if mode == "magnitude" else np.float32(0.5) * (level + np.float32(1))
    made = np.empty(frames.shape, np.uint8)
    for one, frame, of in zip(made, frames, share, strict=True):  # what a processor's cache holds
        step = np.rint(of * np.float32(len(paint) - 1)).astype(np.intp)
        # The frame steps back, paler and darker, so that its own colours and lights are not taken
        # for the map's and weak values do not look like shadows.
        mixed = cv2.transform(frame.astype(np.float32), _STEP_BACK)
        mixed *= keep.take(step, axis=0)
        mixed += paint.take(step, axis=0)
        one[:] = np.rint(mixed, out=mixed)
    return made


_GRAY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_STEP_BACK = np.float32(0.7) * (0.4 * np.eye(3, dtype=np.float32) + np.float32(0.6) * _GRAY)


@functools.lru_cache(8)
def _paint(mode: Mode, alpha: float) -> tuple[Floats, Floats]:
    """The colour laid on and the share of the frame that stays, (4097, 3) each, by level.

    Sixteen steps for one of the colour map, and one of them is exactly the middle: 0 if signed.
    """
    share = np.linspace(0, 1, 16 * 256 + 1)
    table = colour_table(SEQUENTIAL if mode == "magnitude" else DIVERGING)
    strength = share if mode == "magnitude" else np.abs(2 * share - 1)
    cover = (alpha * strength**0.7)[:, None]
    paint = table[np.round(share * 255).astype(np.intp)] * cover
    return paint.astype(np.float32), np.repeat(1 - cover, 3, axis=1).astype(np.float32)


@checked(ShapeError, "upper")
def raw_frames(
    att: Any,
    *,
    scale: Scale = "clip",
    upper: npt.ArrayLike | None = None,
    channel_order: ChannelOrder = "RGB",
) -> Picture:
    """The back-projection itself as colour pictures around mid-grey, as in the paper's Figure 4.

    Args:
        att: Attribution or array (3, T, H, W), in the channel order of the net's input.
        channel_order: that order (``spec.input.channel_order``); "BGR" is turned round, so that
            the picture's colours are those of the clip.

    Returns:
        (T, H, W, 3) uint8 RGB; 128 is 0, 1 and 255 are minus and plus the upper bound.
    """
    values = values_of(att)
    if values.shape[0] == 1:
        values = np.repeat(values, 3, axis=0)
    if values.shape[0] != 3:
        raise ShapeError(f"a colour picture needs (3, T, H, W), got {values.shape}")
    if channel_order == "BGR":
        values = values[::-1]
    level = normalised(values, scale_of(values, scale) if upper is None else upper)
    level *= np.float32(127)
    level += np.float32(128)
    planes = np.rint(level, out=level).astype(np.uint8)
    _, count, height, width = planes.shape
    flat = [plane.reshape(count * height, width) for plane in planes]
    return np.asarray(cv2.merge(flat).reshape(count, height, width, 3), dtype=np.uint8)


def check_frames(frames: Picture, shape: tuple[int, ...] | None = None) -> None:
    """Raise ShapeError unless ``frames`` are uint8 RGB (T, H, W, 3) with T, H, W as ``shape``."""
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ShapeError(
            f"frames must be uint8 RGB (T, H, W, 3), got {frames.dtype} {frames.shape}"
        )
    if shape is not None and frames.shape[:3] != shape:
        raise ShapeError(
            f"frames {frames.shape[:3]} and map {shape} differ in (T, H, W); use the frames of "
            f"cropped_frames(), which are what the net saw"
        )
