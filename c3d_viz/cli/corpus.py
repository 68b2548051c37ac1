"""The commands ``features``, ``atlas``, ``search``, ``map``: parsing only, imports inside."""

from __future__ import annotations

import functools
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import VizError
from .options import (
    SKIPPED,
    ClipArgument,
    ClipArguments,
    Device,
    Network,
    Out,
    Overwrite,
    network_options,
    path_named,
    some_there,
    whole,
)
from .progress import progress_bar, say

if TYPE_CHECKING:
    from ..corpus import Cluster

Batch = Annotated[int, whole("--batch", metavar="N", help="Windows computed at a time.")]
Jobs = Annotated[
    int | None,
    whole("--jobs", metavar="N", help="Processes. [one a core; on a GPU one]"),
]
Engine = Annotated[
    str, typer.Option("--engine", metavar="NAME", help="local: processes here; ray: a cluster.")
]
Address = Annotated[
    str | None,
    typer.Option("--address", metavar="HOST:PORT", help="Of a Ray cluster. [one on this machine]"),
]


def processors() -> int:
    """How many this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def begin_server() -> None:
    """Begin the server that processes are forks of, so that it imports while this one does."""
    if "forkserver" in multiprocessing.get_all_start_methods():
        from multiprocessing import forkserver

        forkserver.set_forkserver_preload(["c3d_viz.corpus"])
        forkserver.ensure_running()


def _server_ahead(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command that works in processes begin their server before it imports anything."""

    @functools.wraps(command)
    def run(**values: Any) -> None:
        some_there(values["clips"])
        local = values["device"] == "cpu" and values["engine"] == "local"
        if local and (values["jobs"] or processors()) > 1:
            begin_server()
        command(**values)

    return run


@_server_ahead
@network_options
def features(
    *,
    clips: ClipArguments,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FILE", parser=path_named, help="Parquet file to write."
        ),
    ],
    layer: Annotated[str, typer.Option("--layer", metavar="LAYER", help="Any layer.")] = "fc6",
    overlap: Annotated[
        int | None,
        whole("--overlap", metavar="N", help="Frames that neighbours share. [half a window]"),
    ] = None,
    windows: Annotated[
        bool, typer.Option("--windows", help="A row a window, not one a video.")
    ] = False,
    network: Network,
    batch: Batch = 8,
    device: Device = "cpu",
    jobs: Jobs = None,
    engine: Engine = "local",
    address: Address = None,
    overwrite: Overwrite = False,
) -> None:
    """Describe videos by vectors; the same command goes on after an interruption."""
    from ..corpus import FeatureSettings, write_features

    settings = FeatureSettings(network, layer, overlap, windows, batch, device)
    with progress_bar("features") as progress:
        report = write_features(
            clips,
            out,
            settings,
            jobs=_jobs(jobs, device, engine),
            cluster=_cluster(engine, address),
            overwrite=overwrite,
            progress=progress,
        )
    say(f"{out}: {report.rows} rows of {report.videos} videos")
    _say_failed(len(report.failed), report.videos, report.errors)


@_server_ahead
@network_options
def atlas(
    *,
    clips: ClipArguments,
    out: Out,
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", metavar="LAYER", help="Repeatable; also conv, all. [conv]"),
    ] = None,
    top: Annotated[int, whole("--top", metavar="K", help="Windows of each feature map.")] = 9,
    stride: Annotated[
        int, whole("--stride", metavar="N", help="Frames from window to window.")
    ] = 8,
    per_video: Annotated[
        int, whole("--per-video", metavar="N", help="At most so many of one video.")
    ] = 1,
    method: Annotated[
        str, typer.Option("--method", metavar="NAME", help="The way back to the pixels.")
    ] = "deconvnet",
    network: Network,
    batch: Batch = 8,
    device: Device = "cpu",
    jobs: Jobs = None,
    engine: Engine = "local",
    address: Address = None,
    share: Annotated[
        str, typer.Option("--share", metavar="K/N", help="Scan one of N shares, for a last run.")
    ] = "1/1",
    overwrite: Overwrite = False,
) -> None:
    """Show which videos each feature map answers to most, as a page."""
    from ..corpus import AtlasSettings, write_atlas

    layers = tuple(layer or ("conv",))
    settings = AtlasSettings(network, layers, top, stride, per_video, method, batch, device)
    with progress_bar("atlas") as progress:
        report = write_atlas(
            clips,
            out,
            settings,
            jobs=_jobs(jobs, device, engine),
            cluster=_cluster(engine, address),
            share=_share(share),
            overwrite=overwrite,
            progress=progress,
        )
    say(f"{report.windows} windows of {report.videos} videos")
    if report.page is not None:
        say(f"open {report.page}")
    errors = None if report.page is None else report.page.with_name("errors.jsonl")
    _say_failed(len(report.failed), report.videos, errors)


@network_options
def search(
    *,
    clip: ClipArgument,
    corpus: Annotated[
        Path,
        typer.Option(
            "--in", metavar="CORPUS", parser=path_named, help="Table of features, or an atlas."
        ),
    ],
    k: Annotated[int, whole("--k", metavar="K", help="So many, the nearest first.")] = 9,
    layer: Annotated[
        str | None, typer.Option("--layer", metavar="LAYER", help="Of an atlas. [its last]")
    ] = None,
    network: Network,
) -> None:
    """Find the windows or videos of a corpus that are most like a clip."""
    some_there([clip])
    from ..corpus import look_up

    with progress_bar("search") as progress:
        nearest = look_up(clip, corpus, network, k, layer=layer, progress=progress)
    for found in nearest:
        where = "" if found.start is None else f"  from frame {found.start}"
        where += "" if found.asked is None else f", as the clip from frame {found.asked}"
        say(f"{found.cosine:z.4f}  {found.path}{where}")


def map_(
    *,
    table: Annotated[
        Path,
        typer.Argument(metavar="FEATURES", parser=path_named, help="Table of c3d-viz features."),
    ],
    out: Out,
    k: Annotated[
        int | None, whole("--k", metavar="K", help="Neighbours of each video. [5, or all]")
    ] = None,
    classes: Annotated[
        bool, typer.Option("--classes", help="Folders name classes; test a linear SVM.")
    ] = False,
    group: Annotated[
        str | None,
        typer.Option("--group", metavar="REGEX", help="What names of one group share. [UCF101's]"),
    ] = None,
    seed: Annotated[
        int, whole("--seed", metavar="N", help="Seed of all chance, 0 to 2147483647.")
    ] = 0,
) -> None:
    """Draw a map of videos: nearest, PCA, t-SNE; classify them by folder."""
    from ..corpus import write_map

    own = {} if group is None else {"group": group}
    with progress_bar("map") as progress:
        report = write_map(table, out, k=k, classes=classes, seed=seed, progress=progress, **own)
    if (found := report.classified) is not None:
        say(
            f"{100 * found.accuracy:.1f} % of {sum(found.classes.values())} videos in "
            f"{len(found.classes)} classes named rightly by a linear SVM (chance "
            f"{100 * found.chance:.1f} %)"
        )
    say(f"open {report.page}")


def _jobs(asked: int | None, device: str, engine: str) -> int:
    if asked is not None:
        if asked < 1:
            raise VizError(f"--jobs must be at least 1 process, got {asked}")
        return asked
    return 0 if engine == "ray" else processors() if device == "cpu" else 1


def _cluster(engine: str, address: str | None) -> Cluster | None:
    from ..corpus import Cluster

    if engine not in ("local", "ray"):
        raise VizError(f"no engine {engine!r}; choose from local, ray")
    if engine == "local":
        if address is not None:
            raise VizError("--address is of a Ray cluster; give it with --engine ray")
        return None
    return Cluster(address)


def _share(text: str) -> tuple[int, int]:
    first, mark, count = text.partition("/")
    if not (mark and first.isdecimal() and count.isdecimal() and len(text) < 20):
        raise VizError(f"--share takes K/N as in 2/8, got {text!r}")
    return int(first), int(count)


def _say_failed(failed: int, used: int, errors: Path | None) -> None:
    if failed:
        why = ": the last run says why" if errors is None else f": {errors} says why"
        say(f"{failed} of {failed + used} videos could not be used{why}", err=True)
        raise typer.Exit(SKIPPED)
