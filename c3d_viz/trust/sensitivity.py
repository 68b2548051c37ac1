"""Infidelity and max-sensitivity, by captum.

Yeh et al. 2019, "On the (In)fidelity and Sensitivity of Explanations" (arXiv 1901.09392):
E[(I . R(x) - (f(x) - f(x - I)))^2] over random I, with R scaled at its best, over the mean square
of the second term; and max |R(x + e) - R(x)| / |R(x)| over small e. Low is good; both are blind to
the scale of the map.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..engine import Unit
from .asked import Asked

NOISE = 0.2  # of the clip's own spread, for infidelity
RADIUS = 0.05  # the same for sensitivity
SAMPLES = 8
TRIALS = 3


def infidelity(asked: Asked, x: Tensor, unit: Unit, values: Tensor, seed: int) -> float:
    """Share of the answers' changes that the map does not foretell, 0 at best.

    Args:
        asked: the model.
        x: clip (1, C, T, H, W). values: its signed map of the same shape.
        seed: of the ``SAMPLES`` perturbations, normal noise of ``NOISE`` times the clip's spread.

    Returns:
        About 1 - 1 / ``SAMPLES`` of a map that has nothing to do with the answer, as its scale is
        fitted to them; NaN where no perturbation changes the answer.
    """
    from captum.metrics import infidelity as of_captum

    generator = torch.Generator().manual_seed(seed)
    changes: list[float] = []
    before = asked.answer(x, unit)

    def perturb(inputs: Tensor, *_: object) -> tuple[Tensor, Tensor]:
        noise = torch.randn(inputs.shape, generator=generator).to(inputs)
        noise = noise * (NOISE * float(x.std()))
        return noise, inputs - noise

    def forward(inputs: Tensor) -> Tensor:
        found = [asked.answer(one[None], unit) for one in inputs]
        changes.extend(value - before for value in found)
        return torch.tensor(found)

    error = of_captum(
        forward,
        perturb,
        x,
        values,
        n_perturb_samples=SAMPLES,
        max_examples_per_batch=1,
        normalize=True,
    )
    moved = sum(change**2 for change in changes) / SAMPLES
    return float(error) / moved if moved > 0 else float("nan")


def max_sensitivity(explain: Callable[[Tensor], Tensor], x: Tensor, seed: int) -> float:
    """Largest change of the map, relative to it, over ``TRIALS`` small changes of the clip.

    Args:
        explain: (1, C, T, H, W) -> signed map of that shape.
        seed: of the changes, uniform within ``RADIUS`` times the clip's spread.

    Returns:
        NaN where the map is empty.
    """
    from captum.metrics import sensitivity_max

    if not explain(x).any():
        return float("nan")
    generator = torch.Generator().manual_seed(seed)

    def perturb(clips: Any, radius: float) -> Any:
        clip = clips[0] if isinstance(clips, tuple) else clips  # captum gives both
        noise = torch.rand(clip.shape, generator=generator).to(clip) * 2 - 1
        changed = clip + noise * radius
        return (changed,) if isinstance(clips, tuple) else changed

    return float(
        sensitivity_max(
            lambda clips: explain(clips[0] if isinstance(clips, tuple) else clips),
            x,
            perturb_func=perturb,
            perturb_radius=RADIUS * float(x.std()),
            n_perturb_samples=TRIALS,
            max_examples_per_batch=1,
        )
    )
