"""The folder of a preferred stimulus: films, the page, the numbers."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ...clips import video_info
from ...engine import Unit, check_unit, device_named
from ...errors import VizError
from ...files import write_json, write_npz
from ...nets import ModelSpec
from ...progress import Progress
from ...render import write_image, write_video
from ...weights import NetworkChoice
from ..folder import check_new, result_folder
from ..tuning import untrained
from .ascent import Ascent, Preview, climb
from .layer import Reader
from .page import stimulus_page, strip
from .rivals import Answer, answer_to, rivals
from .split import Split, split
from .video import FourierVideo

UNTRAINED_SEED = 1000
FPS = 8.0
_LIMITS = {"steps": (1, 10_000), "films": (1, 16), "jitter": (0, 64)}


@dataclass(frozen=True)
class StimulusSettings:
    """What is asked for.

    Attributes:
        network: which. layer, channel: of it.
        films: how many, kept apart by ``diversity`` (0 and up).
        steps: of the climb. jitter: pixels a film is moved at most at each step.
        smoothness: see ``FourierVideo``; 0 lets every frame differ, 4 is slow.
        untrained: climb the same channel of an untrained network too.
        clips: real clips to hold it against; empty takes the demonstration's.
        device: "cpu" or "cuda[:N]".
    """

    network: NetworkChoice
    layer: str
    channel: int
    films: int = 2
    steps: int = 48
    smoothness: float = 1.0
    diversity: float = 0.5
    jitter: int = 8
    untrained: bool = True
    clips: tuple[str, ...] = ()
    device: str = "cpu"


@dataclass(frozen=True)
class Stimuli:
    """What was found.

    Attributes:
        answers: to the films of the network (best first), to the parts of the best one, to the
            untrained network's own film, to the best synthetic and the best real clip.
        ascent: the climb; control: that of the untrained network, or None.
        split: the best film taken apart.
    """

    answers: tuple[Answer, ...]
    ascent: Ascent
    control: Ascent | None
    split: Split

    @property
    def beaten_by(self) -> Answer | None:
        """The clip to which the channel answers more than to the best film: the climb failed."""
        clip = max(
            (a for a in self.answers if a.kind in ("synthetic", "real")), key=lambda a: a.mean
        )
        return clip if clip.mean >= self.answers[0].mean else None


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
    found, spec = find_stimulus(settings, progress, preview=shown)
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
        failed = found.beaten_by is not None
        shares = {"explained": parts.explained, "explained_by_picture": parts.by_still}
        write_json(
            place / "answers.json", {"answers": rows, "climb_failed": failed, "split": shares}
        )
    return found


def _shown(path: str | os.PathLike[str]) -> Preview:
    return lambda frames: write_image(path, strip(frames))


def find_stimulus(
    settings: StimulusSettings,
    progress: Progress | None = None,
    *,
    loaded: tuple[nn.Module, ModelSpec] | None = None,
    preview: Preview | None = None,
) -> tuple[Stimuli, ModelSpec]:
    """Find what a channel prefers; nothing is written. Errors as ``write_stimulus``.

    Args:
        loaded: the settings' network, where it is loaded already.
        preview: shown the network's first film now and then.
    """
    _check(settings)
    device = device_named(settings.device)
    for clip in settings.clips:
        video_info(clip)
    model, spec = loaded or settings.network.load()
    if device.type != "cpu":
        model = copy.deepcopy(model).to(device)
    x = torch.zeros(1, *spec.input.shape, device=device)
    reader = Reader(model, settings.layer, x)
    check_unit(reader.shape, Unit(settings.layer, settings.channel))
    seed = settings.network.seed
    control = None
    if settings.untrained:
        fresh = untrained(model.cpu() if device.type != "cpu" else model, UNTRAINED_SEED + seed)
        control = Reader(fresh.to(device), settings.layer, x)
        model.to(device)
    return _climb(reader, control, settings, spec, device, progress, preview), spec


def _climb(
    reader: Reader,
    control: Reader | None,
    settings: StimulusSettings,
    spec: ModelSpec,
    device: torch.device,
    progress: Progress | None,
    preview: Preview | None,
) -> Stimuli:
    """Both climbs, then the answers to the films and to the clips they are held against."""
    seed, channel, films = settings.network.seed, settings.channel, settings.films
    # a step costs about as much as two clips that are only looked at, for each film
    total = settings.steps * (films + (control is not None))

    def ascent(
        of: Reader, count: int, before: int, what: str, preview: Preview | None = None
    ) -> Ascent:
        def told(done: int, _total: int, name: str) -> None:
            if progress is not None:
                progress(before + done * count, total, name)

        video = FourierVideo(
            count, spec.input, smoothness=settings.smoothness, seed=seed, device=device
        )
        return climb(
            of, channel, video, steps=settings.steps, jitter=settings.jitter,
            diversity=settings.diversity, seed=seed, progress=told, what=what, preview=preview,
        )  # fmt: skip

    own = ascent(reader, films, 0, "climbing", preview)
    fresh = None if control is None else ascent(control, 1, settings.steps * films, "untrained")
    # the climb saw them moved: what counts is the film as it is written
    seen = [answer_to(reader, channel, f, spec.input, "", "stimulus") for f in own.frames]
    order = sorted(range(films), key=lambda i: -seen[i].mean)
    own = Ascent(own.frames[order], own.answers[:, order])
    answers = [
        dataclasses.replace(seen[i], name=f"stimulus {n}") for n, i in enumerate(order, start=1)
    ]
    parts = split(own.frames[0], seed=seed)
    for said, frames in (
        (f"one picture moved by a flow ({parts.explained:.0%} of the film)", parts.moved),
        (f"the picture alone ({max(parts.by_still, 0):.0%})", parts.still),
        ("the flow alone, on a picture of random phases", parts.flow_alone),
    ):
        part = answer_to(reader, channel, frames, spec.input, said, "part")
        kept = part.mean / max(answers[0].mean, 1e-30)
        answers.append(dataclasses.replace(part, name=f"{said}, keeps {kept:.0%} of the answer"))
    if fresh is not None and control is not None:
        name = f"the same channel of an untrained network (seed {UNTRAINED_SEED + seed})"
        answers.append(answer_to(control, channel, fresh.frames[0], spec.input, name, "untrained"))
    best: dict[str, Answer] = {}
    for name, kind, frames in rivals(spec.input, settings.clips, seed):
        rival = answer_to(reader, channel, frames, spec.input, f"best {kind} clip: {name}", kind)
        if kind not in best or rival.mean > best[kind].mean:
            best[kind] = rival
    return Stimuli((*answers, *best.values()), own, fresh, parts)


def _check(settings: StimulusSettings) -> None:
    for name, (low, high) in _LIMITS.items():
        value = getattr(settings, name)
        if not low <= value <= high:
            raise VizError(f"{name} must be {low} to {high}, got {value}")
    for name in ("smoothness", "diversity"):
        value = getattr(settings, name)
        if not (math.isfinite(value) and 0 <= value <= 100):
            raise VizError(f"{name} must be a number from 0 to 100, got {value}")


def _words(settings: StimulusSettings) -> list[str]:
    words = ["units", "maximise", "--layer", settings.layer, "--channel", str(settings.channel)]
    for name in ("films", "steps", "smoothness", "diversity", "jitter", "device"):
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
        f"what raises the answer most, not what the channel is for; it is no clip of the world."
    ]
    if found.beaten_by is not None:
        notes.append("THE CLIMB FAILED: the channel answers more to a clip than to these films.")
    notes.append(
        "The best film is taken apart into one picture and the flow that moves it; how much of the "
        "film they are, and how much of the answer each keeps, stands beside them."
    )
    if found.control is not None:
        notes.append("The untrained network's answer is in that network's units and has no bar.")
    return notes
