"""What a network expects as input, and what its weights are. Plain data: no torch in here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ..arguments import given
from ..errors import ShapeError

ChannelOrder = Literal["RGB", "BGR"]
Layout = Literal["CTHW", "TCHW"]
Pool5 = Literal["ceil", "padded"]


_LONGEST = 4096  # of a side, and of a clip
_FAR = 1e6  # no mean, scale or deviation of pixels is larger, nor 1 / one of these


def _whole(value: object) -> int | None:
    """A whole number of pixels or frames, else None."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        return None
    return int(value) if 1 <= value <= _LONGEST else None


def _pair(value: object) -> tuple[int, int] | None:
    if not isinstance(value, tuple | list) or len(value) != 2:
        return None
    height, width = _whole(value[0]), _whole(value[1])
    return None if height is None or width is None else (height, width)


def _numbers(values: object) -> tuple[float, ...] | None:
    if not isinstance(values, tuple | list | np.ndarray):
        return None
    if any(isinstance(value, bool | np.bool_) for value in values):
        return None
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        return None
    return numbers if all(abs(number) <= _FAR for number in numbers) else None


@dataclass(frozen=True)
class InputSpec:
    """How frames become the input tensor: resize, crop, channels, mean, scale, deviation.

    The value of a pixel v (0-255) in channel c is ``(v - mean[c]) * scale / std[c]``. A network of
    one channel has one mean; v is then the pixel's luma (0.299 R + 0.587 G + 0.114 B, rounded).

    Attributes:
        channel_order: order of the channels of the tensor and of ``mean``.
        mean: per channel (3 or 1), 0-255 units, in ``channel_order``.
        scale: factor after the mean is taken off (the release uses 1).
        resize: ``(height, width)`` with the aspect ignored, or the length of the short side.
        crop: ``(height, width)`` of the centre crop.
        frames: number of frames T.
        mean_volume: (C, T, resize height, resize width) float32 in ``channel_order``, taken off
            before the crop in place of ``mean``; None for a mean per channel.
        std: standard deviation per channel, divided by, in the units of ``mean`` times ``scale``;
            None is 1.
        layout: "TCHW" where the network takes (N, T, C, H, W). ``load_model`` turns the axes of
            such a one by ``wrap``, so that clips and maps are (C, T, H, W) whatever stands here.
        stride: the network takes every n-th frame of a video.

    Raises:
        ShapeError: a field that is none of that; sides, frames and stride go from 1 to 4096.
    """

    channel_order: ChannelOrder = "BGR"
    mean: tuple[float, ...] = (90.25, 97.66, 101.41)
    scale: float = 1.0
    resize: tuple[int, int] | int = (128, 171)
    crop: tuple[int, int] = (112, 112)
    frames: int = 16
    mean_volume: npt.NDArray[np.float32] | None = dataclasses.field(
        default=None, repr=False, compare=False
    )
    std: tuple[float, ...] | None = None
    layout: Layout = "CTHW"
    stride: int = 1

    def __post_init__(self) -> None:
        short = _whole(self.resize)
        resize = (short,) if short is not None else _pair(self.resize)
        if resize is None:
            raise ShapeError(
                f"resize must be (height, width) or the short side, each 1 to {_LONGEST}, got "
                f"{given(self.resize)}"
            )
        crop, frames, stride = _pair(self.crop), _whole(self.frames), _whole(self.stride)
        if crop is None:
            raise ShapeError(
                f"crop must be (height, width), 1 to {_LONGEST}, got {given(self.crop)}"
            )
        if frames is None:
            raise ShapeError(
                f"frames must be a number from 1 to {_LONGEST}, got {given(self.frames)}"
            )
        if stride is None:
            raise ShapeError(
                f"stride must be a number from 1 to {_LONGEST}, got {given(self.stride)}"
            )
        order, layout = self.channel_order, self.layout
        if not isinstance(order, str) or order not in get_args(ChannelOrder):
            raise ShapeError(f"channel_order must be RGB or BGR, got {given(order)}")
        if not isinstance(layout, str) or layout not in get_args(Layout):
            raise ShapeError(f"layout must be CTHW or TCHW, got {given(layout)}")
        mean, scale = _numbers(self.mean), _numbers((self.scale,))
        if mean is None or len(mean) not in (1, 3):
            raise ShapeError(
                f"mean must be three numbers, one a channel, up to 1000000, or (M,) of a grey "
                f"network, got {given(self.mean)}"
            )
        std = None if self.std is None else _numbers(self.std)
        if self.std is not None and (std is None or len(std) != len(mean) or min(std) < 1 / _FAR):
            raise ShapeError(
                f"std must be {len(mean)} positive numbers, one a channel, 0.000001 to 1000000, "
                f"got {given(self.std)}"
            )
        if scale is None or abs(scale[0]) < 1 / _FAR:
            raise ShapeError(
                f"scale must be a number from 0.000001 to 1000000, got {given(self.scale)}"
            )
        for name, value in (
            ("resize", resize if short is None else short), ("crop", crop), ("frames", frames),
            ("mean", mean), ("scale", scale[0]), ("std", std), ("stride", stride),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    @property
    def channels(self) -> int:
        """3, or 1 for a network that takes grey pictures."""
        return len(self.mean)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(C, T, H, W) of the network's input."""
        return (self.channels, self.frames, *self.crop)

    def replace(self, **changes: object) -> InputSpec:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


# The authors' release: BGR, 171 x 128, crop 112, channel means of its mean volume.
CAFFE_INPUT = InputSpec()
# MMAction2's C3D: RGB, short side 128.
MMACTION_INPUT = InputSpec(channel_order="RGB", mean=(104.0, 117.0, 128.0), resize=128)
# torchvision's video networks, trained on Kinetics-400.
KINETICS_INPUT = InputSpec(
    channel_order="RGB",
    mean=(0.43216 * 255, 0.394666 * 255, 0.37645 * 255),
    scale=1 / 255,
    std=(0.22803, 0.22145, 0.216989),
)
# The weights shipped with the package (c3d_viz/weights/): RGB, scaled to about unit variance.
COMPACT_INPUT = InputSpec(channel_order="RGB", mean=(110.0, 110.0, 110.0), scale=1 / 60)


@dataclass(frozen=True)
class ModelSpec:
    """What a loaded model is. ``weights`` is written on every artefact.

    Attributes:
        name: key of the architecture: ``compact``, ``compact-2d`` or ``c3d``; or ``net.py:build``.
        weights: one line for people, e.g. ``compact: trained on procedural clips, 60 classes`` or
            ``random weights (seed 0), untrained``.
        trained: False for a seeded random network; callers must say so wherever maps are shown.
            None where nothing says: the network's own code gave the weights.
        input: preprocessing the weights expect.
        classes: names of the outputs, or None when the weights carry none.
        num_classes: length of the logits.
        pool5: form of pool5 (docs: "ceil" as the authors' release, "padded" as several ports).
        source: path or identifier of the checkpoint, None for random weights.
        sha256: hex digest of the checkpoint file, None for random weights.
        format: checkpoint format that was recognised, None for random weights.
        code_sha256: hex digest of the Python file with the factory, None for the named models.
    """

    name: str
    weights: str
    trained: bool | None
    input: InputSpec
    num_classes: int
    classes: tuple[str, ...] | None = None
    pool5: Pool5 = "ceil"
    source: str | None = None
    sha256: str | None = None
    format: str | None = None
    code_sha256: str | None = None

    @property
    def line(self) -> str:
        """Name and weights; the weights of a shipped network begin with its name."""
        head = f"{self.name}: "
        return head + self.weights.removeprefix(head)
