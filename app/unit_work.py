"""What a unit responds to at all: measured beside the page, shown piece by piece."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

from c3d_viz.progress import Progress
from c3d_viz.render import Picture
from c3d_viz.units import (
    Evidence,
    Keep,
    ReportSettings,
    caution,
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
from c3d_viz.work import Arrays, Piece

from . import work
from .tasks import Key
from .work import Net

SEVERAL = 16  # units whose unfinished findings are remembered


@dataclass(frozen=True)
class Findings:
    """What the page shows of a unit, drawn; empty or None what is not there yet.

    Attributes:
        sentence: that sums it up. caution: what has to stand beside it.
        films: (what it is, mp4). tuning: (whose, PNG).
        indices: (name, value, share of untrained channels as high), NaN where not defined.
        concepts: (label, IoU, by chance). answers: (to what, mean, peak).
        kernel: PNG, where the layer is the first convolution.
        failure: why the climb failed, if it did.
        missing: what is still to come, in words.
        preview: a few frames of the film while it is made.
    """

    sentence: str = ""
    caution: str = ""
    films: tuple[tuple[str, bytes], ...] = ()
    tuning: tuple[tuple[str, bytes], ...] = ()
    indices: tuple[tuple[str, float, float], ...] = ()
    concepts: tuple[tuple[str, float, float], ...] = ()
    answers: tuple[tuple[str, float, float], ...] = ()
    kernel: bytes | None = None
    failure: str | None = None
    missing: tuple[str, ...] = ()
    preview: Picture | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing is still to come."""
        return bool(self.sentence) and not self.missing


class _SoFar:
    """Findings of units that are not finished, also where the measuring was stopped or failed."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, Findings] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Findings | None:
        return self._kept.get(key)

    def put(self, key: Key, found: Findings) -> None:
        with self._lock:
            self._kept[key] = found
            self._kept.move_to_end(key)
            while len(self._kept) > SEVERAL:
                self._kept.popitem(last=False)

    def pop(self, key: Key) -> None:
        with self._lock:
            self._kept.pop(key, None)


SO_FAR = _SoFar()


class _InCache(Keep):
    """Pieces are kept in the cache of all sessions: those of other channels of the layer, too."""

    def __init__(self, net: Net) -> None:
        self._net = net

    def __call__(self, piece: Piece) -> Arrays:
        return work.kept(self._key(piece), piece.run)

    def __contains__(self, piece: Piece) -> bool:
        return self._key(piece) in work.CACHE

    def _key(self, piece: Piece) -> Key:
        return ("unit piece", self._net.key, piece.file)


def settings(net: Net, layer: str, channel: int) -> ReportSettings:
    """Of the report that the command writes of the same unit."""
    return ReportSettings(net.choice, layer, channel, coarse=True)


def command(net: Net, layer: str, channel: int) -> str:
    """The command line that makes the report."""
    return report_command(settings(net, layer, channel), "OUT")


def key_of(net: Net, layer: str, channel: int) -> Key:
    return ("unit", net.key, layer, channel)


def known(net: Net, layer: str, channel: int) -> bool:
    """Whether it was measured already."""
    return key_of(net, layer, channel) in work.CACHE


def so_far(net: Net, layer: str, channel: int) -> Findings | None:
    """What there is of a unit whose measuring goes on, was stopped or failed."""
    return SO_FAR.get(key_of(net, layer, channel))


def measure(net: Net, layer: str, channel: int, report: Progress) -> Findings:
    """Everything that is known of the unit, measured once for all sessions."""
    key = key_of(net, layer, channel)
    drawing = _Drawing(layer, channel)

    def preview(frames: Picture) -> None:
        SO_FAR.put(key, replace(SO_FAR.get(key) or Findings(), preview=strip(frames)))

    def make() -> Findings:
        found = gather(
            settings(net, layer, channel), report, loaded=(net.model, net.spec), preview=preview,
            found=lambda evidence: SO_FAR.put(key, drawing(evidence)), keep=_InCache(net),
        )  # fmt: skip
        done = drawing(found)
        SO_FAR.pop(key)
        return done

    return work.kept(key, make)


class _Drawing:
    """Draws evidence, and of what it drew before only what has changed."""

    def __init__(self, layer: str, channel: int) -> None:
        self._layer, self._channel = layer, channel
        self._last: tuple[Evidence, Findings] | None = None

    def __call__(self, found: Evidence) -> Findings:
        channel, (before, drawn) = self._channel, self._last or (None, Findings())

        def same(*names: str) -> bool:
            return before is not None and all(
                getattr(found, name) is getattr(before, name) for name in names
            )

        stimuli = found.stimuli
        result = Findings(
            sentence(found, self._layer, channel),
            caution(len(found.control_tunings)),
            drawn.films if same("stimuli") else tuple(films(found)),
            drawn.tuning
            if same("responses", "control_responses")
            else tuple(tuning_pictures(found, channel)),
            tuple(index_rows(found, channel)),
            tuple(concept_rows(found, channel)),
            tuple((a.name, a.mean, a.peak) for a in stimuli.answers) if stimuli else (),
            drawn.kernel if same("kernels") else kernel_picture(found, channel),
            stimuli.failure if stimuli else None,
            found.missing,
        )
        self._last = found, result
        return result
