"""Videos in pieces: a range of windows is a task, and a shard named by it.

Any process may do any piece: a long video is shared out, and one that is killed loses the piece
in work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..clips import WindowStream
from ..errors import ClipError, ExportError, VizError
from ..files import sha256
from .ray_engine import RayWorkers
from .shards import Shard
from .workers import Work, Workers


@dataclass(frozen=True)
class Video:
    """A video that can be opened: SHA-256 of its file or files, number of frames and windows.

    Attributes:
        cuts: the windows with which its pieces begin; the first is 0.
    """

    path: Path
    sha256: str
    frames: int
    windows: int
    cuts: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Piece:
    """Windows ``first`` to ``end - 1`` of a video, in the order of their first frames."""

    video: Video
    first: int
    end: int

    def file(self, parts: Path, key: str) -> Path:
        return parts / f"{key}-{self.video.sha256}-{self.first}-{self.end - 1}.parquet"


@dataclass(frozen=True)
class Scanned:
    """What became of many videos.

    Attributes:
        videos: those of which every piece is done, in order.
        pieces: of each, by SHA-256: in order, with their shards.
        wrong: why, of each of the others.
    """

    videos: list[Video]
    pieces: dict[str, dict[Piece, Shard]]
    wrong: dict[Path, str]


def video_of(path: Path, stream: WindowStream, length: int) -> Video:
    """A video whose windows are ``stream``, in pieces of ``length`` or more.

    Raises:
        ClipError: it cannot be read.
    """
    try:
        digest = sha256(path)
    except OSError as error:
        raise ClipError(f"{stream.label} cannot be read: {error.strerror or error}") from None
    return Video(path, digest, stream.frames, len(stream.starts), stream.cuts(length))


def pieces_of(video: Video) -> list[Piece]:
    ends = (*video.cuts[1:], video.windows)
    return [Piece(video, first, end) for first, end in zip(video.cuts, ends, strict=True)]


def scan_all(
    team: Workers | RayWorkers,
    probe: Work[Path, Video],
    scan: Work[Piece, Shard],
    found: Sequence[Path],
    opened: Callable[[Path, int], None],
    done: Callable[[Piece, int, int], None],
) -> Scanned:
    """Probe every video, then scan the pieces of all, equal files once, the longest pieces first.

    The last to be done are short, so that no process works on alone for long.

    Args:
        opened: told of each video that was probed, and how many were, unless there is one alone.
        done: told of each piece, with the number of all windows and of distinct videos.

    Raises:
        ExportError: a shard cannot be written.
    """
    videos: dict[Path, Video] = {}
    wrong: dict[Path, str] = {}
    for path, video in team.run(probe, found):
        if isinstance(video, VizError):
            wrong[path] = str(video)
        else:
            videos[path] = video
        if len(found) > 1:  # of a single one that is wrong a line says enough
            opened(path, len(videos) + len(wrong))
    distinct = {videos[path].sha256: videos[path] for path in reversed(found) if path in videos}
    pieces = [piece for video in reversed(distinct.values()) for piece in pieces_of(video)]
    windows = sum(video.windows for video in distinct.values())
    shards = dict[Piece, Shard]()
    for piece, shard in team.run(scan, sorted(pieces, key=lambda p: p.first - p.end)):
        if isinstance(shard, ExportError):
            raise shard
        if isinstance(shard, VizError):
            same = [p for p, v in videos.items() if v.sha256 == piece.video.sha256]
            wrong.update(dict.fromkeys(same, str(shard)))
        else:
            shards[piece] = shard
        done(piece, windows, len(distinct))
    whole = [videos[path] for path in found if path not in wrong]
    sums = {v.sha256: {p: shards[p] for p in pieces_of(distinct[v.sha256])} for v in whole}
    return Scanned(whole, sums, wrong)
