"""Does OpenCV import here? Where libGL is missing, put the headless build in its place.

    python -m c3d_viz.setup_check

OpenCV's usual wheel links against libGL and libgthread, which slim servers and containers lack;
the headless wheel is the same library without windows, and c3d_viz opens no windows.
Standard library only: it has to run where the dependencies are broken.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable, Sequence

# What the loader says when a library of the screen is missing ("libGL.so.1: cannot open shared
# object file"); any other failure is not ours to repair.
_SCREEN_LIBRARIES = ("libGL", "libgthread", "libglib", "libSM", "libXext", "libX11", "libxcb")

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


def missing_screen_library(message: str) -> str | None:
    """Name of the screen library that an ImportError's text is about, or None.

    >>> missing_screen_library("libGL.so.1: cannot open shared object file: No such file")
    'libGL'
    """
    if "cannot open shared object" not in message:
        return None
    for name in _SCREEN_LIBRARIES:
        if name in message:
            return name
    return None


def check_opencv(run: Run | None = None, version: str | None = None) -> int:
    """Import cv2 in a fresh interpreter; replace the wheel if that is what it takes.

    Args:
        run: runs a command and returns the completed process with text output (tests pass one).
        version: installed version of opencv-python; None looks it up.

    Returns:
        0 when cv2 imports in the end, 1 with the reason printed otherwise.
    """
    run = run or _run
    probe = [sys.executable, "-c", "import cv2"]
    first = run(probe)
    if first.returncode == 0:
        return 0
    reason = (first.stderr.strip().splitlines() or ["no message"])[-1]
    library = missing_screen_library(first.stderr)
    if library is None:
        print(f"set-up: import cv2 fails: {reason}", flush=True)
        return 1
    version = version or _version()
    if version is None:
        print(f"set-up: import cv2 fails ({reason}) and opencv-python is not installed by pip")
        return 1
    print(
        f"set-up: this machine has no {library}, which opencv-python needs; putting "
        f"opencv-python-headless {version} in its place",
        flush=True,
    )
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    # Both wheels own the folder cv2, so the old one has to go before the new one comes.
    steps = (
        [*pip, "uninstall", "--quiet", "-y", "opencv-python", "opencv-python-headless"],
        [*pip, "install", "--quiet", "--no-deps", f"opencv-python-headless=={version}"],
        probe,
    )
    for step in steps:
        done = run(step)
        if done.returncode != 0:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
            print(f"set-up: {' '.join(step[1:])} failed: {lines[-1]}", flush=True)
            return 1
    print("set-up: opencv-python-headless works here", flush=True)
    return 0


def _version() -> str | None:
    for name in ("opencv-python", "opencv-python-headless"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    raise SystemExit(check_opencv())
