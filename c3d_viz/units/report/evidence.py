"""What is known of one channel: its tuning, concept and stimulus, beside untrained networks."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import nn

from ...engine import device_named
from ...errors import LayerError, VizError
from ...nets import InputSpec, ModelSpec
from ...progress import Progress
from ...synthetic import chosen_library
from ...weights import NetworkChoice
from ..concepts import ConceptClips, Concepts, concepts_of
from ..kernels import KernelSet, first_kernels
from ..preferred import Preview, Stimuli, StimulusSettings, find_stimulus
from ..tuning import Clips, Responses, Tuning, conditions, sweep, tuning_of, untrained

CONCEPT_CLIPS = (8, 20, 20)
_MOST = 20


@dataclass(frozen=True)
class ReportSettings:
    """What a report asks for.

    Attributes:
        network: which. layer, channel: of it.
        controls: untrained networks, 1 or more: how many of their channels do as well.
        steps: of the climb for the stimulus.
        clips: real clips that the stimulus is held against; empty takes the demonstration's.
        library: folder with cut-outs and backgrounds; None draws shapes, which have no kind.
        device: "cpu" or "cuda[:N]".
        atlas: the folder that the clips it answers to were taken from, for the command.
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

    def stimulus(self) -> StimulusSettings:
        """The same for the climb: one film of the network, one of an untrained one."""
        return StimulusSettings(
            self.network, self.layer, self.channel, films=1, steps=self.steps, clips=self.clips,
            device=self.device,
        )  # fmt: skip


@dataclass(frozen=True)
class Evidence:
    """What was measured.

    Attributes:
        tuning, responses: of the layer. control_tunings: of each untrained network.
        control_responses: of the first of them.
        concepts: of the layer, None without a grid. control_concepts: as many as networks, or none.
        concept_names: of the columns of ``concepts``.
        stimuli: the film that the channel prefers, and those beside it.
        kernels: where the layer is the first convolution, else None.
    """

    spec: ModelSpec
    tuning: Tuning
    responses: Responses
    control_tunings: tuple[Tuning, ...]
    control_responses: Responses
    concepts: Concepts | None
    control_concepts: tuple[Concepts, ...]
    concept_names: tuple[str, ...]
    stimuli: Stimuli
    kernels: KernelSet | None

    def rank(self, name: str, channel: int) -> float:
        """Share of the untrained networks' channels that do as well or better in an index."""
        return _as_well(
            getattr(self.tuning, name)[channel], [getattr(t, name) for t in self.control_tunings]
        )

    def concept_rank(self, channel: int) -> float:
        """The same of the concept score."""
        assert self.concepts is not None
        return _as_well(self.concepts.score[channel], [c.score for c in self.control_concepts])


def _as_well(value: float, controls: list[npt.NDArray[np.float64]]) -> float:
    pooled = np.concatenate(controls)
    pooled = pooled[np.isfinite(pooled)]
    return float((pooled >= value).mean()) if pooled.size and np.isfinite(value) else float("nan")


def gather(
    settings: ReportSettings,
    progress: Progress | None = None,
    *,
    loaded: tuple[nn.Module, ModelSpec] | None = None,
    preview: Preview | None = None,
) -> Evidence:
    """Measure everything.

    Progress counts conditions, clips and steps together.

    Args:
        loaded: the settings' network, where it is loaded already.
        preview: shown the film while it is made.

    Raises:
        VizError, LayerError, ClipError: settings that cannot be had; met before the measuring.
    """
    if not 1 <= settings.controls <= _MOST:
        raise VizError(f"controls must be 1 to {_MOST} networks, got {settings.controls}")
    device = device_named(settings.device)
    seed = settings.network.seed
    library = chosen_library(settings.library, seed)
    model, spec = loaded or settings.network.load()
    layer = settings.layer
    networks = 1 + settings.controls
    counts = (2 * settings.steps, networks * len(conditions()), networks * sum(CONCEPT_CLIPS))
    told = _Told(progress, sum(counts))
    # first, because it checks channel and clips before it works
    stimuli, _ = find_stimulus(
        settings.stimulus(), told.part(counts[0]), loaded=(model, spec), preview=preview
    )
    every: list[nn.Module] = [model]
    every += [untrained(model, 1000 + k + 100_000 * seed) for k in range(settings.controls)]
    every = [net.to(device) for net in every]
    clips = Clips(spec.input)
    responses = [
        sweep(net, clips, [layer], told.part(len(conditions())), "drifting patterns")[layer]
        for net in every
    ]
    tunings = [tuning_of(r) for r in responses]
    names, concepts = _concepts(every, spec.input, layer, library, seed, told)
    kernels = None
    with contextlib.suppress(LayerError):
        kernels = first_kernels(model, spec.input, layer)
    return Evidence(
        spec, tunings[0], responses[0], tuple(tunings[1:]), responses[1],
        concepts[0] if concepts else None, tuple(concepts[1:]), names, stimuli, kernels,
    )  # fmt: skip


def _concepts(
    every: list[nn.Module], spec: InputSpec, layer: str, library: object, seed: int, told: _Told
) -> tuple[tuple[str, ...], list[Concepts]]:
    drawn = ConceptClips.drawn(library, spec, seed, CONCEPT_CLIPS)  # type: ignore[arg-type]
    found = []
    for net in every:
        part = told.part(sum(CONCEPT_CLIPS))
        with contextlib.suppress(LayerError):  # a layer without a grid has no concepts
            found.append(concepts_of(net, spec, drawn, [layer], part, "labelled clips")[layer])
    return drawn.names, found


class _Told:
    """Hands the progress of one piece of work after the other on as one count."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.before = progress, total, 0

    def part(self, size: int) -> Progress:
        before, self.before = self.before, self.before + size

        def progress(done: int, total: int, what: str) -> None:
            if self.progress is not None:
                self.progress(before + size * done // max(total, 1), self.total, what)

        return progress
