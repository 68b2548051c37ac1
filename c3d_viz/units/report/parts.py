"""What a report shows of a channel, piece by piece: for the page, and for the dashboard."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...render import encode_png, encode_video
from ..preferred.run import FPS
from ..sheet import kernel_sheet
from ..tuning.measures import INDICES
from ..tuning.pictures import png, units_figure
from .evidence import Evidence

_LABELS = 6


def kernel_picture(evidence: Evidence, channel: int) -> bytes | None:
    """The kernel, frame by frame, as PNG, where the layer is the first convolution."""
    found = evidence.kernels
    if found is None:
        return None
    one = slice(channel, channel + 1)
    return encode_png(kernel_sheet(found.values[one], found.readings[one], "", ""))


KERNEL_NOTE = (
    "Read off the kernel's spectrum alone. The indices further down are those of the layer's "
    "answers to clips, averaged over its grid: a kernel can have a direction that they do not show."
)


def films(evidence: Evidence) -> list[tuple[str, bytes]]:
    """(what it is, mp4): the film, its parts, an untrained network's, as far as they are there."""
    found = evidence.stimuli
    if found is None:
        return []
    shown = [
        ("what it prefers", found.ascent.frames[0]),
        ("its picture, moved by its flow", found.split.moved),
        ("the picture alone", found.split.still),
    ]
    if found.control is not None:
        shown.append(("the same channel, untrained", found.control.frames[0]))
    scale = max(1, round(224 / max(evidence.spec.input.crop)))
    return [(text, encode_video(frames, FPS, scale=scale)) for text, frames in shown]


def tuning_pictures(evidence: Evidence, channel: int) -> list[tuple[str, bytes]]:
    """(whose, PNG): polar plot and speeds of this network and of an untrained one."""
    rows: list[tuple[str, Any, Any, str]] = []
    if evidence.tuning is not None:
        about = "this network", evidence.tuning, evidence.responses, evidence.spec.weights
        rows.append(about)
    if evidence.control_tunings:
        other = evidence.control_tunings[0], evidence.control_responses
        # about as long as the line on trained weights, so that the plots lie side by side
        said = "the same architecture with random weights, nothing learned"
        rows.append(("an untrained network", *other, said))
    return [
        (text, png(units_figure(tuning, responses, [channel], text, weights), 100))
        for text, tuning, responses, weights in rows
    ]


def index_rows(evidence: Evidence, channel: int) -> list[tuple[str, float, float]]:
    """(index, value, share of untrained channels as high), NaN where not defined."""
    if evidence.tuning is None:
        return []
    return [
        (
            name.replace("sprite", "cut-out").replace("_", " "),
            float(getattr(evidence.tuning, name)[channel]),
            evidence.rank(name, channel).share,
        )
        for name in INDICES
    ]


def concept_rows(evidence: Evidence, channel: int) -> list[tuple[str, float, float]]:
    """(label, IoU, IoU with labels of other clips): first the concept that is named, which other
    clips chose, then those furthest above chance; none without a grid."""
    if evidence.concepts is None:
        return []
    iou, chance = evidence.concepts.iou[channel], evidence.concepts.chance[channel]
    named = int(evidence.concepts.best[channel])
    order = [k for k in np.argsort(-(iou - chance), kind="stable") if k != named]
    rows = [named, *order][:_LABELS]
    return [(evidence.concept_names[k], float(iou[k]), float(chance[k])) for k in rows]
