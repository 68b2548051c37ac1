"""The command ``c3d-viz export``: parsing only, imports inside."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import (
    SKIPPED,
    ClipArguments,
    Device,
    Facts,
    Network,
    Out,
    Overwrite,
    Resume,
    network_options,
    whole,
    whole_numbers,
)
from .progress import progress_bar, say
from .shortfall import frames_taken, less_than_asked, noted, walked_by_autograd

_AT = "time,row,column as in 0,3,4, or mean, or sum"


@network_options
def export(
    *,
    clips: ClipArguments,
    out: Out,
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", metavar="LAYER", help="Repeatable; 'conv' is the eight. [all]"),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="deconvnet, guided, gradient, input_x_gradient, integrated_gradients, "
            "smoothgrad, smoothgrad_squared, gradcam, gradcam_time, gradcam_pp, layercam, "
            "guided_gradcam, occlusion or rise ('c3d-viz methods' tells them apart); repeatable. "
            "[deconvnet]",
        ),
    ] = None,
    top: Annotated[int, whole("--top", metavar="K", help="Strongest channels of each layer.")] = 4,
    channel: Annotated[
        list[int] | None,
        whole("--channel", metavar="N", help="This channel, not the strongest; repeatable."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="T,H,W",
            help="The channel's position, not its strongest; or mean, sum: all of the channel.",
        ),
    ] = None,
    start: Annotated[
        int | None,
        whole(
            "--start",
            metavar="N",
            help="First frame. [0; several windows: all over the video]",
        ),
    ] = None,
    stride: Annotated[
        int | None,
        whole("--stride", metavar="N", help="Take every n-th frame. [as the network does]"),
    ] = None,
    windows: Annotated[
        int, whole("--windows", metavar="N", help="So many windows over the whole video.")
    ] = 1,
    network: Network,
    mode: Annotated[
        str, typer.Option("--mode", metavar="MODE", help="Overlay: magnitude or signed.")
    ] = "magnitude",
    scale: Annotated[
        str, typer.Option("--scale", metavar="SCALE", help="Colour scale per clip or per frame.")
    ] = "clip",
    device: Device = "cpu",
    precision: Annotated[
        str, typer.Option("--precision", metavar="P", help="float32, or bf16: a faster preview.")
    ] = "float32",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="METHOD.NAME=VALUE",
            help="A method's setting, as in gradcam.layer=conv5b; repeatable.",
        ),
    ] = None,
    facts: Facts = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    timings: Annotated[bool, typer.Option("--timings", help="Say where the time went.")] = False,
) -> None:
    """Write what every layer sees in clips, as pictures, videos, arrays."""
    from ..export import ExportSettings, export_clip, export_clips, is_one_clip
    from ..files import read_json
    from ..methods import read_settings

    methods = method or ("deconvnet",)
    wanted: dict[str, Any] = {
        "network": network,
        "layers": layer or "all",
        "methods": methods,
        "settings": read_settings(settings or (), methods),
        "top": top,
        "channel": channel or None,
        "at": at if at is None or at in ("mean", "sum") else whole_numbers(at, "--at", _AT),
        "start": start,
        "stride": stride,
        "windows": windows,
        "mode": mode,
        "scale": scale,
        "device": device,
        "precision": precision,
        "facts": facts and str(facts),
    }
    spent: dict[str, float] = {}
    one = is_one_clip(clips)
    with progress_bar("export") as progress:
        how: Any = {"resume": resume, "overwrite": overwrite, "timings": spent}
        if one:
            manifest = export_clip(clips[0], out, progress=progress, **wanted, **how)
            lines = _about(read_json(manifest) or {})
            whole = [manifest]
        else:
            common = ExportSettings.of(**wanted, of_c3d=network.is_c3d)
            done = export_clips(clips, out, common, progress=progress, **how)
            lines = [f"left out: {clip.error}" for clip in done if clip.error is not None]
            whole = [clip.folder / "manifest.json" for clip in done if clip.error is None]
    if timings:
        for name, seconds in spent.items():
            say(f"{name:<30}{seconds:9.2f} s", err=True)
        say(*walked_by_autograd(network, read_json(whole[0]) or {}), err=True)
    say(*lines, *noted([read_json(manifest) or {} for manifest in whole]), err=True)
    say(f"open {out / 'index.html'}")
    if not one and lines:
        say(f"{len(lines)} of {len(done)} clips could not be used", err=True)
        raise typer.Exit(SKIPPED)


def _about(manifest: dict[str, Any]) -> list[str]:
    """What to say of an export that is done."""
    if "model" not in manifest:
        return []
    weights = f"weights in use: {manifest['model']['weights']}"
    return [weights, frames_taken(manifest), *less_than_asked(manifest)]
