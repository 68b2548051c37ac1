"""An atlas from many videos: scan them, find what each feature map answers to, draw it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...arguments import checked
from ...errors import VizError
from ...progress import Progress
from ..parts import clear, held
from ..ray_engine import Cluster
from ..videos import distinct_videos, none_usable, text_of
from .run import PARTS, Run
from .settings import AtlasSettings


@dataclass(frozen=True)
class AtlasReport:
    """What became of a run.

    Attributes:
        page: the page to open; None where only a share of the work was done.
        videos, windows: number of those that were scanned.
        failed: (path, why) of each video that was left out.
    """

    page: Path | None
    videos: int
    windows: int
    failed: tuple[tuple[str, str], ...]


@checked(VizError)
def write_atlas(
    videos: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    settings: AtlasSettings | None = None,
    *,
    jobs: int = 1,
    cluster: Cluster | None = None,
    share: tuple[int, int] = (1, 1),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> AtlasReport:
    """For every feature map of some layers, the windows of many videos it answers to most.

    What was done so far lies in ``<out>.parts``: files named by a hash of network and settings, the
    video's SHA-256 and the range of windows. Any number of calls, on any machines that share that
    folder, may add to it; the same call goes on from there, and the last step removes it.

    Args:
        videos: video files, folders of frames, and folders of either; equal files count once.
        out: a folder; it appears when the atlas is whole.
        jobs: processes on this machine, each with one thread. Above 1 they are spawned: guard the
            calling script by ``if __name__ == "__main__"``.
        cluster: work there; every machine must see the videos and the folder of ``out`` under the
            same paths. ``jobs`` is then tasks at a time, 0 as many as it has processors.
        share: (k, n) scans the k-th of n shares of the videos and makes no atlas; a last call
            without it puts everything together.
        overwrite: replace an atlas of that name.
        progress: called with steps done, about how many there are, and what was done last.

    Raises:
        ExportError: something is in the way, or cannot be written.
        ClipError: a folder holds no videos, or none of all videos can be used.
        LayerError: no such layer.
        VizError: a number out of range, or what ``load_model`` raises.
    """
    if not 1 <= share[0] <= share[1]:
        raise VizError(f"a share is K/N with K from 1 to N, as in 2/8, got {share[0]}/{share[1]}")
    found = distinct_videos(videos)[share[0] - 1 :: share[1]]
    run = Run(Path(out), settings or AtlasSettings(), jobs, cluster, overwrite, progress)
    with held(run.parts, shared=share[1] > 1), run.workers:
        whole, failed = run.scan(found)
        windows = sum(video.windows for video in whole)
        if share[1] > 1:
            return AtlasReport(None, len(whole), windows, tuple(failed))
        distinct = list({video.sha256: video for video in reversed(whole)}.values())[::-1]
        lost: dict[Path, str] = {}
        while True:
            if not distinct:
                gone_since = [(text_of(path), why) for path, why in lost.items()]
                raise none_usable(run.errors, [*failed, *gone_since])
            told = run.find(distinct)
            if not (gone := run.draw(told)):
                break
            lost |= gone  # since they were scanned
            distinct = [video for video in distinct if video.path not in lost]
        failed += [(text_of(path), why) for path, why in lost.items()]
        command = shlex.join(
            ["c3d-viz", "atlas", *(text_of(Path(v)) for v in videos), *run.options()]
        )
        page_file = run.write(told, failed, len(whole) - len(distinct) - len(lost), command)
        clear(run.parts, PARTS)
        windows = sum(video.windows for video in distinct)
        return AtlasReport(page_file, len(distinct), windows, tuple(failed))
