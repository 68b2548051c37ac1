"""The group ``c3d-viz units``: parsing only, imports inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import (
    Device,
    Network,
    Out,
    clip_named,
    network_options,
    path_named,
    real,
    whole,
)
from .progress import progress_bar, say

RealClips = Annotated[
    list[Path] | None,
    typer.Option(
        "--clip",
        metavar="CLIP",
        parser=clip_named,
        help="Real clip to compare; repeatable. [demo's]",
    ),
]
LibraryFolder = Annotated[
    Path | None,
    typer.Option(
        "--library",
        metavar="DIR",
        parser=path_named,
        help="Cut-outs and backgrounds. [shapes]",
    ),
]
Layers = Annotated[
    list[str] | None,
    typer.Option("--layer", metavar="LAYER", help="Repeatable. [C3D's convolutions]"),
]

units_app = typer.Typer(
    name="units",
    help="What a unit responds to at all: kernels, tuning, stimulus, concepts, static or dynamic.",
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


@units_app.command(name="tuning")
@network_options
def units_tuning(
    *,
    out: Out,
    layer: Layers = None,
    channel: Annotated[
        list[int] | None,
        whole(
            "--channel", metavar="N", help="Polar plot of this one; repeatable. [most selective]"
        ),
    ] = None,
    controls: Annotated[
        int, whole("--controls", metavar="N", help="Re-initialised networks; 0: none.")
    ] = 10,
    permuted: Annotated[
        int, whole("--permuted", metavar="N", help="Networks with shuffled weights too.")
    ] = 0,
    network: Network,
    device: Device = "cpu",
) -> None:
    """Direction and speed every channel of a layer prefers, against untrained networks."""
    from ..units import TuningSettings, write_tuning

    settings = TuningSettings(
        network, tuple(layer or ()), tuple(channel or ()), controls, permuted, device
    )
    with progress_bar("tuning") as progress:
        found = write_tuning(out, settings, progress)
    for name, indices in found.items():
        row = indices["direction_index"]
        say(
            f"{name}: {row.share:.0%} [{row.low:.0%}, {row.high:.0%}] of {row.channels} channels "
            f"beyond the untrained networks' 95 % in direction index: {row.answer}"
        )
    say(f"open {out / 'layers.png' if found else out}")


@units_app.command(name="maximise")
@network_options
def units_maximise(
    *,
    out: Out,
    layer: Annotated[str, typer.Option("--layer", metavar="LAYER", help="Any layer.")],
    channel: Annotated[int, whole("--channel", metavar="N", help="Channel of it.")],
    films: Annotated[int, whole("--films", metavar="N", help="Films, kept apart.")] = 2,
    steps: Annotated[int, whole("--steps", metavar="N", help="Steps of the climb.")] = 48,
    smoothness: Annotated[
        float,
        real("--smoothness", metavar="X", help="0: frames differ freely; 4: slow motion."),
    ] = 1.0,
    diversity: Annotated[
        float, real("--diversity", metavar="X", help="How far the films are kept apart.")
    ] = 0.5,
    jitter: Annotated[
        int | None,
        whole("--jitter", metavar="PIXELS", help="Moves at each step, at most. [side / 14]"),
    ] = None,
    untrained: Annotated[
        bool, typer.Option("--untrained/--no-untrained", help="An untrained network's beside it.")
    ] = True,
    clip: RealClips = None,
    preview: Annotated[
        Path | None,
        typer.Option(
            "--preview",
            metavar="PNG",
            parser=path_named,
            help="The film so far, while it climbs.",
        ),
    ] = None,
    network: Network,
    device: Device = "cpu",
) -> None:
    """A film a channel answers to strongly, found by gradient ascent."""
    from ..units import StimulusSettings, write_stimulus

    settings = StimulusSettings(
        network, layer, channel, films, steps, smoothness, diversity, jitter, untrained,
        tuple(str(path) for path in clip or ()), device,
    )  # fmt: skip
    with progress_bar("maximise") as progress:
        found = write_stimulus(out, settings, progress, preview)
    for answer in found.answers:
        say(f"{answer.name}: mean {answer.mean:z.3g}, peak {answer.peak:z.3g}")
    if found.failure is not None:
        say(f"the climb failed: {found.failure}", err=True)
    say(f"open {out / 'stimulus.png'}")


@units_app.command(name="concepts")
@network_options
def units_concepts(
    *,
    out: Out,
    layer: Layers = None,
    controls: Annotated[
        int, whole("--controls", metavar="N", help="Re-initialised networks; 0: none.")
    ] = 5,
    clips: Annotated[
        int, whole("--clips", metavar="N", help="For choices; as many to report.")
    ] = 40,
    library: LibraryFolder = None,
    network: Network,
    device: Device = "cpu",
) -> None:
    """Which labels of synthetic clips channels overlap, against untrained networks."""
    from ..units import ConceptSettings, write_concepts

    place = None if library is None else str(library)
    settings = ConceptSettings(network, tuple(layer or ()), controls, clips, place, device)
    with progress_bar("concepts") as progress:
        found = write_concepts(out, settings, progress)
    for name, (_, row) in found.items():
        if row.answer == "undefined":
            why = "nothing to compare with" if row.channels else "no channel answers"
            say(f"{name}: {row.channels} channels answer, median score {row.median:.3f}; {why}")
            continue
        share = f"{row.share:.0%} [{row.low:.0%}, {row.high:.0%}] of {row.channels} channels"
        say(f"{name}: {share} beyond the untrained networks' 95 %: {row.answer}")
    compared = (out / "layers.png").exists()
    say(f"open {out / 'layers.png' if compared else out}")


@units_app.command(name="dynamic")
@network_options
def units_dynamic(
    *,
    out: Out,
    layer: Layers = None,
    pairs: Annotated[
        int, whole("--pairs", metavar="N", help="Pairs of clips for each factor.")
    ] = 40,
    controls: Annotated[
        int, whole("--controls", metavar="N", help="Re-initialised networks; 0: none.")
    ] = 3,
    network: Network,
    device: Device = "cpu",
) -> None:
    """Which channels follow looks (static), which motion (dynamic), which both, by layer."""
    from ..units import SharingSettings, write_sharing

    settings = SharingSettings(network, tuple(layer or ()), pairs, controls, device)
    with progress_bar("dynamic") as progress:
        found = write_sharing(out, settings, progress)
    for name, row in found.items():
        said = ", ".join(f"{kind} {share:.0%}" for kind, share in row.share.items())
        say(f"{name}: {said}")
    say(f"open {out / 'layers.png'}")


@units_app.command(name="report")
@network_options
def units_report(
    *,
    out: Out,
    layer: Annotated[str, typer.Option("--layer", metavar="LAYER", help="Any layer.")],
    channel: Annotated[int, whole("--channel", metavar="N", help="Channel of it.")],
    controls: Annotated[
        int, whole("--controls", metavar="N", help="Untrained networks to compare with; 0: none.")
    ] = 2,
    steps: Annotated[int, whole("--steps", metavar="N", help="Steps of the climb.")] = 48,
    coarse: Annotated[
        bool,
        typer.Option("--coarse", help="Fewer speeds and wavelengths, sooner done."),
    ] = False,
    clip: RealClips = None,
    library: LibraryFolder = None,
    atlas: Annotated[
        Path | None,
        typer.Option(
            "--atlas",
            metavar="DIR",
            parser=path_named,
            help="Of this network: the clips it answers to.",
        ),
    ] = None,
    network: Network,
    device: Device = "cpu",
) -> None:
    """One page of one channel: stimulus, tuning, concept, and a sentence."""
    from ..units import ReportSettings, write_report

    settings = ReportSettings(
        network, layer, channel, controls, steps, tuple(str(path) for path in clip or ()),
        None if library is None else str(library), device, None if atlas is None else str(atlas),
        coarse,
    )  # fmt: skip
    loaded = network.load()
    seen = []
    if atlas is not None:
        from ..corpus import top_films

        seen = top_films(atlas, layer, channel, *loaded)
    with progress_bar("report") as progress:
        said = write_report(out, settings, progress, loaded=loaded, seen=seen)
    say(said)
    say(f"open {out / 'index.html'}")
