"""Volumes (CT, MRI, microscopy) for networks that take 1 x D x H x W: slices in place of frames."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arguments import checked, given
from ..errors import ClipError
from .frame import Frame
from .opening import PathLike, check_pixels, shown

Volume = npt.NDArray[np.float32]
_MIDDLE = (0.5, 99.5)  # percentiles: a metal implant is not to make all else black


@checked(ClipError)
def read_volume(path: PathLike) -> Volume:
    """A volume (1, D, H, W) float32 from a ``.npy`` file, or a NIfTI (``.nii``, ``.nii.gz``).

    Of NIfTI (extra ``volumes``) the axes are z, y, x as they lie in the file, unturned, and the
    values are those that its scaling says (Hounsfield units of a CT).

    Raises:
        ClipError: no such file, another kind or shape, damaged, or too large.
    """
    file, label = Path(path), shown(path)
    if not file.is_file():
        raise ClipError(f"{label} does not exist or is no file")
    name = file.name.lower()
    if not name.endswith((".npy", ".nii", ".nii.gz")):
        raise ClipError(f"{label} is no volume that is known; give a .npy, .nii or .nii.gz file")
    try:
        lazy = np.load(file, mmap_mode="r") if name.endswith(".npy") else _nifti(file)
        axes = _shape(lazy.shape, label)
        return np.ascontiguousarray(lazy, dtype=np.float32).reshape(1, *axes)
    except (ClipError, MemoryError):
        raise
    except Exception as error:  # what the readers raise for a damaged file is anything
        text = " ".join(str(error).split())[:160]
        raise ClipError(f"{label} cannot be read as a volume: {text}; save it again") from error


def volume_frames(
    volume: PathLike | npt.ArrayLike, window: tuple[float, float] | None = None
) -> Frame:
    """A volume's slices as pictures (D, H, W, 3) uint8, grey: what ``overlay`` and others draw on.

        volume = viz.read_volume("scan.nii.gz")                 # (1, D, H, W)
        x = torch.from_numpy((volume - mean) / std)[None]       # as the network was trained
        att = viz.attribute(net, x, viz.Unit("layer3", 7))      # (1, D, H, W)
        viz.write_video("scan.mp4", viz.overlay(viz.volume_frames(volume, (-160, 240)), att))

    Args:
        volume: file (see ``read_volume``), array or tensor (1, D, H, W) or (D, H, W).
        window: the values that are black and white; None is the 0.5th and 99.5th percentile.

    Raises:
        ClipError: another shape, nothing finite, or a window that is none.
    """
    if isinstance(volume, str | os.PathLike):
        volume = read_volume(volume)
    try:
        array: Any = volume.detach().cpu() if hasattr(volume, "detach") else volume
        values = np.asarray(array)
    except (TypeError, ValueError, RuntimeError):  # a ragged list, a nested tensor
        raise ClipError(f"a volume is an array of numbers, got {given(volume)}") from None
    if values.dtype.kind not in "buif":
        raise ClipError(f"a volume holds numbers, got {values.dtype}")
    values = values.reshape(_shape(values.shape, "the volume")).astype(np.float32)
    if window is None:
        finite = values[np.isfinite(values)]
        if not finite.size:
            raise ClipError("the volume holds no finite number")
        low, high = np.percentile(finite, _MIDDLE)
        high = max(high, low + 1e-6 * max(1.0, abs(low)))  # all the same: black
    else:
        try:
            low, high = map(float, window)
        except (TypeError, ValueError, OverflowError, RuntimeError):
            low = high = math.nan
        if not (math.isfinite(high - low) and low < high):
            raise ClipError(f"window must be two numbers, black before white, got {given(window)}")
    with np.errstate(invalid="ignore"):
        levels = np.clip((values - low) / (high - low) * 255, 0, 255)
    grey = np.nan_to_num(levels).round().astype(np.uint8)  # NaN is black
    return np.repeat(grey[..., None], 3, axis=3)


def _shape(shape: tuple[int, ...], label: str) -> tuple[int, ...]:
    """(D, H, W) of a volume with or without its one channel."""
    axes = tuple(int(n) for n in (shape[1:] if len(shape) == 4 and shape[0] == 1 else shape))
    if len(axes) != 3 or min(axes) < 1:
        raise ClipError(f"{label}: a volume is (1, D, H, W) or (D, H, W), this one is {shape}")
    check_pixels(label, axes[0], axes[2], axes[1])
    return axes


def _nifti(file: Path) -> Any:
    try:
        import nibabel
    except ImportError:
        raise ClipError(
            f"{shown(file)}: reading NIfTI needs nibabel; run: pip install 'c3d-viz[volumes]'"
        ) from None
    image: Any = nibabel.load(file)
    shape = image.shape
    while len(shape) > 3 and shape[-1] == 1:  # one point in time
        shape = shape[:-1]
    _shape(shape[::-1], shown(file))  # before anything of the stated size is read
    return np.asarray(image.dataobj, dtype=np.float32).reshape(shape).transpose(2, 1, 0)
