"""What a unit responds to at all: measured beside the page, with the film while it is made."""

from __future__ import annotations

from dataclasses import dataclass

from c3d_viz.progress import Progress
from c3d_viz.render import Picture
from c3d_viz.units import (
    Evidence,
    ReportSettings,
    concept_rows,
    films,
    gather,
    index_rows,
    kernel_picture,
    report_command,
    sentence,
    strip,
    tuning_pictures,
)

from . import work
from .tasks import Key
from .work import Net

PREVIEWS: dict[Key, Picture] = {}  # of what is measured now


@dataclass(frozen=True)
class Findings:
    """What the page shows of a unit, drawn.

    Attributes:
        sentence: that sums it up.
        films: (what it is, mp4). tuning: (whose, PNG).
        indices: (name, value, share of untrained channels as high), NaN where not defined.
        concepts: (label, IoU, by chance). answers: (to what, mean, peak).
        kernel: PNG, where the layer is the first convolution.
        failed: whether a clip gets a higher answer than the film.
    """

    sentence: str
    films: tuple[tuple[str, bytes], ...]
    tuning: tuple[tuple[str, bytes], ...]
    indices: tuple[tuple[str, float, float], ...]
    concepts: tuple[tuple[str, float, float], ...]
    answers: tuple[tuple[str, float, float], ...]
    kernel: bytes | None
    failed: bool


def settings(net: Net, layer: str, channel: int) -> ReportSettings:
    """Of the report that the command writes of the same unit."""
    return ReportSettings(net.choice, layer, channel)


def command(wanted: ReportSettings) -> str:
    """The command line that makes the report."""
    return report_command(wanted, "OUT")


def key_of(net: Net, layer: str, channel: int) -> Key:
    return ("unit", net.key, layer, channel)


def known(net: Net, layer: str, channel: int) -> bool:
    """Whether it was measured already."""
    return key_of(net, layer, channel) in work.CACHE


def measure(net: Net, layer: str, channel: int, report: Progress) -> Findings:
    """Everything that is known of the unit, measured once for all sessions."""
    key = key_of(net, layer, channel)

    def make() -> Findings:
        def preview(frames: Picture) -> None:
            PREVIEWS[key] = strip(frames)

        try:
            found = gather(
                settings(net, layer, channel), report, loaded=(net.model, net.spec), preview=preview
            )
            return _drawn(found, layer, channel)
        finally:
            PREVIEWS.pop(key, None)

    return work.kept(key, make)


def _drawn(found: Evidence, layer: str, channel: int) -> Findings:
    return Findings(
        sentence(found, layer, channel),
        tuple(films(found)),
        tuple(tuning_pictures(found, channel)),
        tuple(index_rows(found, channel)),
        tuple(concept_rows(found, channel)),
        tuple((a.name, a.mean, a.peak) for a in found.stimuli.answers),
        kernel_picture(found, channel),
        found.stimuli.beaten_by is not None,
    )
