"""The group ``c3d-viz units``: parsing only, imports inside."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Network, Out, network_options
from .progress import progress_bar, say

units_app = typer.Typer(
    name="units",
    help="What a unit responds to at all: kernels in motion.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@units_app.callback()
def _group() -> None:
    """What a unit responds to at all."""


@units_app.command(name="kernels")
@network_options
def units_kernels(
    *,
    out: Out,
    layer: Annotated[
        str | None,
        typer.Option("--layer", metavar="LAYER", help="A Conv3d over the pixels. [the first]"),
    ] = None,
    network: Network,
) -> None:
    """The first layer's kernels as films, and what each answers to."""
    from ..units import write_kernels

    with progress_bar("kernels") as progress:
        folder = write_kernels(network, out, layer=layer, progress=progress)
    say(f"open {folder / 'kernels.png'} and {folder / 'kernels.gif'}")
