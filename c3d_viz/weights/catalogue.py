"""The named models and their sizes where no file says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from ..nets import CAFFE_INPUT, COMPACT_INPUT, KINETICS_INPUT, InputSpec

MAX_CLASSES = 100_000


@dataclass(frozen=True)
class Architecture:
    """Sizes of a named model (see ``C3D``) and the input it takes by default."""

    width: int
    fc: int
    temporal_depths: tuple[int, int, int, int, int]
    num_classes: int
    input: InputSpec


MODELS: dict[str, Architecture] = {
    "compact": Architecture(16, 512, (3, 3, 3, 3, 3), 60, COMPACT_INPUT),
    "compact-2d": Architecture(16, 512, (1, 1, 1, 1, 1), 60, COMPACT_INPUT),
    "c3d": Architecture(64, 4096, (3, 3, 3, 3, 3), 487, CAFFE_INPUT),
}

# torchvision's video networks (extra "torchvision"), as they take clips; see ``kinetics``
VIDEO_NETS: dict[str, InputSpec] = {
    "r3d_18": KINETICS_INPUT,
    "mc3_18": KINETICS_INPUT,
    "r2plus1d_18": KINETICS_INPUT,
    "s3d": KINETICS_INPUT.replace(resize=(256, 256), crop=(224, 224)),
}
