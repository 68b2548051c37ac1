"""Networks: C3D by the names of its paper, what a network takes as input, its layers as a table."""

from .c3d import (
    C3D,
    CONV_LAYERS,
    INPUT_SHAPE,
    LAYERS,
    ReceptiveField,
    initialise,
    receptive_field,
    triple,
)
from .identity import fingerprint
from .layers import layer_module, layers_of, runs_in_order
from .names import nearest, unwrapped
from .spec import (
    CAFFE_INPUT,
    COMPACT_INPUT,
    KINETICS_INPUT,
    MMACTION_INPUT,
    ChannelOrder,
    InputSpec,
    Layout,
    ModelSpec,
    Pool5,
)
from .table import layer_table, table_text
from .wrapping import wrap
