"""The folder of a preferred stimulus: films, the page, the numbers."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from ...files import write_json, write_npz
from ...nets import ModelSpec
from ...progress import Progress
from ...render import write_image, write_video
from ..folder import check_new, result_folder
from ..pieces import kept_beside
from .ascent import Preview
from .page import stimulus_page, strip
from .search import Stimuli, StimulusSettings, find_stimulus

FPS = 8.0


def write_stimulus(
    out: str | os.PathLike[str],
    settings: StimulusSettings,
    progress: Progress | None = None,
    preview: str | os.PathLike[str] | None = None,
) -> Stimuli:
    """Find what a channel prefers and write it to the new folder ``out``.

    ``stimulus.png`` the page, ``stimulus-1.mp4`` ... the films, ``untrained.mp4``, ``parts.mp4``
    (film, picture moved by the flow, picture alone, flow alone), ``answers.json``, ``films.npz``
    (frames, the climb, picture and flow), ``manifest.json``.

    Args:
        preview: a PNG of the film so far, written anew while it climbs.

    Raises:
        ExportError: ``out`` is in the way. VizError, LayerError, ClipError: settings that cannot be
            had, met before the climb; or a channel that gives no gradient.
    """
    folder = check_new(out)
    shown = None if preview is None else _shown(preview)
    with kept_beside(folder) as keep:
        found, spec = find_stimulus(settings, progress, preview=shown, keep=keep)
        _write(folder, settings, found, spec)
    return found


def _write(folder: Path, settings: StimulusSettings, found: Stimuli, spec: ModelSpec) -> None:
    parameters = {**dataclasses.asdict(settings), "network": settings.network.to_json()}
    title = f"{settings.layer} channel {settings.channel}: the stimulus it prefers"
    words = _words(settings)
    with result_folder(folder, words, settings.network, spec, parameters) as (place, _):
        write_image(
            place / "stimulus.png",
            stimulus_page(found.answers, title, spec.weights, stimulus_notes(settings, found)),
        )
        scale = max(1, round(336 / max(spec.input.crop)))
        for number, frames in enumerate(found.ascent.frames, start=1):
            write_video(place / f"stimulus-{number}.mp4", frames, FPS, scale=scale)
        parts = found.split
        four = (found.ascent.frames[0], parts.moved, parts.still, parts.flow_alone)
        write_video(place / "parts.mp4", np.concatenate(four, axis=2), FPS, scale=max(1, scale - 1))
        arrays: dict[str, Any] = {"films": found.ascent.frames, "climb": found.ascent.answers}
        arrays |= {"picture": parts.picture, "flow": parts.flow}
        if found.control is not None:
            write_video(place / "untrained.mp4", found.control.frames[0], FPS, scale=scale)
            arrays |= {"untrained": found.control.frames, "untrained_climb": found.control.answers}
        write_npz(place / "films.npz", arrays)
        rows = [{k: getattr(a, k) for k in ("name", "kind", "mean", "peak")} for a in found.answers]
        failed = found.failure is not None
        shares = {"explained": parts.explained, "explained_by_picture": parts.by_still}
        write_json(
            place / "answers.json", {"answers": rows, "climb_failed": failed, "split": shares}
        )


def _shown(path: str | os.PathLike[str]) -> Preview:
    return lambda frames: write_image(path, strip(frames))


def _words(settings: StimulusSettings) -> list[str]:
    words = ["units", "maximise", "--layer", settings.layer, "--channel", str(settings.channel)]
    words += [] if settings.jitter is None else ["--jitter", str(settings.jitter)]
    for name in ("films", "steps", "smoothness", "diversity", "device"):
        words += [f"--{name}", str(getattr(settings, name))]
    words += [] if settings.untrained else ["--no-untrained"]
    for clip in settings.clips:
        words += ["--clip", clip]
    return words


def stimulus_notes(settings: StimulusSettings, found: Stimuli) -> list[str]:
    """What has to stand under the pictures."""
    notes = [
        f"{settings.steps} steps of gradient ascent on the mean over the grid (below 0: a tenth); "
        f"smoothness {settings.smoothness:g}, diversity {settings.diversity:g}. A stimulus shows "
        f"what raises the answer, not what the channel is for; it is no clip of the world."
    ]
    if found.failure is not None:
        notes.append(f"THE CLIMB FAILED: {found.failure}.")
    if found.unfinished is not None:
        notes.append(f"The climb was not at its end: {found.unfinished}.")
    notes.append(
        "The best film is taken apart into one picture and the flow that moves it; how much of the "
        "film they are, and how much of the answer each keeps, stands beside them."
    )
    if found.control is not None:
        notes.append("The untrained network's answer is in that network's units and has no bar.")
    return notes
