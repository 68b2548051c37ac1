"""Whether a map may be believed: randomised weights, deletion and insertion."""

from .validity import (
    Faithfulness,
    Similarity,
    deletion_insertion,
    map_similarity,
    path_counts,
    permuted,
    randomised_top_down,
    reinitialised,
    ssim,
    weight_randomisation,
)

__all__ = [
    "Faithfulness",
    "Similarity",
    "deletion_insertion",
    "map_similarity",
    "path_counts",
    "permuted",
    "randomised_top_down",
    "reinitialised",
    "ssim",
    "weight_randomisation",
]
