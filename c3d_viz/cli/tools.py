"""The groups ``c3d-viz weights`` and ``c3d-viz finding``: parsing only, imports inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ClipArgument, ClipArguments, Network, Out, network_options, path_named, whole
from .progress import byte_progress, progress_bar, say

weights_app = typer.Typer(
    name="weights",
    help="Checkpoints: what a file is, and where to get one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
finding_app = typer.Typer(
    name="finding",
    help='"Appearance first, then motion": the figure and the test.',
    no_args_is_help=True,
    rich_markup_mode=None,
)


@weights_app.command(name="inspect")
def inspect_weights(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", parser=path_named, help="Checkpoint file.")
    ],
) -> None:
    """Say what a checkpoint is and whether it loads."""
    from ..errors import WeightsError
    from ..weights import format_report, inspect

    report = inspect(path)
    say(*format_report(report).split("\n"))
    if report.problems:
        raise WeightsError(f"{path}: does not load: {report.problems[0]}")


@weights_app.command(name="download")
def download_weights(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Published checkpoint.")] = "sports1m",
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="DIR", parser=path_named, help="Keep it in this folder."),
    ] = None,
) -> None:
    """Fetch a published checkpoint, resume a cut download, verify its hash."""
    from ..weights import download

    with byte_progress("download") as progress:
        path = download(name, cache_dir=cache, progress=progress)
    say(f"{path}", f"use it with: c3d-viz export CLIP -o OUT --model c3d --weights {path}")


@finding_app.command(name="figure")
@network_options
def finding_figure(
    *,
    clip: ClipArgument,
    out: Out,
    layer: Annotated[str, typer.Option("--layer", metavar="LAYER", help="Any conv layer.")] = (
        "conv5b"
    ),
    maps: Annotated[int, whole("--maps", metavar="N", help="Strongest feature maps.")] = 2,
    method: Annotated[
        str, typer.Option("--method", metavar="NAME", help="deconvnet, guided or gradient.")
    ] = "deconvnet",
    start: Annotated[
        int | None, whole("--start", metavar="N", help="First frame. [middle of the video]")
    ] = None,
    network: Network,
) -> None:
    """Draw the paper's Figure 4 for a clip: PNG, PDF and mp4."""
    from ..finding import make_figure

    with progress_bar("figure") as progress:
        files = make_figure(
            clip,
            out,
            layer=layer,
            maps=maps,
            method=method,
            start=start,
            network=network,
            progress=progress,
        )
    for file in files:
        say(str(file))


@finding_app.command(name="test")
@network_options
def finding_test(
    *,
    clips: ClipArguments,
    out: Out,
    reinit: Annotated[int, whole("--reinit", metavar="N", help="Re-initialised networks.")] = 10,
    windows: Annotated[int, whole("--windows", metavar="N", help="Windows of each video.")] = 1,
    network: Network,
    twin: Annotated[
        str, typer.Option("--twin", metavar="NAME", help="The 2D control; 'none' leaves it out.")
    ] = "compact-2d",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do not use finished work of an earlier run.")
    ] = False,
) -> None:
    """Test "appearance first, then motion" on many clips; docs/finding.md has the rule."""
    from ..finding import run_test

    with progress_bar("finding") as progress:
        result = run_test(
            clips,
            out,
            reinit=reinit,
            seed=network.seed,
            network=network,
            twin=None if twin == "none" else twin,
            windows_per_video=windows,
            resume=not fresh,
            progress=progress,
        )
    say(result.verdict.sentence)
    for reason in result.verdict.reasons:
        say(f"  {reason}")
    say(f"open {out / 'report.html'}")
