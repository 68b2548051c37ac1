"""One clip -> a folder with pictures, videos, arrays, a page to open and a manifest.

The tree (with several windows, ``window-0040/`` and so on come in between)::

    OUT/index.html                                  opens from disk
    OUT/manifest.json                               written last: every parameter and unit
    OUT/input.mp4                                   the pixels the network was given
    OUT/<layer>/activations.npz, activations.png    the layer's answer at its own resolution
    OUT/<layer>/<method>/sheet.png                  its strongest maps side by side
    OUT/<layer>/<method>/ch0012/{filmstrip.png, overlay.mp4, map.npz}
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .. import clips
from ..arguments import checked
from ..errors import ExportError
from ..files import sha256, write_text
from ..methods import Given
from ..nets import C3D, ModelSpec
from ..progress import Progress
from ..trust import lines_beside
from ..weights import NetworkChoice, choose
from . import page as export_page
from .draw import Window
from .folder import MANIFEST, PAGE, check_folder, finish, prepared
from .ledger import Ledger
from .plan import Plan, plan_of
from .settings import SCHEMA, ExportSettings, check_settings, describe_model, versions
from .window import answer, export_window
from .workers import Clock


@checked(ExportError)
def export_clip(
    path: str | Path,
    out: str | Path,
    *,
    network: NetworkChoice | None = None,
    model: str = "compact",
    weights: str | Path | None = None,
    channel_order: str | None = None,
    mean: str | Path | Sequence[float] | None = None,
    resize: int | Sequence[int] | None = None,
    pool5: str | None = None,
    fc6_order: str | None = None,
    classes: str | Path | None = None,
    layers: str | Sequence[str] = "all",
    methods: str | Sequence[str] = ("deconvnet",),
    top: int = 4,
    channel: int | Sequence[int] | None = None,
    at: Sequence[int] | str | None = None,
    start: int | None = None,
    stride: int | None = None,
    windows: int = 1,
    seed: int = 0,
    mode: str = "magnitude",
    scale: str = "clip",
    device: str = "cpu",
    precision: str = "float32",
    settings: Mapping[str, Given] | None = None,
    facts: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    timings: dict[str, float] | None = None,
    loaded: tuple[nn.Module, ModelSpec] | None = None,
) -> Path:
    """Write everything the chosen layers see in a clip to the folder ``out``.

    Args:
        path: video file or folder of frames.
        out: folder that does not exist yet (see ``resume`` and ``overwrite``).
        network: which network.
        model, weights, seed, channel_order, mean, resize, pool5, fc6_order, classes: as in
            ``load_model``, in place of ``network``.
        layers: names, ``"all"`` (every layer) or ``"conv"`` (the eight convolutions). Of other
            networks than C3D names of modules, "all" the children it calls, "conv" every Conv3d.
        methods: keys of METHODS.
        top: so many strongest channels of each layer.
        channel: these channels, at their strongest position, in place of the strongest.
        at: position (t, h, w) of ``channel`` in place of its strongest; or "mean" or "sum", the
            whole channel.
        start: first frame; None is 0, or with several windows all over the video.
        stride: every n-th frame; None is what the network takes, every one mostly.
        windows: so many windows, spread evenly from ``start`` to the end.
        mode, scale: how overlays are coloured (see ``overlay``); the arrays are not touched.
        device: "cpu" or "cuda[:N]".
        precision: "bf16" is a faster preview (see ``attribute``).
        settings: of the methods, as in ``{"gradcam": {"layer": "conv4b"}}`` (see ``attribute``).
        facts: facts.json of ``check`` on this very network, for what stands beside its maps; None:
            what ships, which is of the shipped networks.
        resume: go on with a stopped export of the same clip, network and settings; only what is
            missing is made. A folder that does not exist is begun.
        overwrite: replace an earlier export in ``out``; a folder of other things is never touched.
        progress: called as (done, total, what) from this thread.
        timings: is filled with seconds by kind of work.
        loaded: a network and its spec in place of all that ``load_model`` is given.

    Returns:
        Path of ``manifest.json``, which is written last.

    Raises:
        ClipError, WeightsError, LayerError, VizError: what was asked for cannot be had; nothing
            has been written then.
        ExportError: ``out`` is in the way, holds another export, or cannot be written.
    """
    choice = choose(
        network,
        model,
        weights,
        seed,
        channel_order=channel_order,
        mean=mean,
        resize=resize,
        pool5=pool5,
        fc6_order=fc6_order,
        classes=classes,
    )
    wanted = ExportSettings.of(
        choice,
        layers,
        methods,
        channel,
        at,
        of_c3d=choice.is_c3d if loaded is None else isinstance(loaded[0], C3D),
        top=top,
        start=start,
        stride=stride,
        windows=windows,
        mode=mode,
        scale=scale,
        device=device,
        precision=precision,
        settings=settings,
        facts=None if facts is None else str(facts),
    )
    return write_export(
        Path(path),
        Path(out),
        wanted,
        resume=resume,
        overwrite=overwrite,
        progress=progress,
        timings=timings,
        loaded=loaded,
    )


def write_export(
    path: Path,
    folder: Path,
    settings: ExportSettings,
    *,
    called: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    timings: dict[str, float] | None = None,
    loaded: tuple[nn.Module, ModelSpec] | None = None,
    plan: Plan | None = None,
) -> Path:
    """``export_clip`` with its choices as one value.

    Args:
        plan: what ``plan_of`` gave for this network and these settings, if it is there already.
        called: what pictures, page, manifest and command call the clip in place of ``path``, for a
            file that lies here under another name; the command then exports to OUT.
    """
    check_settings(settings)
    check_folder(folder, resume=resume, overwrite=overwrite)
    if overwrite and path.resolve().is_relative_to(folder.resolve()):
        raise ExportError(
            f"{path} lies in {folder}, which is to be replaced; export to another folder"
        )
    clock = Clock(timings)

    with clock("load the network"):
        info = clips.video_info(path)
        net, spec = loaded or settings.network.load()
        if any(p.device.type != torch.device(settings.device).type for p in net.parameters()):
            net = copy.deepcopy(net).to(torch.device(settings.device))  # the caller's stays put
    frames, stride = spec.input.frames, settings.stride or spec.input.stride
    settings = dataclasses.replace(settings, stride=stride)
    with clock("read the clip"):
        starts = [settings.start or 0]
        if settings.windows > 1:
            starts = clips.window_starts(
                info.frames, frames, stride, settings.windows, settings.start or 0
            )
        source = called or str(path)
        reader = (
            dataclasses.replace(clip, source=source)
            for clip in clips.read_clips(path, starts, frames, stride)
        )
        first = next(reader)  # a clip that cannot be read leaves nothing behind
    with clock("plan"):
        plan = plan or plan_of(net, spec, settings, progress)
        made_again = settings
        settings = dataclasses.replace(settings, layers=plan.layers)
        if isinstance(net, C3D):
            made_again = settings

    ledger = Ledger(folder)

    def window(clip: clips.Clip) -> Window:
        name = "." if len(starts) == 1 else f"window-{clip.start:04d}"
        return Window(net, spec, clip, folder / name, name, settings, plan, ledger)

    answers = answer(window(first), clock)  # units that do not exist leave nothing behind either
    with clock("hashes"):
        manifest: dict[str, Any] = {
            "schema": SCHEMA,
            "parameters": settings.to_json(),
            "command": made_again.command(source, "OUT" if called else str(folder)),
            "clip": {
                "path": source,
                "name": first.name,
                "sha256": sha256(path),
                "frames": info.frames,
                "fps": info.fps,
                "width": info.width,
                "height": info.height,
                "notes": list(info.notes),
            },
            "model": describe_model(net, spec),
            "versions": versions(),
            **({"left_out": plan.layers_left_out} if plan.layers_left_out else {}),
            "trust": lines_beside(plan.facts, plan.layers, settings.methods),
        }
    steps = _Steps(progress, len(starts) * answers.steps(settings, plan))
    if progress is not None and len(starts) < settings.windows:
        progress(0, steps.total, f"{len(starts)} windows, the video has no room for more")
    with prepared(ledger, manifest, resume=resume, overwrite=overwrite) as finished:
        if finished:
            return folder / MANIFEST
        manifest["windows"] = []
        try:
            for clip in _chain(first, reader, clock):
                current = window(clip)
                if clip is not first:
                    answers = answer(current, clock)
                manifest["windows"].append(export_window(current, answers, steps, clock))
            with clock("page and manifest"):
                text = export_page.page(manifest)
                ledger.write(folder / PAGE, lambda path: write_text(path, text))
                return finish(ledger, manifest)
        except ExportError as error:
            raise ExportError(f"{error}; what is finished is whole: go on with --resume") from None


def _chain(
    first: clips.Clip, rest: Iterator[clips.Clip], clock: Callable[[str], Any]
) -> Iterator[clips.Clip]:
    """The windows one by one; the next is decoded while the caller works on this one."""
    with ThreadPoolExecutor(1, thread_name_prefix="c3d-viz-read") as reader:
        coming = reader.submit(next, rest, None)
        yield first
        while True:
            with clock("waiting for the clip"):
                clip = coming.result()
            if clip is None:
                return
            coming = reader.submit(next, rest, None)
            yield clip


class _Steps:
    """Counts steps and passes them on to the caller's progress."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, what: str) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total, what)

    def within(self, what: str) -> None:
        """Says how far the step is that comes next; it may be one of many passes."""
        if self.progress is not None:
            self.progress(self.done, self.total, what)
