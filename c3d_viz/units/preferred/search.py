"""The search for what a channel prefers: the climbs, and what they are held against."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from ...clips import video_info
from ...engine import Unit, check_unit, device_named
from ...errors import VizError
from ...nets import ModelSpec
from ...progress import Progress
from ...weights import NetworkChoice
from ...work import Arrays, Piece
from ..pieces import Keep, Nowhere, Told, network_facts, packed, unpacked
from ..tuning import untrained
from .ascent import Ascent, Preview, climb
from .layer import Reader
from .rivals import SYNTHETIC, Answer, Frames, answer_to, rivals
from .split import STEPS, Split, split
from .video import FourierVideo

UNTRAINED_SEED = 1000
CLIPS = ("synthetic", "real")  # kinds of answers to what a film is held against
_LIMITS = {"steps": (1, 10_000), "films": (1, 16), "jitter": (0, 64)}


@dataclass(frozen=True)
class StimulusSettings:
    """What is asked for.

    Attributes:
        network: which. layer, channel: of it.
        films: how many, kept apart by ``diversity`` (0 and up).
        steps: of the climb. jitter: pixels a film is moved at most at each step; None: a fourteenth
            of its shorter side.
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
    jitter: int | None = None
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
    def unfinished(self) -> str | None:
        """What says that the climb ended too early: a part of the film that is answered more."""
        if max(a.mean for a in self.answers if a.kind == "part") > self.answers[0].mean > 0:
            return "a part of the film is answered more than the film: more steps would raise it"
        return None

    @property
    def failure(self) -> str | None:
        """Why the climb failed, in words: no answer, or a clip that is answered as much or more."""
        film = self.answers[0].mean
        if film <= 0:
            return "the channel answers to none of these films"
        if max(a.mean for a in self.answers if a.kind in CLIPS) >= film:
            return "the channel answers more to a clip than to these films"
        return None


def find_stimulus(
    settings: StimulusSettings,
    progress: Progress | None = None,
    *,
    loaded: tuple[nn.Module, ModelSpec] | None = None,
    preview: Preview | None = None,
    keep: Keep | None = None,
) -> tuple[Stimuli, ModelSpec]:
    """Find what a channel prefers. Errors as ``write_stimulus``.

    Args:
        loaded: the settings' network, where it is loaded already.
        preview: shown the network's first film now and then.
        keep: where the climbs are kept; nowhere by default.
    """
    keep = Nowhere() if keep is None else keep
    search = Search(settings, loaded)
    told = Told(progress)
    own, *fresh = pieces = search.pieces(told, preview=preview)
    told.expect(pieces, keep)
    found = search.judged(unpacked(keep(own), Ascent)[0])
    for piece in fresh:
        found = search.beside(found, unpacked(keep(piece), Ascent)[0])
    return found, search.spec


class Search:
    """Everything a climb needs; settings that cannot be had are met when it is made.

    Attributes:
        spec: of the network.
    """

    def __init__(
        self, settings: StimulusSettings, loaded: tuple[nn.Module, ModelSpec] | None = None
    ) -> None:
        _check(settings)
        self._settings, self._device = settings, device_named(settings.device)
        for clip in settings.clips:
            video_info(clip)
        model, self.spec = loaded or settings.network.load()
        self._facts = network_facts(model, self.spec)
        seed, layer = settings.network.seed, settings.layer
        x = torch.zeros(1, *self.spec.input.shape, device=self._device)
        there = model if self._device.type == "cpu" else copy.deepcopy(model).to(self._device)
        self._reader, self._control = Reader(there, layer, x), None
        check_unit(self._reader.shape, Unit(layer, settings.channel))
        if settings.untrained:
            fresh = untrained(model, UNTRAINED_SEED + seed).to(self._device)
            self._control = Reader(fresh, layer, x)

    def pieces(self, told: Told, step: int = 1, preview: Preview | None = None) -> list[Piece]:
        """The climb, and that of the untrained network where one is asked for.

        Args:
            step: what one step of one film counts for the progress.
        """
        settings = self._settings
        readers = [(self._reader, settings.films, "climbing", preview)]
        if self._control is not None:
            readers.append((self._control, 1, "an untrained network's film", None))
        asked = {**dataclasses.asdict(settings), "network": None, "clips": None, "untrained": None}
        found = []
        for number, (reader, count, what, shown) in enumerate(readers):
            cost = step * count * settings.steps
            facts = (*self._facts, number, settings.network.seed, asked)
            run = partial(self._climb, reader, count, what, partial(told.part, cost), shown)
            found.append(Piece(f"film {number}", what, cost, facts, run))
        return found

    def _climb(
        self,
        reader: Reader,
        count: int,
        what: str,
        begin: Callable[[], Progress],
        preview: Preview | None,
    ) -> Arrays:
        settings, seed = self._settings, self._settings.network.seed
        video = FourierVideo(
            count, self.spec.input, smoothness=settings.smoothness, seed=seed, device=self._device
        )
        ascent = climb(
            reader, settings.channel, video, steps=settings.steps, jitter=settings.jitter,
            diversity=settings.diversity, seed=seed, progress=begin(), what=what, preview=preview,
        )  # fmt: skip
        return packed([ascent])

    def judged(self, own: Ascent, progress: Progress | None = None) -> Stimuli:
        """The answers to the films and the parts of the best one, and to clips beside them."""

        def told(done: int, total: int, what: str) -> None:
            if progress is not None:
                progress(done, total, what)

        settings, seed = self._settings, self._settings.network.seed
        # the climb saw them moved: what counts is the film as it is written
        seen = [self._answer(film, "", "stimulus") for film in own.frames]
        order = sorted(range(len(seen)), key=lambda i: -seen[i].mean)
        own = Ascent(own.frames[order], own.answers[:, order])
        answers = [
            dataclasses.replace(seen[i], name=f"stimulus {n}") for n, i in enumerate(order, start=1)
        ]
        parts = split(
            own.frames[0], seed=seed, progress=lambda done, _, what: told(done, 2 * STEPS, what)
        )
        for said, frames in (
            (f"one picture moved by a flow ({parts.explained:z.0%} of the film)", parts.moved),
            (f"the picture alone ({max(parts.by_still, 0):.0%})", parts.still),
            ("the flow alone, on a picture of random phases", parts.flow_alone),
        ):
            part = self._answer(frames, said, "part")
            kept = part.mean / max(answers[0].mean, 1e-30)
            name = f"{said}, keeps {kept:.0%} of the answer"
            answers.append(dataclasses.replace(part, name=name))
        best: dict[str, Answer] = {}
        clips = rivals(self.spec.input, settings.clips, seed)
        for number, (name, kind, frames) in enumerate(clips):
            told(
                STEPS + min(STEPS, number * STEPS // SYNTHETIC), 2 * STEPS, "clips beside the film"
            )
            rival = self._answer(frames, f"best {kind} clip: {name}", kind)
            if kind not in best or rival.mean > best[kind].mean:
                best[kind] = rival
        return Stimuli((*answers, *best.values()), own, None, parts)

    def beside(self, found: Stimuli, fresh: Ascent) -> Stimuli:
        """The same with the untrained network's film, in front of the clips."""
        assert self._control is not None
        seed = UNTRAINED_SEED + self._settings.network.seed
        name = f"the same channel of an untrained network (seed {seed})"
        other = self._answer(fresh.frames[0], name, "untrained", self._control)
        clips = [a for a in found.answers if a.kind in CLIPS]
        rest = [a for a in found.answers if a.kind not in CLIPS]
        return dataclasses.replace(found, answers=(*rest, other, *clips), control=fresh)

    def _answer(self, frames: Frames, name: str, kind: str, reader: Reader | None = None) -> Answer:
        reader = reader or self._reader
        return answer_to(reader, self._settings.channel, frames, self.spec.input, name, kind)


def _check(settings: StimulusSettings) -> None:
    for name, (low, high) in _LIMITS.items():
        value = getattr(settings, name)
        if value is not None and not low <= value <= high:
            raise VizError(f"{name} must be {low} to {high}, got {value}")
    for name in ("smoothness", "diversity"):
        value = getattr(settings, name)
        if not (math.isfinite(value) and 0 <= value <= 100):
            raise VizError(f"{name} must be a number from 0 to 100, got {value}")
