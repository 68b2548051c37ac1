"""Statistics that several packages need, vectorised, on plain arrays: ranks, means, intervals."""

from .intervals import (
    LEVEL,
    RESAMPLES,
    Interval,
    bootstrap,
    cluster_means,
    expanded_level,
    mean_of_clusters,
    student_quantile,
)
from .moments import Floats, nanmean, pearson
from .ranks import (
    SAMPLE_STEP,
    blur_and_sample,
    correlation,
    is_constant,
    partial,
    partial_spearman,
    spearman,
    standard_ranks,
)
