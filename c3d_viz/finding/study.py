"""The whole test: windows, networks and controls in; numbers, pictures and a verdict out."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..errors import WeightsError
from ..nets import ModelSpec
from ..progress import Progress
from ..weights import MODELS, NetworkChoice
from ..work import do
from .judge.analysis import analyse
from .measure.networks import Networks, digest, recipes
from .measure.study import Study, plan
from .measure.windows import real_windows, synthetic_windows
from .show.report import write_report
from .types import TRAINED, TWIN, Result, StudySettings


def run(
    paths: Sequence[Path],
    out: Path,
    settings: StudySettings,
    *,
    resume: bool = True,
    progress: Progress | None = None,
) -> Result:
    """Measure, analyse, write. See :func:`c3d_viz.finding.run_test`."""
    began = time.monotonic()
    if not settings.network.is_c3d:
        raise WeightsError(
            f"{settings.network.model}: the test's rule was stated, before its result, for layers "
            f"and a 2D twin that C3D alone has; it takes {', '.join(MODELS)}"
        )
    model, spec = settings.network.load_c3d()
    twin = None
    if settings.twin is not None:
        twin = NetworkChoice(settings.twin, settings.twin_weights, settings.seed).load_c3d()
    windows, skipped = real_windows(paths, spec.input, settings.windows_per_video, progress)
    synthetic = synthetic_windows(settings.per_kind, settings.seed)
    nets = recipes(settings.reinit, settings.permuted_nets, settings.seed, twin is not None)
    networks = Networks(model, spec, twin)
    digests = {TRAINED: digest(model)}
    if twin is not None:
        digests[TWIN] = digest(twin[0])
    pieces = plan(settings, networks, nets, windows, synthetic)
    workers = min(4, os.cpu_count() or 1)
    measured = do(pieces, out / "cache", resume=resume, workers=workers, progress=progress)
    study = Study(settings, tuple(windows), tuple(synthetic), tuple(nets), measured)
    about: dict[str, object] = {
        "settings": asdict(settings),
        "model": _about(spec, digests[TRAINED]),
        "twin": _about(twin[1], digests[TWIN]) if twin is not None else None,
        "skipped": skipped,
        "seconds_of_measuring": sum(float(a["seconds"]) for a in measured.values()),
    }
    analysis = analyse(study, about)
    write_report(out, study, analysis, seconds=time.monotonic() - began)
    return Result(analysis.verdict.answer, analysis.verdict, out, analysis.data)


def _about(spec: ModelSpec, sha: str) -> dict[str, object]:
    return {
        "name": spec.name,
        "weights": spec.weights,
        "trained": spec.trained,
        "file_sha256": spec.sha256,
        "parameters_sha256": sha,
    }
