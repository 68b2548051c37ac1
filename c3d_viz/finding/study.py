"""The whole test: windows, networks and controls in; numbers, pictures and a verdict out."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ..clips import preprocess_frames
from ..engine import top_units, trace
from ..nets import ModelSpec
from ..trust import weight_randomisation
from ..weights import load_model
from .analysis import analyse
from .controls import single_contrast
from .networks import TRAINED, TWIN, Networks, Recipe, digest, recipes
from .probe import LAYER, Arrays, measure, perturb
from .report import write_report
from .sharing import answers, paired_clips
from .statistics import DECIDING
from .types import Result, Study, StudySettings
from .windows import Window, frozen, real_windows, shuffled, synthetic_windows
from .work import Piece, Progress, do

#: Raised when a definition changes, so that no measurement of an older one is used again.
DEFINITION = 1


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
    model, spec = load_model(
        settings.model, settings.weights, seed=settings.seed, **settings.overrides
    )
    twin = (
        load_model(settings.twin, settings.twin_weights, seed=settings.seed)
        if settings.twin
        else None
    )
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


def plan(
    settings: StudySettings,
    networks: Networks,
    nets: Sequence[Recipe],
    windows: Sequence[Window],
    synthetic: Sequence[Window],
) -> list[Piece]:
    """Every piece of work, network by network, so that one network at a time is in memory."""
    reinits = [net for net in nets if net.kind == "reinit"]
    pieces: list[Piece] = []
    for net in nets:
        methods = (*DECIDING, "deconvnet") if net.kind == "trained" else DECIDING
        clips = list(windows)
        if net.kind == "trained" or net in reinits[: settings.synthetic_reinit]:
            clips += synthetic
        pieces += [_main(networks, net, window, methods) for window in clips]
        if net.kind == "trained":
            pieces += [_frozen(networks, net, window) for window in windows]
            pieces += [
                _randomised(networks, window, i, settings) for i, window in enumerate(windows)
            ]
        if net.kind in ("trained", "twin"):
            pieces.append(_shared(networks, net, settings))
        if net.kind == "trained":
            turns = [(i, range(settings.shuffles)) for i in range(len(windows))]
            perturbed = [*windows[:: settings.perturbed_every], *synthetic]
        elif net.kind == "reinit":
            k = reinits.index(net)
            mine = range(k, settings.shuffles, len(reinits))
            turns = [(i, mine) for i in range(len(windows))] if mine else []
            every = list(windows[:: settings.perturbed_every])
            perturbed = [w for i, w in enumerate(every) if i % len(reinits) == k]
        else:
            turns, perturbed = [], []
        pieces += [_shuffled(networks, net, windows[i], i, list(t), settings) for i, t in turns]
        pieces += [_perturbed(networks, net, window) for window in perturbed]
    return pieces


def _main(networks: Networks, net: Recipe, window: Window, methods: Sequence[str]) -> Piece:
    def work() -> Arrays:
        model, spec = networks.get(net)
        return measure(model, spec.input, window, methods)

    facts = (DEFINITION, *networks.facts(net), window.sha256, methods)
    what = f"{net.name}: {window.name}"
    return Piece(f"{net.name}--{window.name}", what, 8 * len(methods) + 4, facts, work)


def _frozen(networks: Networks, net: Recipe, window: Window) -> Piece:
    def work() -> Arrays:
        model, spec = networks.get(net)
        return measure(model, spec.input, frozen(window), DECIDING)

    facts = (DEFINITION, *networks.facts(net), window.sha256)
    return Piece(f"frozen--{window.name}", f"frozen: {window.name}", 20, facts, work)


def _shuffled(
    networks: Networks,
    net: Recipe,
    window: Window,
    number: int,
    turns: list[int],
    settings: StudySettings,
) -> Piece:
    """Mean C of the strongest unit over the permutations ``turns``; no reversal, one order each."""

    def work() -> Arrays:
        model, spec = networks.get(net)
        rows = []
        for turn in turns:
            clip = shuffled(window, (settings.seed, number, turn))
            arrays = measure(model, spec.input, clip, DECIDING, units=1, backward=False)
            rows.append([single_contrast(arrays, m) for m in range(len(DECIDING))])
        return {"C": np.asarray(rows), "turns": np.asarray(turns)}

    key = f"shuffled-{net.name}--{window.name}"
    facts = (DEFINITION, *networks.facts(net), window.sha256, settings.seed, number, turns)
    what = f"{net.name}, shuffled: {window.name}"
    return Piece(key, what, 5 * len(turns), facts, work)


def _randomised(networks: Networks, window: Window, number: int, settings: StudySettings) -> Piece:
    seed = 3000 + number + 100_000 * settings.seed

    def work() -> Arrays:
        x = preprocess_frames(window.frames, networks.spec.input)
        unit = top_units(trace(networks.trained, x, [LAYER]), LAYER, 1)[0]
        found = [
            weight_randomisation(networks.trained, x, unit, method, seed=seed)
            for method in DECIDING
        ]
        return {
            key: np.array([[getattr(s, key) for s in row] for row in found])
            for key in ("spearman", "beyond_paths", "ssim")
        }

    facts = (DEFINITION, *networks.facts(Recipe(TRAINED, "trained")), window.sha256, seed)
    return Piece(f"randomised--{window.name}", f"random layers: {window.name}", 46, facts, work)


def _perturbed(networks: Networks, net: Recipe, window: Window) -> Piece:
    def work() -> Arrays:
        model, spec = networks.get(net)
        return perturb(model, spec.input, window)

    facts = (DEFINITION, *networks.facts(net), window.sha256)
    what = f"{net.name}, perturbed: {window.name}"
    return Piece(f"perturbed-{net.name}--{window.name}", what, 76, facts, work)


def _shared(networks: Networks, net: Recipe, settings: StudySettings) -> Piece:
    def work() -> Arrays:
        model, spec = networks.get(net)
        return answers(model, spec.input, paired_clips(settings.pairs, 7 + settings.seed))

    facts = (DEFINITION, *networks.facts(net), settings.pairs, settings.seed)
    what = f"{net.name}: paired clips"
    return Piece(f"shared-{net.name}", what, 9 * settings.pairs, facts, work)
