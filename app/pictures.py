"""Arrays to what a page can show: sprites and stills as data addresses."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
QUALITY = 88


def jpeg(image: Picture, quality: int = QUALITY) -> str:
    """Data address of an RGB picture (H, W, 3), as JPEG."""
    return _address(image, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality], "image/jpeg")


def png(image: Picture) -> str:
    """Data address of an RGB picture (H, W, 3), as PNG: for maps whose cells must stay exact."""
    return _address(image, ".png", [], "image/png")


def sprite(frames: Picture, height: int | None = None, quality: int = QUALITY) -> str:
    """Data address of frames (T, H, W, 3) side by side in one picture."""
    return jpeg(side_by_side(resized(frames, height) if height else frames), quality)


def side_by_side(frames: Picture) -> Picture:
    """(T, H, W, 3) -> (H, T * W, 3)."""
    return np.ascontiguousarray(np.concatenate(list(frames), axis=1))


def resized(frames: Picture, height: int) -> Picture:
    """Frames (T, H, W, 3) at another height, aspect kept."""
    width = max(2, round(frames.shape[2] * height / frames.shape[1]))
    method = cv2.INTER_AREA if height < frames.shape[1] else cv2.INTER_CUBIC
    made = [cv2.resize(f, (width, height), interpolation=method) for f in frames]
    return np.stack(made).astype(np.uint8)


def enlarged(values: npt.NDArray[np.float32], like: Picture) -> npt.NDArray[np.float32]:
    """A map (T, H, W) in the size of the frames ``like``, linear between its pixels."""
    size = like.shape[2], like.shape[1]
    made = [cv2.resize(v, size, interpolation=cv2.INTER_LINEAR) for v in values]
    return np.stack(made).astype(np.float32)


def watchable(fps: float, stride: int = 1) -> float:
    """Frames per second at which 16 frames can be followed: a third of the speed, 4 to 10."""
    return float(np.clip(fps / stride / 3, 4, 10))


def _address(image: Picture, suffix: str, options: list[int], kind: str) -> str:
    done, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:  # pragma: no cover - only for empty pictures
        raise ValueError(f"cannot encode a picture of shape {image.shape}")
    return f"data:{kind};base64,{base64.b64encode(data.tobytes()).decode()}"
