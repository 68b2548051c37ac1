"""A network that answers at once, as a factory, for tests that need many answers."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from c3d_viz.nets import InputSpec
from c3d_viz.weights import NetworkChoice

SMALL_INPUT = InputSpec(
    channel_order="RGB", mean=(110, 110, 110), scale=1 / 60, resize=(24, 32), crop=(20, 20)
)


def build() -> tuple[nn.Module, InputSpec]:
    layers = {
        "conv1a": nn.Conv3d(3, 6, 3, padding=1),
        "relu1a": nn.ReLU(inplace=True),
        "conv2a": nn.Conv3d(6, 5, 3, stride=2),
    }
    return nn.Sequential(OrderedDict(layers)), SMALL_INPUT


SMALL_NET = NetworkChoice(f"{__file__}:build")
