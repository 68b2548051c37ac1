"""From a unit back to the pixels: listening to a network, ReLU rules, and the engines that walk."""

from .chain.boxes import Chain, chain_of, cut
from .chain.field import field_of
from .chain.forward import opened
from .chain.signals import pool_forward
from .chain.walk import Record, Walker, backproject_chain, forward
from .general import backproject
from .listen import check_input, check_recorded, eval_view, full_precision, recording
from .precision import Precision, bf16_share, settled
from .rules import RULES, BackProjection
from .tracing import Trace, activation, peak, top_units, trace
from .units import Unit, check_unit, locate

__all__ = [
    "RULES",
    "BackProjection",
    "Chain",
    "Precision",
    "Record",
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
    "cut",
    "eval_view",
    "field_of",
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
]
