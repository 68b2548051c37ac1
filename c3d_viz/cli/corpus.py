"""The command ``c3d-viz features``: parsing only, imports inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ClipArguments, Network, network_options, path_named
from .progress import progress_bar, say

SKIPPED = 3  # status where some videos were left out


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
        int, typer.Option("--overlap", metavar="N", help="Frames that neighbours share.")
    ] = 8,
    windows: Annotated[
        bool, typer.Option("--windows", help="A row a window, not one a video.")
    ] = False,
    network: Network,
    batch: Annotated[
        int, typer.Option("--batch", metavar="N", help="Windows computed at a time.")
    ] = 8,
    device: Annotated[
        str, typer.Option("--device", metavar="DEVICE", help="cpu, cuda or cuda:N.")
    ] = "cpu",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier one.")] = False,
) -> None:
    """Describe videos by vectors; the same command goes on after an interruption."""
    from ..corpus import FeatureSettings, write_features

    settings = FeatureSettings(network, layer, overlap, windows, batch, device)
    with progress_bar("features") as progress:
        report = write_features(clips, out, settings, overwrite=overwrite, progress=progress)
    say(f"{out}: {report.rows} rows of {report.videos} videos")
    if report.failed:
        many = f"{len(report.failed)} of {len(report.failed) + report.videos} videos"
        say(f"{many} could not be used: {report.errors} says why", err=True)
        raise typer.Exit(SKIPPED)
