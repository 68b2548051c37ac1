"""Whether a map may be believed. A file a check, with its formula and reference at the top."""

from .deletion import Faithfulness, deletion_insertion
from .paths import path_counts
from .randomisation import (
    Similarity,
    permuted,
    randomised_top_down,
    reinitialised,
    weight_randomisation,
)
from .similarity import map_similarity
from .structural import ssim
