"""Rank statistics over maps, vectorised."""

from .ranks import (
    SAMPLE_STEP,
    Floats,
    blur_and_sample,
    correlation,
    is_constant,
    nanmean,
    partial,
    partial_spearman,
    spearman,
    standard_ranks,
)

__all__ = [
    "SAMPLE_STEP",
    "Floats",
    "blur_and_sample",
    "correlation",
    "is_constant",
    "nanmean",
    "partial",
    "partial_spearman",
    "spearman",
    "standard_ranks",
]
