"""Whether a map may be believed. A file a check, with its formula and reference at the top."""

from .baselines import BASELINES
from .cases import Case, real_cases, synthetic_cases
from .checks import CHECKS, is_slow
from .controls import ControlResult, run_controls
from .deletion import (
    FILLINGS,
    Faithfulness,
    average_drop,
    deletion_insertion,
    faithfulness,
    importance_of,
)
from .facts import Facts, facts_for, lines_beside, read_facts, shipped_facts
from .judge import Judged, Summary
from .localisation import Localisation, localisation
from .paths import path_counts
from .perturbation import MotionSpecificity, little_changes, motion_specificity, stability
from .randomisation import (
    Similarity,
    permuted,
    randomised_top_down,
    reinitialised,
    weight_randomisation,
)
from .sensitivity import infidelity, max_sensitivity
from .similarity import map_similarity
from .structural import ssim
from .study import CheckSettings, check, default_layers, run_check
