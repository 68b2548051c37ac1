"""The export of the command, as a zip in the session's own folder."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c3d_viz.export import ExportSettings, write_export
from c3d_viz.finding import make_figure
from c3d_viz.progress import Progress

from . import measured

if TYPE_CHECKING:
    from .sessions import Session
    from .state import Shown


def settings(shown: Shown, **choices: Any) -> ExportSettings:
    """``ExportSettings`` of what is shown; ``choices`` are its layers, methods and maps."""
    return ExportSettings(
        shown.net.choice,
        start=shown.window.start,
        stride=shown.window.stride,
        facts=measured.file_for(shown.net),
        **choices,
    )


def command(shown: Shown, wanted: ExportSettings) -> str:
    """The command line that makes the same files."""
    return wanted.command(shown.source.shown, "OUT")


def make(shown: Shown, wanted: ExportSettings, folder: Path, report: Progress) -> tuple[Path, int]:
    """Run the export and pack it: the zip's path and how many files are in it.

    Stopped or failed, it leaves nothing behind.
    """
    place = Path(tempfile.mkdtemp(prefix="export-", dir=folder))
    try:
        clip = _clip(shown, place)
        out = place / "out"
        write_export(
            clip,
            out,
            wanted,
            called=shown.source.shown,
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
            loaded=(shown.net.model, shown.net.spec),
            called=shown.source.shown,
            start=shown.window.start,
            progress=report,
        )
        return [(f"figure-{layer}-{method}{file.suffix}", file.read_bytes()) for file in files]


def _clip(shown: Shown, place: Path) -> Path:
    """The clip where it stays until we are done with it, also when its person takes it away."""
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
