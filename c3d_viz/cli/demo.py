"""The demonstration: two real clips, every convolution, one folder with a page each."""

from __future__ import annotations

from pathlib import Path

from ..clips import demo_clips
from ..export import export_clip
from ..progress import Progress

LAYERS = ("conv1a", "conv2a", "conv3b", "conv4b", "conv5b")


def run_demo(
    out: str | Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Export both clips below ``out``; returns the two pages to open.

    Raises:
        ClipError: the clips are not there.
        ExportError: ``out`` holds a demo already (see ``overwrite`` and ``resume``).
    """
    pages = []
    clips = demo_clips()
    for number, (path, start) in enumerate(clips):

        def shown(done: int, total: int, what: str, number: int = number) -> None:
            if progress is not None:  # both clips take the same number of steps
                name = clips[number][0].stem
                progress(number * total + done, len(clips) * total, f"{name}: {what}")

        manifest = export_clip(
            path,
            Path(out) / path.stem,
            layers=LAYERS,
            methods=("deconvnet", "guided"),
            start=start,
            overwrite=overwrite,
            resume=resume,
            progress=shown,
        )
        pages.append(manifest.with_name("index.html").resolve())
    return pages
