""" "Appearance first, then motion": the figure, and a test that can fail.

The rule is docs/finding.md. ``measure`` turns clips and networks into numbers, ``judge`` those
into controls and a verdict, ``show`` draws them; ``study`` runs it all, and ``types`` holds what
the rule fixes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files import try_folder
from ..progress import Progress
from ..stats import Interval, bootstrap
from ..weights import NetworkChoice, choose
from .judge.verdict import decide, effect
from .measure.contrasts import contrast, parts
from .measure.curves import Curves, curves
from .measure.stimulus import Stimulus, stimulus
from .show.figure import make_figure
from .types import Control, Effect, Result, Verdict

PathLike = str | os.PathLike[str]


def run_test(
    paths: Sequence[PathLike],
    out: PathLike,
    *,
    reinit: int = 10,
    seed: int = 0,
    network: NetworkChoice | None = None,
    model: str = "compact",
    weights: PathLike | None = None,
    overrides: Mapping[str, Any] | None = None,
    twin: str | None = "compact-2d",
    twin_weights: PathLike | None = None,
    windows_per_video: int = 1,
    resume: bool = True,
    progress: Progress | None = None,
) -> Result:
    """The test of docs/finding.md on many clips: result.json, report.html and figures in ``out``.

    Args:
        paths: video files, folders of frames, or folders that hold several of either.
        out: folder for the results; made if missing. Finished work is kept in ``out/cache``.
        reinit: number of re-initialised networks; with fewer than 10 the verdict is inconclusive.
        seed: of the re-initialisations, permutations, synthetic clips and the bootstrap.
        network: the network itself; ``model, weights, overrides`` are those arguments of
            ``load_model`` in its place.
        twin: model name of the depth-1 twin, None to leave it out (its control is then open).
        twin_weights: its checkpoint; None takes the shipped one.
        windows_per_video: evenly spread windows of each video.
        resume: use finished work of an earlier run with the same settings.

    Raises:
        ExportError: ``out`` cannot be written to.
        FindingError: reinit, seed or windows_per_video out of its range.
        ClipError: a path cannot be read.
        WeightsError: a network cannot be loaded.
    """
    from .study import run
    from .types import StudySettings

    try_folder(out)
    settings = StudySettings(
        reinit=reinit,
        seed=seed,
        network=choose(network, model, weights, seed, **(overrides or {})),
        twin=twin,
        twin_weights=None if twin_weights is None else os.fspath(twin_weights),
        windows_per_video=windows_per_video,
    )
    return run([Path(p) for p in paths], Path(out), settings, resume=resume, progress=progress)
