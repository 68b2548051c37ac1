"""The command ``c3d-viz check``: parsing only, imports inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Network, Out, clip_named, network_options, whole
from .progress import progress_bar, say


@network_options
def check(
    *,
    clips: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="CLIPS...",
            parser=clip_named,
            help="Videos, frame folders (masks/ beside frames/), or folders of either.",
        ),
    ] = None,
    out: Out,
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", metavar="LAYER", help="Repeat. [the last convolution]"),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", metavar="NAME", help="Repeat. [all but those of many passes]"),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="CHECK", help="Repeat; of docs/trust.md. [all]"),
    ] = None,
    synthetic: Annotated[
        int, whole("--synthetic", metavar="N", help="Synthetic clips beside yours.")
    ] = 6,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do not use finished work of an earlier run.")
    ] = False,
    network: Network,
) -> None:
    """Check whether maps may be believed; docs/trust.md has the protocol."""
    from ..trust import CheckSettings, is_slow
    from ..trust import run_check as run

    settings = CheckSettings(
        network,
        layers=tuple(layer or ()),
        methods=tuple(method or ()),
        checks=tuple(only or ()),
        synthetic=synthetic,
        seed=network.seed,
    )
    for name in settings.methods:
        if is_slow(name):
            say(f"{name} takes many passes a map: this will be slow", err=True)
    with progress_bar("check") as progress:
        judged = run(clips or [], out, settings, resume=not fresh, progress=progress)
    if not judged.valid:
        say("INVALID: a positive control came out wrong; nothing can be relied on", err=True)
    for at, name in judged.sentences:
        say(f"{at}, {name}: {'; '.join(judged.said(at, name))}")
    say(f"open {out / 'report.html'}")
