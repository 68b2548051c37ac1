"""What a user may override about a checkpoint: the input, its mean file, the class names."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import ShapeError, WeightsError, printable
from ..nets import INPUT_SHAPE, ChannelOrder, InputSpec, Layout
from . import files
from .caffe import read_binaryproto
from .readers import read_npy

_FIELDS = ("channel_order", "mean", "std", "scale", "resize", "crop", "frames", "layout", "stride")
_MAX_NAMES = 1024**2  # bytes of a class list; Sports-1M's has 7 kB


def override_input(
    spec: InputSpec,
    *,
    channel_order: ChannelOrder | None = None,
    mean: str | Path | Sequence[float] | None = None,
    scale: float | None = None,
    resize: int | tuple[int, int] | None = None,
    crop: tuple[int, int] | None = None,
    std: Sequence[float] | None = None,
    frames: int | None = None,
    layout: Layout | None = None,
    stride: int | None = None,
    of_c3d: bool = True,
) -> InputSpec:
    """``spec`` with the given fields replaced and checked; None leaves a field as it is.

    A mean file is a volume (3, 16, height, width) taken off before the crop; its size must be
    the resize. Its channels are taken in the order they are stored, whatever ``channel_order``.
    A C3D (``of_c3d``) takes three channels of 16 x 112 x 112 and nothing else, at any stride.

    Raises:
        WeightsError: a value that no preprocessing can use.
    """
    changes: dict[str, object] = {}
    if channel_order is not None:
        if channel_order not in ("RGB", "BGR"):
            raise WeightsError(f"channel_order must be RGB or BGR, got {_short(channel_order)}")
        changes["channel_order"] = channel_order
    if scale is not None:
        factor = _numbers([scale])
        if not (factor and np.isfinite(factor[0]) and factor[0] > 0):
            raise WeightsError(f"scale must be a positive number, got {_short(scale)}")
        changes["scale"] = factor[0]
    if crop is not None:
        if of_c3d and _numbers(crop) != list(INPUT_SHAPE[2:]):
            raise WeightsError(
                f"crop must be (112, 112), which C3D's fc6 fixes; got {_short(crop)}"
            )
        changes["crop"] = tuple(crop) if isinstance(crop, list | tuple) else crop
    if resize is not None:
        changes["resize"] = _resize(resize) if of_c3d else resize
    if isinstance(mean, str | Path):
        volume = read_mean(Path(mean))
        size = changes.get("resize", spec.resize)
        if volume.shape[2:] != size:
            raise WeightsError(
                f"{mean}: the mean is {volume.shape[2]} x {volume.shape[3]} (height x width) but "
                f"frames are resized to {size}; pass resize=({volume.shape[2]}, {volume.shape[3]})"
                f" if the weights expect that"
            )
        changes["mean_volume"] = volume
        b, g, r = (float(m) for m in volume.mean(axis=(1, 2, 3)))
        changes["mean"] = (b, g, r)
    elif mean is not None:
        changes["mean"] = _three(mean) if of_c3d else mean
        changes["mean_volume"] = None
    others = {"std": std, "frames": frames, "layout": layout, "stride": stride}
    changes.update({name: value for name, value in others.items() if value is not None})
    try:
        changed = spec.replace(**changes)
    except ShapeError as error:
        raise WeightsError(str(error)) from None
    if of_c3d and (changed.frames, changed.layout) != (INPUT_SHAPE[1], "CTHW"):
        raise WeightsError(
            f"C3D takes {INPUT_SHAPE[1]} frames as CTHW, got {changed.frames} as {changed.layout}"
        )
    return changed


def read_input(path: Path, spec: InputSpec, *, of_c3d: bool = True) -> InputSpec:
    """``spec`` with the fields that a TOML file states, named as those of ``InputSpec``.

    Raises:
        WeightsError: no such file, no TOML, a field there is not, or a value that cannot be meant.
    """
    files.check_file(path, _MAX_NAMES, "TOML file of an input")
    with files.open_checked(path) as file:
        data: bytes = file.read()
    try:
        fields = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: is no TOML ({files.one_line(error)})") from None
    if unknown := sorted(fields.keys() - set(_FIELDS)):
        raise WeightsError(
            f"{path}: no field {unknown[0][:80]!r} of an input; there are {', '.join(_FIELDS)}"
        )
    try:
        stated = spec.replace(mean_volume=None if "mean" in fields else spec.mean_volume, **fields)
    except ShapeError as error:
        raise WeightsError(f"{path}: {error}") from None
    if of_c3d and (stated.shape != INPUT_SHAPE or stated.layout != "CTHW"):
        raise WeightsError(
            f"{path}: states an input of {stated.shape}, C3D takes {INPUT_SHAPE} as CTHW"
        )
    return stated


def read_mean(path: str | Path) -> npt.NDArray[np.float32]:
    """A mean volume (3, 16, height, width) float32 from ``.npy`` or Caffe's ``.binaryproto``.

    The kind is told from the content. The release's volumes are BGR, 128 x 171 or 128 x 128.

    Raises:
        WeightsError: missing, damaged, of another shape, or not in 0-255.
    """
    path = files.named(path)
    files.check_file(path, what="mean file")
    with files.open_checked(path) as file:
        is_npy = file.read(6) == b"\x93NUMPY"
    array = read_npy(path) if is_npy else read_binaryproto(path)
    if array.ndim == 5 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 4 or array.shape[:2] != INPUT_SHAPE[:2] or min(array.shape[2:]) < 112:
        raise WeightsError(
            f"{path}: a mean volume is (3, 16, height, width) with at least 112 x 112 pixels, "
            f"this one is {array.shape}; for a mean per channel pass three numbers"
        )
    if not bool(np.isfinite(array).all()) or array.min() < 0 or array.max() > 255:
        raise WeightsError(f"{path}: a mean volume has values 0-255; this one does not")
    return np.ascontiguousarray(array, dtype=np.float32)


def read_classes(classes: str | Path | Sequence[str], count: int) -> tuple[str, ...]:
    """Class names from a text file (one a line) or a sequence, exactly ``count`` of them.

    Raises:
        WeightsError: the file cannot be read as text, or another number of names.
    """
    if isinstance(classes, str | Path):
        path = Path(classes)
        files.check_file(path, _MAX_NAMES, "file of class names")
        with files.open_checked(path) as file:
            data: bytes = file.read()
        try:
            lines = data.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise WeightsError(f"{path}: class names must be UTF-8 text, one a line") from None
        names = [line.strip() for line in lines if line.strip()]
        what = str(path)
    else:
        names, what = [str(name) for name in classes], "classes"
    if len(names) != count:
        raise WeightsError(
            f"{what}: has {len(names)} class names, the weights have {count} classes"
        )
    return tuple(map(printable, names))


def _resize(resize: int | tuple[int, int]) -> int | tuple[int, int]:
    sides = _numbers((resize,) if isinstance(resize, int) else resize)
    if len(sides) not in (1, 2) or not all(
        INPUT_SHAPE[2] <= side <= 4096 and side == int(side) for side in sides
    ):
        raise WeightsError(
            f"resize must be (height, width) or the short side, each 112 to 4096, got "
            f"{_short(resize)}"
        )
    whole = [int(side) for side in sides]
    return (whole[0], whole[1]) if len(whole) == 2 else whole[0]


def _three(mean: Sequence[float]) -> tuple[float, float, float]:
    values = _numbers(mean)
    if len(values) != 3 or not all(0 <= value <= 255 for value in values):
        raise WeightsError(f"mean must be three numbers 0-255 or a file, got {_short(mean)}")
    return (values[0], values[1], values[2])


def _numbers(values: object) -> list[float]:
    """Values as numbers; none for what is no list of numbers (bytes and truth values are none)."""
    try:
        listed = [] if isinstance(values, bytes) else list(values)  # type: ignore[call-overload]
        if any(isinstance(value, bool | np.bool_) for value in listed):
            return []
        return [float(value) for value in listed]
    except (TypeError, ValueError, OverflowError):
        return []


def _short(value: object) -> str:
    """A value for an error line (a number of 5,000 digits cannot even be written)."""
    try:
        return f"{value!r:.80}"
    except ValueError:
        return "a number of thousands of digits"
