"""What is known of one channel: its tuning, concept and stimulus, beside untrained networks."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
import numpy.typing as npt
from torch import nn

from ...engine import device_named
from ...errors import LayerError, VizError
from ...nets import ModelSpec
from ...progress import Progress
from ...synthetic import Library, chosen_library
from ...weights import NetworkChoice
from ...work import Arrays, Piece
from ..concepts import ConceptClips, Concepts, concept_names, concepts_of, library_digest
from ..kernels import KernelSet, first_kernels
from ..pieces import Keep, Nowhere, Told, network_facts, packed, unpacked
from ..preferred import Ascent, Preview, Search, Stimuli, StimulusSettings
from ..tuning import (
    COARSE,
    FULL,
    Clips,
    Grid,
    Responses,
    Tuning,
    conditions,
    sweep,
    tuning_of,
    untrained,
)

STEP = 4  # a step of a climb costs as much as so many clips that are only looked at
JUDGED = 120  # and so many cost the split and the clips that the film is held against
CONCEPT_CLIPS = (8, 20, 20)
_MOST = 20


@dataclass(frozen=True)
class ReportSettings:
    """What a report asks for.

    Attributes:
        network: which. layer, channel: of it.
        controls: untrained networks: how many of their channels do as well; 0: none at all.
        steps: of the climb for the stimulus.
        clips: real clips that the stimulus is held against; empty takes the demonstration's.
        library: folder with cut-outs and backgrounds; None draws shapes, which have no kind.
        device: "cpu" or "cuda[:N]".
        atlas: the folder that the clips it answers to were taken from, for the command.
        coarse: fewer speeds and wavelengths, two fifths of the clips.
    """

    network: NetworkChoice
    layer: str
    channel: int
    controls: int = 2
    steps: int = 48
    clips: tuple[str, ...] = ()
    library: str | None = None
    device: str = "cpu"
    atlas: str | None = None
    coarse: bool = False

    @property
    def grid(self) -> Grid:
        """Of the drifting patterns."""
        return COARSE if self.coarse else FULL

    def stimulus(self) -> StimulusSettings:
        """The same for the climb: one film of the network, one of an untrained one."""
        return StimulusSettings(
            self.network, self.layer, self.channel, films=1, steps=self.steps, clips=self.clips,
            untrained=self.controls > 0, device=self.device,
        )  # fmt: skip


@dataclass(frozen=True)
class Rank:
    """How many untrained channels, of all that answer, do as well as a channel or better."""

    as_well: int
    of: int

    @property
    def share(self) -> float:
        """NaN where there is none to compare with."""
        return self.as_well / self.of if self.of else math.nan

    @property
    def chance(self) -> float:
        """Of a place as high among as many, were the channel one of them (a permutation test's
        p); never below one in all of them, so that few untrained channels prove nothing."""
        return (self.as_well + 1) / (self.of + 1)


@dataclass(frozen=True)
class Evidence:
    """What was measured, and None or nothing for what is still to come.

    Attributes:
        tuning, responses: of the layer. control_tunings: of each untrained network.
        control_responses: of the first of them.
        concepts: of the layer, None without a grid. control_concepts: as many as networks, or none.
        concept_names: of the columns of ``concepts``.
        stimuli: the film that the channel prefers, and those beside it.
        kernels: where the layer is the first convolution, else None.
        missing: what is still to come, in words.
    """

    spec: ModelSpec
    tuning: Tuning | None
    responses: Responses | None
    control_tunings: tuple[Tuning, ...]
    control_responses: Responses | None
    concepts: Concepts | None
    control_concepts: tuple[Concepts, ...]
    concept_names: tuple[str, ...]
    stimuli: Stimuli | None
    kernels: KernelSet | None
    missing: tuple[str, ...] = ()

    def rank(self, name: str, channel: int) -> Rank:
        """Of an index of the channel among the untrained networks' channels."""
        value = math.nan if self.tuning is None else getattr(self.tuning, name)[channel]
        return _among(value, [getattr(t, name) for t in self.control_tunings])

    def concept_rank(self, channel: int) -> Rank:
        """The same of the concept score."""
        value = math.nan if self.concepts is None else self.concepts.score[channel]
        return _among(value, [c.score for c in self.control_concepts])


def _among(value: float, controls: Sequence[npt.NDArray[np.float64]]) -> Rank:
    pooled = np.concatenate(controls) if controls else np.empty(0)
    pooled = pooled[np.isfinite(pooled)]
    return Rank(int((pooled >= value).sum()), pooled.size if np.isfinite(value) else 0)


def gather(
    settings: ReportSettings,
    progress: Progress | None = None,
    *,
    loaded: tuple[nn.Module, ModelSpec] | None = None,
    preview: Preview | None = None,
    found: Callable[[Evidence], None] | None = None,
    keep: Keep | None = None,
) -> Evidence:
    """Measure everything, in the order in which it says most.

    Progress counts what one clip costs that is only looked at.

    Args:
        loaded: the settings' network, where it is loaded already.
        preview: shown the film while it is made.
        found: shown what there is after each piece but the last.
        keep: where pieces are kept; nowhere by default.

    Raises:
        VizError, LayerError, ClipError: settings that cannot be had; met before the measuring.
    """
    if not 0 <= settings.controls <= _MOST:
        raise VizError(f"controls must be 0 to {_MOST} networks, got {settings.controls}")
    keep, told = Nowhere() if keep is None else keep, Told(progress)
    library = chosen_library(settings.library, settings.network.seed)
    model, spec = loaded or settings.network.load()
    search = Search(settings.stimulus(), (model, spec))
    film, *fresh_film = search.pieces(told, STEP, preview)
    work = _Measuring(settings, model, spec, library, told)
    own, *controls = (work.tuning(number) for number in range(1 + settings.controls))
    labels, *control_labels = (work.concepts(number) for number in range(1 + settings.controls))
    pieces = [film, own, labels, *fresh_film, *controls, *control_labels]
    told.expect(pieces, keep, JUDGED)
    kernels = None
    with contextlib.suppress(LayerError):
        kernels = first_kernels(model, spec.input, settings.layer)
    known = Evidence(
        spec, None, None, (), None, None, (), concept_names(library), None, kernels
    )  # fmt: skip
    for number, piece in enumerate(pieces):
        if number and found is not None:
            found(replace(known, missing=tuple(p.what for p in pieces[number:])))
        arrays = keep(piece)
        if piece is film:
            known = replace(
                known, stimuli=search.judged(unpacked(arrays, Ascent)[0], told.part(JUDGED))
            )
        elif piece in fresh_film:
            assert known.stimuli is not None
            beside = search.beside(known.stimuli, unpacked(arrays, Ascent)[0])
            known = replace(known, stimuli=beside)
        elif piece is own or piece in controls:
            (responses,) = unpacked(arrays, partial(Responses, grid=settings.grid))
            known = _with_tuning(known, responses)
        elif "0.score" in arrays:  # a layer without a grid has no concepts
            known = _with_concepts(known, unpacked(arrays, Concepts)[0])
    return known


def _with_tuning(known: Evidence, responses: Responses) -> Evidence:
    """The network's own come first, then those of untrained ones."""
    tuning = tuning_of(responses)
    if known.tuning is None:
        return replace(known, tuning=tuning, responses=responses)
    return replace(
        known,
        control_tunings=(*known.control_tunings, tuning),
        control_responses=known.control_responses or responses,
    )


def _with_concepts(known: Evidence, concepts: Concepts) -> Evidence:
    if known.concepts is None:
        return replace(known, concepts=concepts)
    return replace(known, control_concepts=(*known.control_concepts, concepts))


class _Measuring:
    """Pieces that show clips to a network, number 0 the one asked for, others untrained."""

    def __init__(
        self,
        settings: ReportSettings,
        model: nn.Module,
        spec: ModelSpec,
        library: Library,
        told: Told,
    ) -> None:
        self._settings, self._model, self._spec, self._told = settings, model, spec, told
        self._device = device_named(settings.device)
        seed = settings.network.seed
        asked = settings.layer, settings.device, seed, settings.coarse
        self._facts = (*network_facts(model, spec), library_digest(library), *asked)
        self._clips = Clips(spec.input)
        self._drawn = cache(
            lambda: ConceptClips.drawn(library, spec.input, seed, CONCEPT_CLIPS)
        )  # fmt: skip

    def tuning(self, number: int) -> Piece:
        def run() -> Arrays:
            layer, grid = self._settings.layer, self._settings.grid
            told = self._told.part(piece.cost)
            found = sweep(self._net(number), self._clips, [layer], told, piece.what, grid)
            return packed([found[layer]])

        piece = self._piece("drifting patterns", number, len(conditions(self._settings.grid)), run)
        return piece

    def concepts(self, number: int) -> Piece:
        def run() -> Arrays:
            layer, told = self._settings.layer, self._told.part(piece.cost)
            net, spec, clips = self._net(number), self._spec.input, self._drawn()
            with contextlib.suppress(LayerError):
                return packed([concepts_of(net, spec, clips, [layer], told, piece.what)[layer]])
            return {}

        piece = self._piece("labelled clips", number, sum(CONCEPT_CLIPS), run)
        return piece

    def _piece(self, what: str, number: int, cost: int, run: Callable[[], Arrays]) -> Piece:
        text = f"{what}, untrained network {number}" if number else what
        return Piece(f"{what} {number}", text, cost, (*self._facts, what, number), run)

    def _net(self, number: int) -> nn.Module:
        if not number:
            fresh = self._model
        else:
            fresh = untrained(self._model, 999 + number + 100_000 * self._settings.network.seed)
        return fresh if self._device.type == "cpu" else copy.deepcopy(fresh).to(self._device)
