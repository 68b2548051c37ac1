"""The export of the command, as a zip in the session's own folder."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from c3d_viz.export import export_clip
from c3d_viz.finding import make_figure
from c3d_viz.progress import Progress

from . import work

if TYPE_CHECKING:
    from .sessions import Session
    from .state import Shown


@dataclass(frozen=True)
class Wanted:
    """What goes into an export."""

    layers: tuple[str, ...]
    methods: tuple[str, ...]
    top: int
    channel: int | None
    at: tuple[int, ...] | None
    look: str


def make(shown: Shown, wanted: Wanted, folder: Path, report: Progress) -> tuple[Path, int]:
    """Run the export and pack it: the zip's path and how many files are in it.

    Stopped or failed, it leaves nothing behind.
    """
    place = Path(tempfile.mkdtemp(prefix="export-", dir=folder))
    try:
        clip = _clip(shown, place)
        out = place / "out"
        export_clip(
            clip,
            out,
            model=shown.net.spec.name,
            weights=shown.net.label if shown.net.path else None,
            layers=wanted.layers,
            methods=wanted.methods,
            top=wanted.top,
            channel=wanted.channel,
            at=wanted.at,
            start=shown.window.start,
            stride=shown.window.stride,
            mode=wanted.look,
            loaded=(shown.net.model, shown.net.spec),
            progress=report,
        )
        files = sorted(p for p in out.rglob("*") if p.is_file())
        target = place / "export.zip"
        with zipfile.ZipFile(target, "w") as archive:
            for number, file in enumerate(files):
                report(number, len(files), "packing")
                kind = (
                    zipfile.ZIP_STORED if file.suffix in (".mp4", ".png") else zipfile.ZIP_DEFLATED
                )
                archive.write(file, file.relative_to(out), kind, compresslevel=1)
            if clip.is_dir():  # a synthetic clip exists nowhere else
                for file in sorted(clip.iterdir()):
                    archive.write(file, Path(shown.source.shown) / file.name)
        shutil.rmtree(out)
        return target, len(files)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def figure(
    shown: Shown, layer: str, method: str, folder: Path, report: Progress
) -> list[tuple[str, bytes]]:
    """The paper's figure for the window: names and contents of its PNG, PDF and mp4."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        files = make_figure(
            _clip(shown, place),
            place / "out",
            layer=layer,
            method=method,
            model=shown.net.spec.name,
            weights=shown.net.path,
            start=shown.window.start,
            progress=report,
        )
        return [(f"figure-{layer}-{method}{file.suffix}", file.read_bytes()) for file in files]


def _clip(shown: Shown, place: Path) -> Path:
    """The clip under a name that says nothing of this machine's folders."""
    path = shown.source.path
    if path.is_dir():
        return path
    clip = place / f"clip{path.suffix}"
    try:
        os.link(path, clip)
    except OSError:  # another file system
        shutil.copyfile(path, clip)
    return clip


def discard(session: Session) -> None:
    """Remove finished exports: one at a time is kept."""
    for name in [n for n, job in session.jobs.items() if n.startswith("export ")]:
        job = session.jobs.pop(name)
        job.cancel()
        if job.state == "done":
            shutil.rmtree(job.result[0].parent, ignore_errors=True)


def command(shown: Shown, wanted: Wanted, weights: Sequence[str]) -> list[str] | None:
    """The words of the command line; None where no command gives this network.

    ``weights``: what it says beside ``--model`` of the weights.
    """
    words = ["c3d-viz", "export", shown.source.shown, "-o", "OUT"]
    for layer in wanted.layers:
        words += ["--layer", layer]
    for method in wanted.methods:
        words += ["--method", method]
    if wanted.channel is None:
        words += ["--top", str(wanted.top)]
    else:
        words += ["--channel", str(wanted.channel)]
        if wanted.at:
            words += ["--at", ",".join(map(str, wanted.at))]
    words += ["--start", str(shown.window.start), "--stride", str(shown.window.stride)]
    if shown.net.label == work.SHIPPED[work.UNTRAINED]:
        return None
    words += ["--model", shown.net.spec.name, *weights]
    if wanted.look != "magnitude":
        words += ["--mode", wanted.look]
    return words
