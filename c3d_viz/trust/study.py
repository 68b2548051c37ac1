"""The whole check: networks, clips and methods in; a folder with numbers and a report out."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from ..arguments import check_fields, check_seed, checked
from ..engine import called_layers, check_recorded, top_units, trace
from ..errors import LayerError, VizError
from ..files import make_folder, try_folder, write_json, write_text
from ..methods import METHODS
from ..nets import C3D, CONV_LAYERS, ModelSpec, fingerprint
from ..progress import Progress
from ..weights import NetworkChoice
from ..work import Arrays, Piece, do
from .cases import Case, real_cases, synthetic_cases
from .checks import CHECKS, is_slow
from .controls import run_controls
from .facts import facts_of
from .judge import Judged, judge
from .report import write_report
from .subject import Subject

DEFINITION = 4  # raised when a number's definition changes: no older one is then used again
MAX_SYNTHETIC = 1000


@dataclass(frozen=True)
class CheckSettings:
    """What is checked.

    Attributes:
        network: which one.
        layers: names; empty: the last convolution.
        methods: keys of METHODS; empty: all but those of many passes.
        checks: keys of CHECKS; empty: all.
        synthetic: number of synthetic clips beside the given ones.
        seed: of all that is random.

    Raises:
        VizError: a name that there is not, or a number out of its range.
    """

    network: NetworkChoice = field(default_factory=NetworkChoice)
    layers: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    synthetic: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self, VizError)
        for what, given, known in (
            ("method", self.methods, METHODS),
            ("check", self.checks, CHECKS),
        ):
            for name in given:
                if name not in known:
                    raise VizError(f"no {what} {name!r}; there are {', '.join(known)}")
        if not 0 <= self.synthetic <= MAX_SYNTHETIC:
            raise VizError(f"synthetic clips: 0 to {MAX_SYNTHETIC}, got {self.synthetic}")
        check_seed(self.seed)


@dataclass(frozen=True)
class Row:
    """One number of the results."""

    case: str
    source: str
    synthetic: bool
    layer: str
    channel: int
    check: str
    method: str
    metric: str
    value: float
    why: str


@checked(VizError)
def check(
    model: nn.Module,
    clips: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    spec: ModelSpec,
    layers: Sequence[str] = (),
    methods: Sequence[str] = (),
    synthetic: int = 6,
    seed: int = 0,
    resume: bool = True,
    progress: Progress | None = None,
) -> Judged:
    """Check attribution methods on a network in Python; as ``c3d-viz check``, see ``run_check``.

    Args:
        model: any module, as ``load_model`` gives it; left as it was.
        clips, out, resume, progress: see ``run_check``.
        spec: what the model takes as input, and the names of its weights.
        layers, methods, synthetic, seed: see ``CheckSettings``.

    Raises:
        VizError: something of that cannot be used.
    """
    settings = CheckSettings(
        layers=tuple(layers), methods=tuple(methods), synthetic=synthetic, seed=seed
    )
    loaded = model, spec
    return run_check(clips, out, settings, loaded=loaded, resume=resume, progress=progress)


@checked(VizError)
def run_check(
    clips: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    settings: CheckSettings | None = None,
    *,
    loaded: tuple[nn.Module, ModelSpec] | None = None,
    resume: bool = True,
    progress: Progress | None = None,
) -> Judged:
    """Check methods on a network: report.html, results.csv, result.json, facts.json in ``out``.

    docs/trust.md has the protocol. Finished work lies in ``out/cache`` and is used again by the
    same call, so one that was killed goes on.

    Args:
        clips: videos, frame folders (with ``masks/`` beside ``frames/``), or folders of either; may
            be empty where there are synthetic clips.
        loaded: the network itself and its spec, in place of ``settings.network``.
        resume: use finished work.

    Raises:
        VizError: settings, clips, weights or ``out`` that cannot be used; nothing was written then.
    """
    began = time.monotonic()
    settings = settings or CheckSettings()
    try_folder(out)
    folder = Path(out)
    _refuse_foreign(folder)
    model, spec = loaded or settings.network.load()
    methods = settings.methods or tuple(name for name in METHODS if not is_slow(name))
    layers = settings.layers or default_layers(model, spec)
    real, skipped = real_cases([Path(clip) for clip in clips], spec.input, progress)
    cases = [*real, *synthetic_cases(settings.synthetic, spec.input, settings.seed)]
    if not cases:
        raise VizError("nothing to check on: name clips, or ask for synthetic ones")
    subjects = _subjects(model, spec, cases, layers, settings.seed, progress)
    pieces = _plan(subjects, methods, settings, fingerprint(model))
    controls = run_controls()
    make_folder(folder)
    workers = min(4, os.cpu_count() or 1)
    measured = do(pieces, folder / "cache", resume=resume, workers=workers, progress=progress)
    rows = _rows(subjects, measured)
    judged = judge(rows, methods, layers, controls)
    about = {
        "model": spec.name,
        "weights": spec.weights,
        "trained": spec.trained,
        "fingerprint": fingerprint(model),
        "settings": dataclasses.asdict(settings),
        "skipped": skipped,
        "cases": [
            {"name": c.name, "synthetic": c.synthetic, "masks": c.masks is not None} for c in cases
        ],
    }
    write_text(folder / "results.csv", _table(rows))
    write_json(folder / "facts.json", facts_of(judged, about))
    write_report(folder, judged, about, time.monotonic() - began)
    return judged


def _refuse_foreign(folder: Path) -> None:
    """Raise where a file of this name lies that no check has written."""
    if any((folder / "cache").glob("*@*@*.npz")):  # pieces of work, which come before all else
        return
    for name in ("results.csv", "facts.json", "result.json", "report.html", "cascade.png"):
        if (folder / name).exists():
            raise VizError(f"{folder} holds {name}, which no check made; choose another folder")


def default_layers(model: nn.Module, spec: ModelSpec) -> tuple[str, ...]:
    """The last convolution, by its name for ``trace``."""
    if isinstance(model, C3D):
        names = list(CONV_LAYERS)
    else:
        called = called_layers(model, spec.input.shape)
        modules = dict(model.named_modules())
        names = [n for n in called if isinstance(modules.get(n), nn.modules.conv._ConvNd)]
    if not names:
        raise LayerError(f"{spec.name} has no convolution; name the layers to check")
    return (names[-1],)


def _subjects(
    model: nn.Module,
    spec: ModelSpec,
    cases: Sequence[Case],
    layers: Sequence[str],
    seed: int,
    progress: Progress | None,
) -> list[Subject]:
    """The strongest unit of every layer in every case; one that does not answer is left out."""
    found = []
    for number, case in enumerate(cases):
        if progress is not None:
            progress(number, len(cases), f"finding units: {case.name}")
        blank = Subject(model, spec.input, case, None, 1, seed)  # type: ignore[arg-type]
        seen = trace(model, blank.x, list(layers))
        check_recorded(seen.activations, layers)
        for layer in layers:
            (unit,) = top_units(seen, layer, 1)
            shape = seen.activations[layer].shape
            steps = shape[1] if len(shape) > 1 else 1
            found.append(Subject(model, spec.input, case, unit, steps, seed))
    return found


def _plan(
    subjects: Sequence[Subject], methods: Sequence[str], settings: CheckSettings, network: str
) -> list[Piece]:
    pieces = []
    for name in settings.checks or tuple(CHECKS):
        _, cost = CHECKS[name]
        for subject in subjects:
            facts = (
                *(DEFINITION, name, tuple(methods), settings.seed, network),
                *(subject.case.sha256, repr(subject.spec), _volume(subject)),
                *(subject.unit.layer, subject.unit.channel, subject.unit.at),
            )
            pieces.append(
                Piece(
                    _key(name, subject),
                    f"{name}: {subject.case.name}, {subject.unit.layer}",
                    cost * len(methods),
                    facts,
                    partial(_run, name, subject, tuple(methods)),
                )
            )
    return pieces


def _key(check: str, subject: Subject) -> str:
    return f"{check}@{subject.case.name}@{subject.unit.layer}"


def _volume(subject: Subject) -> str:
    volume = subject.spec.mean_volume
    return "" if volume is None else hashlib.sha256(volume.tobytes()).hexdigest()


def _run(check: str, subject: Subject, methods: tuple[str, ...]) -> Arrays:
    numbers = list(CHECKS[check][0](subject, methods))
    return {
        "method": np.array([n.method for n in numbers], dtype=np.str_),
        "metric": np.array([n.metric for n in numbers], dtype=np.str_),
        "value": np.array([n.value for n in numbers], dtype=np.float64),
        "why": np.array([n.why for n in numbers], dtype=np.str_),
    }


def _rows(subjects: Sequence[Subject], measured: dict[str, Arrays]) -> list[Row]:
    rows = []
    for key, arrays in measured.items():
        name = key.split("@")[0]
        subject = next(s for s in subjects if _key(name, s) == key)
        case, unit = subject.case, subject.unit
        columns = (arrays[c].tolist() for c in ("method", "metric", "value", "why"))
        rows += [
            Row(case.name, case.source, case.synthetic, unit.layer, unit.channel, name, *values)
            for values in zip(*columns, strict=True)
        ]
    return rows


def _table(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in dataclasses.fields(Row))
    for row in rows:
        writer.writerow([*dataclasses.astuple(row)[:-2], f"{row.value:z.6g}", row.why])
    return text.getvalue()
