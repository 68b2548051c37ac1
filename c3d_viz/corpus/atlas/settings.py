"""What an atlas is asked for, and which layers of a network that means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from ...arguments import check_fields
from ...engine import called_layers, groups_of, layers_without_relus, receptive_fields
from ...errors import LayerError, VizError
from ...methods import METHODS, settings_of
from ...nets import C3D, CONV_LAYERS, LAYERS, ModelSpec, ReceptiveField
from ...weights import NetworkChoice

MAX_TOP = 100
MAX_STRIDE = 1_000_000_000  # frames: a year of video


@dataclass(frozen=True)
class AtlasSettings:
    """What is looked for in each video.

    Attributes:
        layers: names; ``conv`` is every convolution (of C3D: after its ReLU), ``all`` the groups
            that ``c3d-viz layers`` prints.
        top: windows kept for each feature map, at most 100.
        stride: frames from one window's first to the next one's.
        per_video: how many of a feature map's windows may come from one video.
        method: how a window's strongest position is sent back to the pixels; key of METHODS.
        batch: windows computed at a time.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
    """

    network: NetworkChoice = field(default_factory=NetworkChoice)
    layers: tuple[str, ...] = ("conv",)
    top: int = 9
    stride: int = 8
    per_video: int = 1
    method: str = "deconvnet"
    batch: int = 8
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_fields(self, VizError)
        if not 1 <= self.top <= MAX_TOP:
            raise VizError(f"top must be 1 to {MAX_TOP} windows, got {self.top}")
        if not 1 <= self.per_video <= self.top:
            raise VizError(f"per_video must be 1 to top ({self.top}), got {self.per_video}")
        if not 1 <= self.stride <= MAX_STRIDE:
            raise VizError(f"stride must be 1 to {MAX_STRIDE:,} frames, got {self.stride}")
        if self.method not in METHODS:
            raise VizError(f"no method {self.method!r}; choose from {', '.join(METHODS)}")


def fields_of(
    net: nn.Module, spec: ModelSpec, settings: AtlasSettings
) -> dict[str, ReceptiveField | None]:
    """The receptive field of each layer that settings name; None where it sees the whole clip.

    A layer that is meant by ``conv`` or ``all`` and about which the method says nothing (a rule has
    no ReLU to hold at, a class activation map no layer to live on) is left out; one that is named
    itself is refused, and so are all of them.

    Raises:
        LayerError: no such layer.
        VizError: the method says nothing about a layer, or any.
    """
    shape = spec.input.shape
    names: list[str] = []
    for name in settings.layers:
        names += _meant_by(net, spec, name)
    names = list(dict.fromkeys(names))
    method, chosen = METHODS[settings.method], settings_of(settings.method)
    clip = torch.zeros(1, *shape).to(next(net.parameters(), torch.empty(0)))
    mute: dict[str, VizError] = {}
    if method.needs_relus and not isinstance(net, C3D):
        for name in layers_without_relus(net, clip, names):
            mute[name] = VizError(
                f"no ReLU lies between {name} and the clip: {settings.method} would be the plain "
                f"gradient; ask for --method gradient"
            )
    if method.check is not None:
        mute |= method.check(net, clip, names, chosen)
    for name, error in mute.items():
        if name in settings.layers or len(mute) == len(names):
            raise error
    names = [name for name in names if name not in mute]
    if not names:
        raise LayerError("no layer to look at: name one with --layer")
    return receptive_fields(net, shape, names)


def _meant_by(net: nn.Module, spec: ModelSpec, name: str) -> Sequence[str]:
    if name not in ("conv", "all"):
        return [name]
    if isinstance(net, C3D):
        return CONV_LAYERS if name == "conv" else LAYERS[: None if spec.num_classes else -1]
    called = called_layers(net, spec.input.shape)
    if name == "all":
        return groups_of(net, called)
    return [n for n in called if isinstance(net.get_submodule(n), nn.Conv3d)]
