"""One sentence that sums a channel up, and how sure it is."""

from __future__ import annotations

import math

from ..concepts import Concepts
from ..preferred import CLIPS, Stimuli
from ..tuning import Tuning
from .evidence import Evidence, Rank

RARE = 0.05  # chance among untrained channels, up to which something counts as learned
_WAYS = (
    "to the right", "to the upper right", "upwards", "to the upper left",
    "to the left", "to the lower left", "downwards", "to the lower right",
)  # fmt: skip


def sentence(evidence: Evidence, layer: str, channel: int) -> str:
    """What the channel responds to, as far as the measurements go, with what untrained ones do.

    A direction is stated where a texture confirms it, a concept where its score is above chance;
    each with the share of untrained channels that do as well. What was not measured is left out.
    """
    said = []
    if evidence.tuning is not None:
        said.append(_motion(evidence, evidence.tuning, channel))
    if evidence.concepts is not None:
        said.append(_concept(evidence, evidence.concepts, channel))
    if evidence.stimuli is not None:
        said.append(_film(evidence.stimuli))
    return f"{layer} channel {channel} {'; '.join(said) or 'was not measured yet'}."


def caution(controls: int) -> str:
    """What has to stand beside the sentence."""
    if not controls:
        return "No untrained network was measured: nothing here need be learned."
    return (
        f"{controls} untrained network(s) of the same architecture are the comparison. One channel "
        f"among many was looked at: what is rare among untrained channels still happens in one of "
        f"twenty."
    )


def _film(found: Stimuli) -> str:
    if found.answers[0].mean <= 0:
        return "no film was found to which it answers"
    if found.failure is not None:
        return "no film was found to which it answers more than to a plain clip"
    best = max(a.mean for a in found.answers if a.kind in CLIPS)
    if best > 0:
        times = found.answers[0].mean / best
        return f"its preferred film raises it to {times:.1f} times its answer to the best clip seen"
    return "none of the clips moved it, and its preferred film does"


def _motion(evidence: Evidence, tuning: Tuning, channel: int) -> str:
    if tuning.silent[channel]:
        return "does not answer to any drifting grating"
    way = _WAYS[round(float(tuning.direction[channel]) / 45) % 8]
    speed = f"{tuning.speed[channel]:g} pixels a frame"
    index, texture = tuning.direction_index[channel], tuning.texture_index[channel]
    rank = evidence.rank("texture_index", channel)
    if index < 0.2:
        return f"answers to gratings drifting either way alike (direction index {index:.2f})"
    if texture <= 0:
        return (
            f"prefers gratings that drift {way} at {speed} (direction index {index:.2f}), but a "
            f"texture does not confirm the direction ({texture:+z.2f})"
        )
    return (
        f"prefers what drifts {way} at {speed} (direction index {index:.2f}, on a texture "
        f"{texture:+z.2f}), {sure(rank)}"
    )


def _concept(evidence: Evidence, found: Concepts, channel: int) -> str:
    score = float(found.score[channel])
    if math.isnan(score) or score <= 0:
        return "overlaps with no label more than by chance"
    best = int(found.best[channel])
    iou, chance = float(found.iou[channel, best]), float(found.chance[channel, best])
    return (
        f"overlaps most with '{evidence.concept_names[best]}' (IoU {iou:.2f}, by chance "
        f"{chance:.2f}), {sure(evidence.concept_rank(channel))}"
    )


def sure(rank: Rank) -> str:
    """How many untrained channels do as well, and what follows."""
    if not rank.of:
        return "with no untrained channel to compare"
    learned = "too few to say whether it is learned"
    if rank.chance <= RARE:
        learned = "so it is probably learned"
    elif rank.share > RARE:
        learned = "so it need not be learned"
    return f"as {rank.as_well} of {rank.of} untrained channels do, {learned}"
