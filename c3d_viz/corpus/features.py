"""Descriptors of many videos as one Parquet file: resumable, and the same bytes each time."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..arguments import check_fields, checked
from ..clips import WindowStream
from ..engine import device_named
from ..errors import ExportError, VizError
from ..files import try_folder
from ..progress import Progress
from ..weights import NetworkChoice
from .descriptors import Describer, Sum, no_direction
from .identity import about, key_of
from .parts import clear, held
from .pieces import Piece, Video, scan_all, video_of
from .ray_engine import Cluster, RayWorkers, workers
from .shards import Batch, Entry, Shard, merge, notes_of, read_batches, read_shard, write_shard
from .videos import distinct_videos, list_failures, none_usable, text_of
from .workers import Workers

_SHARD = re.compile(r"[0-9a-f]{12}-[0-9a-f]{64}(-[0-9]+){2}\.parquet")


@dataclass(frozen=True)
class FeatureSettings:
    """What is computed of each video; ``describe`` says what the fields mean.

    Attributes:
        windows: a row for each window, its vector not normalised, in place of one for the video.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
    """

    network: NetworkChoice = field(default_factory=NetworkChoice)
    layer: str = "fc6"
    overlap: int | None = None
    windows: bool = False
    batch: int = 8
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_fields(self, VizError)


@dataclass(frozen=True)
class FeatureReport:
    """What became of a run.

    Attributes:
        videos: number of videos in the file.
        rows: its number of rows.
        failed: (path, why) of each video that is not in it.
        errors: the file that lists those, or None where there are none.
    """

    videos: int
    rows: int
    failed: tuple[tuple[str, str], ...]
    errors: Path | None


@checked(VizError)
def write_features(
    videos: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    settings: FeatureSettings | None = None,
    *,
    jobs: int = 1,
    cluster: Cluster | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FeatureReport:
    """Describe many videos and write a Parquet file with a row for each, or for each window.

    Columns: path, sha256, frames, windows (or start, of a window), vector (D float32), notes; rows
    in counting order of the paths. What was computed so far lies in ``<out>.parts``, a file for
    each piece of a video (64 windows or a few more) by its SHA-256; the same call goes on from
    there, and the last step removes it. A video that cannot be used is left out and listed in
    ``<out>.errors.jsonl``.

    Args:
        videos: video files, folders of frames, and folders of either; each file counts once.
        out: ends in ``.parquet``; its folder is made.
        jobs: processes, each with one thread; the file has the same bytes for any number. Above 1
            they are spawned: guard the calling script by ``if __name__ == "__main__"``.
        cluster: work there; every machine must see the videos and the folder of ``out`` under the
            same paths. ``jobs`` is then tasks at a time, 0 as many as it has processors.
        overwrite: replace a file of that name.
        progress: called with videos looked at, then windows done, their number, and what was done.

    Raises:
        ExportError: the file is in the way, or cannot be written.
        ClipError: a folder holds no videos, or none of all videos can be used.
        VizError: what ``load_model`` and ``describe`` raise of the network, layer and overlap.
    """
    settings = settings or FeatureSettings()
    found = distinct_videos(videos)
    run = _Run(Path(out), settings, overwrite)
    with held(run.parts):
        desk = run.settings, run.parts, run.key
        with workers(_Desk, desk, jobs, cluster, run.settings.device) as team:
            return _write(run, found, team, progress)


def _write(
    run: _Run, found: Sequence[Path], team: Workers | RayWorkers, progress: Progress | None
) -> FeatureReport:
    done = 0

    def tell(piece: Piece, windows: int, videos: int) -> None:
        nonlocal done
        done += piece.end - piece.first
        if progress is not None:
            what = f"windows of {videos} videos: {text_of(piece.video.path)}"
            progress(done, windows, what)

    def opened(path: Path, seen: int) -> None:
        if progress is not None:
            progress(seen, len(found), f"videos looked at: {text_of(path)}")

    scanned = scan_all(team, _probe, _scan, found, opened, tell)
    wrong = scanned.wrong
    for video in scanned.videos:
        if not any(shard.rows for shard in scanned.pieces[video.sha256].values()):
            wrong[video.path] = str(no_direction(text_of(video.path), run.settings.layer))
    videos = [video for video in scanned.videos if video.path not in wrong]
    failed = [(text_of(path), wrong[path]) for path in found if path in wrong]
    if not videos:
        raise none_usable(run.errors, failed)
    errors = list_failures(run.errors, failed)
    entries = (_entry(run, video, scanned.pieces[video.sha256]) for video in videos)
    number = "start" if run.settings.windows else "windows"
    rows = merge(run.out, entries, run.size, number, run.about)
    clear(run.parts, _SHARD)
    return FeatureReport(len(videos), rows, tuple(failed), errors)


def _entry(run: _Run, video: Video, pieces: dict[Piece, Shard]) -> Entry:
    """The rows of a video, put together from its pieces."""
    label, batches = text_of(video.path), read_batches(p.file(run.parts, run.key) for p in pieces)
    if not run.settings.windows:
        total = Sum(1)  # what a piece has is added up already
        for _, sums in batches:
            total.add(sums)
        batches = iter([([video.windows], total.direction(label, run.settings.layer)[None])])
    return Entry(label, video.sha256, video.frames, notes_of(pieces.values()), batches)


class _Run:
    """The network, what is said of it, and the files of one call."""

    def __init__(self, out: Path, settings: FeatureSettings, overwrite: bool) -> None:
        if out.suffix != ".parquet":
            raise ExportError(f"features are written as .parquet, got {str(out)!r}")
        self.out = out
        self.parts = out.with_name(f"{out.name}.parts")
        self.errors = out.with_name(f"{out.name}.errors.jsonl")
        self._check_places(overwrite)
        device = device_named(settings.device)
        model, spec = settings.network.load()
        describer = Describer(
            model.to(device), spec, settings.layer, settings.overlap, settings.batch
        )
        self.size = describer.size
        self.settings = dataclasses.replace(settings, overlap=describer.overlap)
        self.about = about(self.settings, model, spec)
        self.key = key_of(self.about)

    def _check_places(self, overwrite: bool) -> None:
        for place in (self.out, self.errors):
            try:
                folder = place.is_dir()
            except (OSError, ValueError) as error:  # a name too long, or with a NUL
                reason = getattr(error, "strerror", None) or error
                raise ExportError(f"cannot write {place}: {reason}; choose another name") from None
            if folder:
                raise ExportError(f"{place} is a folder; choose another name")
        if os.path.lexists(self.out) and not overwrite:
            raise ExportError(
                f"{self.out} exists already; replace it with --overwrite, or choose another name"
            )
        try_folder(self.out.parent)


class _Desk:
    """What a process has at hand: the network, loaded once, and where shards are kept."""

    def __init__(self, settings: FeatureSettings, parts: Path, key: str) -> None:
        model, spec = settings.network.load()
        self.describer = Describer(
            model.to(settings.device), spec, settings.layer, settings.overlap, settings.batch
        )
        self.settings, self.parts, self.key = settings, parts, key


def _probe(desk: _Desk, path: Path) -> Video:
    return video_of(path, desk.describer.stream(path), desk.describer.piece)


def _scan(desk: _Desk, piece: Piece) -> Shard:
    """The shard of a piece: its windows' vectors, or their sum; computed unless it is there."""
    file, size = piece.file(desk.parts, desk.key), desk.describer.size
    exact = not desk.settings.windows
    known = read_shard(file, size, exact=exact)
    if known is not None:
        return known
    stream = desk.describer.stream(piece.video.path, slice(piece.first, piece.end))
    facts: dict[str, Any] = {"frames": piece.video.frames, "windows": piece.video.windows}
    return write_shard(file, size, _vectors(desk, stream, facts), facts, exact=exact)


def _vectors(desk: _Desk, stream: WindowStream, facts: dict[str, Any]) -> Iterator[Batch]:
    total = Sum(desk.describer.piece)
    for answer in desk.describer.vectors(stream):
        if desk.settings.windows:
            yield stream.starts[total.count : total.count + len(answer)], answer
        total.add(answer)
    if not desk.settings.windows and total.total.any():  # a sum of zero is no row
        yield stream.starts[:1], total.total[None]
    facts["notes"], facts["flaws"] = stream.source_notes, stream.flaws
