"""Tuning curves: responses to drifting patterns, against untrained networks (docs/units.md).

``sweep`` measures, ``measures`` reads indices off, ``compare`` holds them against the control,
``pictures`` draws, ``run`` writes the folder.
"""

from .compare import Comparison, compare
from .measures import Tuning, tuning_of
from .run import TuningSettings, write_tuning
from .sweep import (
    COARSE,
    DIRECTIONS,
    FULL,
    Clips,
    Condition,
    Grid,
    Responses,
    conditions,
    respond,
    sweep,
    untrained,
)
