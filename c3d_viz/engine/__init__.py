"""From a unit back to the pixels: listening to a network, ReLU rules, and the engines that walk."""

from .chain.boxes import Chain, chain_of, cut
from .chain.field import field_of
from .chain.forward import opened
from .chain.signals import pool_forward
from .chain.walk import Record, Walker, backproject_chain, forward
from .flags import full_precision
from .general import backproject
from .listen import (
    check_input,
    check_recorded,
    eval_view,
    follows_clip,
    recording,
    undisturbed,
)
from .precision import Precision, bf16_share, settled
from .report import RuleReport, crossed, way
from .rules import RULES, BackProjection
from .tracing import Trace, activation, peak, top_units, trace
from .units import Unit, check_unit, locate

__all__ = [
    "RULES",
    "BackProjection",
    "Chain",
    "Precision",
    "Record",
    "RuleReport",
    "Trace",
    "Unit",
    "Walker",
    "activation",
    "backproject",
    "backproject_chain",
    "bf16_share",
    "chain_of",
    "check_input",
    "check_recorded",
    "check_unit",
    "crossed",
    "cut",
    "eval_view",
    "field_of",
    "follows_clip",
    "forward",
    "full_precision",
    "locate",
    "opened",
    "peak",
    "pool_forward",
    "recording",
    "settled",
    "top_units",
    "trace",
    "undisturbed",
    "way",
]
