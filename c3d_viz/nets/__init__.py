"""Networks: C3D by the names of its paper, what a network takes as input, its layers as a table."""

from .c3d import C3D, CONV_LAYERS, INPUT_SHAPE, LAYERS, initialise, layer_module, receptive_field
from .names import nearest, unwrapped
from .spec import (
    CAFFE_INPUT,
    COMPACT_INPUT,
    MMACTION_INPUT,
    ChannelOrder,
    InputSpec,
    ModelSpec,
    Pool5,
)
from .table import layer_table, table_text

__all__ = [
    "C3D",
    "CAFFE_INPUT",
    "COMPACT_INPUT",
    "CONV_LAYERS",
    "INPUT_SHAPE",
    "LAYERS",
    "MMACTION_INPUT",
    "ChannelOrder",
    "InputSpec",
    "ModelSpec",
    "Pool5",
    "initialise",
    "layer_module",
    "layer_table",
    "nearest",
    "receptive_field",
    "table_text",
    "unwrapped",
]
