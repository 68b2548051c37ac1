"""Several clips -> a folder each, as ``export_clip`` makes it, and an index over them.

The tree::

    OUT/index.html       every clip, with a link to its page; those that could not be used, and why
    OUT/clips.json       the same for programs; both are written anew after each clip
    OUT/<clip>/          an export
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch

from .. import clips
from ..errors import ClipError, ExportError, LayerError, VizError, WeightsError, printable
from ..files import read_json, try_folder, write_json, write_text
from ..nets import ModelSpec
from ..progress import Progress
from .folder import MANIFEST, PAGE, check_folder
from .page import document, weights_line
from .plan import plan_of
from .run import write_export
from .settings import ExportSettings, check_settings

LIST = "clips.json"


@dataclass(frozen=True)
class ExportedClip:
    """One of several clips.

    Attributes:
        path: as it was found.
        folder: where its export is, or would be.
        error: why it could not be used; None where the export is whole.
    """

    path: Path
    folder: Path
    error: str | None = None


def export_clips(
    paths: Sequence[str | Path],
    out: str | Path,
    settings: ExportSettings | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    timings: dict[str, float] | None = None,
) -> list[ExportedClip]:
    """Export clips one by one with one loaded network; what cannot be read is listed and left out.

    Args:
        paths: videos, folders of frames, and folders of either, searched one level deep.
        out: folder that does not exist yet; see ``resume`` and ``overwrite``.
        settings: everything else; see ``export_clip``.
        resume: go on with the same call that was stopped: what is whole is verified and stays.
        overwrite: replace earlier exports of these clips; others in ``out`` are not touched.
        progress: called as (done, total, what) from this thread.
        timings: is filled with seconds by kind of work, of all clips together.

    Returns:
        The clips in the order of the index.

    Raises:
        ClipError: a folder holds no clips, or none of the clips can be used.
        WeightsError, LayerError, VizError: what was asked for cannot be had of any clip.
        ExportError: ``out`` is in the way or cannot be written.
    """
    settings, out = settings or ExportSettings(), Path(out)
    check_settings(settings)
    found = _places(paths, out)
    _check(out, found, resume=resume, overwrite=overwrite)
    net, spec = settings.network.load()
    net = net.to(torch.device(settings.device))  # nobody else has it
    plan = plan_of(net, spec, settings, progress)
    state = list(found)
    command = settings.command([str(path) for path in paths], str(out))
    for number, clip in enumerate(found):
        if any(before.error is None for before in state[:number]):  # else nothing is left behind
            _write(out, state[:number], len(found), spec, command)

        def tell(done: int, total: int, what: str, number: int = number) -> None:
            if progress is not None:
                name = printable(found[number].folder.name)
                at = f"{name} ({number + 1} of {len(found)})"
                share = 100 * number + 100 * done // max(1, total)
                progress(share, 100 * len(found), f"{at}: {what}")

        try:
            write_export(
                clip.path,
                clip.folder,
                settings,
                resume=resume,
                overwrite=overwrite,
                progress=tell,
                timings=timings,
                loaded=(net, spec),
                plan=plan,
            )
        except (ExportError, LayerError, WeightsError):
            raise
        except VizError as error:
            state[number] = dataclasses.replace(clip, error=str(error))
    errors = [clip.error for clip in state if clip.error is not None]
    if len(errors) == len(state):
        raise ClipError(f"none of {len(state)} clips can be used; the first: {errors[0]}")
    _write(out, state, len(found), spec, command)
    return state


def is_one_clip(paths: Sequence[str | Path]) -> bool:
    """Whether these paths are one clip, a file or a folder of its frames, and no folder of clips.

    Raises:
        ClipError: a folder that holds neither.
    """
    return len(paths) == 1 and clips.find_videos([Path(paths[0])])[0][1]


def _places(paths: Sequence[str | Path], out: Path) -> list[ExportedClip]:
    """Each clip once, with a folder whose name is its own."""
    places: dict[str, ExportedClip] = {}
    taken: set[str] = {PAGE, LIST}
    for path, _ in clips.find_videos([Path(path) for path in paths]):
        real = os.path.realpath(path)
        if real in places:
            continue
        stem = clips.clip_name(str(path))[:100]
        stem = f"clip{stem}" if stem.startswith(".") or not stem else stem
        name, count = stem, 1
        while name.casefold() in taken:
            count += 1
            name = f"{stem}-{count}"
        taken.add(name.casefold())
        places[real] = ExportedClip(path, out / name)
    return list(places.values())


def _check(out: Path, found: Sequence[ExportedClip], *, resume: bool, overwrite: bool) -> None:
    if resume and overwrite:
        raise ExportError("resume and overwrite exclude each other; choose one")
    if os.path.lexists(out):
        if not out.is_dir():
            raise ExportError(f"{out} is a file; choose a folder to export to")
        if not resume and not overwrite:
            raise ExportError(
                f"{out} exists already; go on with --resume, replace with --overwrite, or choose "
                f"another folder"
            )
        if any(out.iterdir()) and read_json(out / LIST) is None:
            raise ExportError(
                f"{out} holds other things than exports of several clips; choose another folder"
            )
    for clip in found:
        if clip.folder.is_symlink():
            raise ExportError(f"{clip.folder} is a link, which no export makes; remove it")
        if os.path.lexists(clip.folder):  # a damaged one of the last clip is met before the first
            check_folder(clip.folder, resume=resume, overwrite=overwrite)
        if overwrite and clip.path.resolve().is_relative_to(clip.folder.resolve()):
            raise ExportError(f"{clip.path} lies in {clip.folder}, which is to be replaced")
    try_folder(out)


def _write(
    out: Path, done: Sequence[ExportedClip], total: int, spec: ModelSpec, command: str
) -> None:
    entries = [
        {"path": str(clip.path), "folder": clip.folder.name, "error": clip.error} for clip in done
    ]
    about = {"clips": total, "model": spec.name, "weights": spec.weights, "command": command}
    write_json(out / LIST, {"schema": 1, **about, "done": entries})
    write_text(out / PAGE, _index(done, total, spec, command))


def _index(done: Sequence[ExportedClip], total: int, spec: ModelSpec, command: str) -> str:
    title = f"What {escape(spec.name)} sees in {total} clips"
    whole = [clip for clip in done if clip.error is None]
    state = f"{len(whole)} of {total} clips"
    if len(done) < total:
        state += "; not finished: the same command with <code>--resume</code> goes on"
    bad = "".join(
        f"<li>{escape(printable(str(clip.path)))}: {escape(clip.error)}</li>"
        for clip in done
        if clip.error is not None
    )
    body = [
        f"<header><h1>{title}</h1>{weights_line(spec.weights, spec.trained)}"
        f'<p class="facts">{state} · <a href="{LIST}">{LIST}</a></p></header>',
        f'<section class="layer"><div class="units">{"".join(map(_card, whole))}</div></section>',
        f'<section class="layer"><h2>Left out</h2><ul>{bad}</ul></section>' if bad else "",
        f"<footer><p>Made by</p><pre><code>{escape(command)}</code></pre></footer>",
    ]
    button = '<button type="button" id="play" aria-pressed="true">Pause videos</button>'
    return document(title, f'<nav aria-label="Clips">{button}</nav>\n', body)


def _card(clip: ExportedClip) -> str:
    manifest: dict[str, Any] = read_json(clip.folder / MANIFEST) or {}
    place, name = quote(clip.folder.name), escape(printable(clip.folder.name))
    video, facts = "", ""
    if manifest:
        window, about = manifest["windows"][0], manifest["clip"]
        frames = window["frames"]
        facts = (
            f"frames {frames[0]}-{frames[-1]} of {about['frames']}, "
            f"{about['width']} × {about['height']}"
        )
        video = (
            f'<video src="{place}/{quote(window["input"])}" loop muted playsinline controls '
            f'preload="metadata" aria-label="The frames of {name} that the network was given">'
            f"</video>"
        )
    return (
        f'<figure>{video}<figcaption><a href="{place}/{PAGE}"><strong>{name}</strong></a><br>'
        f"{facts}</figcaption></figure>"
    )
