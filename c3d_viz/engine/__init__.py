"""From a unit back to the pixels: listening to a network, ReLU rules, and the engines that walk."""

from .devices import device_named
from .fields import receptive_fields
from .flags import full_precision
from .general import backproject, layers_without_relus
from .graph.subproblem import Subproblem
from .listen import (
    check_input,
    check_recorded,
    eval_view,
    follows_clip,
    forward,
    recording,
    undisturbed,
)
from .passes import Pass, slow_layers
from .precision import Precision, bf16_share, settled
from .report import RuleReport, Way, crossed, way
from .rules import RULES, BackProjection
from .slices import sliced
from .survey import called_layers, groups_of, layer_tree, tree_text
from .threads import one_thread_each
from .tracing import Trace, activation, peak, top_units, trace
from .units import Unit, check_unit, locate
