"""SmoothGrad: the gradient, averaged over noisy copies of the clip.

Formula: R = mean over n of df/dx at x + e_n, e_n normal with deviation s = noise * (max x - min x);
squared form: the mean of the squares. f is the unit's activation. The noise belongs to the whole
clip and is the same for every unit of it; s is measured on the whole clip, whatever part a unit
sees. The loop is our own: captum's draws from PyTorch's global generator, which other threads use.

Limit: an average of gradients at clips that never were. With more noise it shows less of this clip
and more of the network. The squared form has no sign and no unit of the gradient, but its square.

References: Smilkov et al. 2017, SmoothGrad: removing noise by adding noise, eq. 1; squared: Hooker
et al. 2019, A Benchmark for Interpretability Methods in Deep Neural Networks, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ..arguments import MAX_SEED
from ..engine import Unit, undisturbed
from .answer import answer_of, counted, leaf_of
from .narrowed import within
from .settings import Settings, setting
from .types import Method, Progress


@dataclass(frozen=True)
class SmoothGradSettings(Settings):
    """Settings of both forms."""

    samples: int = setting(25, "noisy copies of the clip", low=1, high=100_000)
    noise: float = setting(
        0.15, "deviation of the noise, as a share of the clip's range of values", low=0, high=10
    )
    seed: int = setting(0, "of the noise", low=0, high=MAX_SEED)


def smooth_grad(
    model: nn.Module,
    x: Tensor,
    unit: Unit,
    *,
    settings: SmoothGradSettings,
    squared: bool = False,
    progress: Progress | None = None,
) -> Tensor:
    """x and result (1, C, T, H, W); one pass and one way back for each sample."""
    answer = counted(answer_of(model, unit), settings.samples, progress)
    chance = torch.Generator().manual_seed(settings.seed)
    deviation = settings.noise * float(x.max() - x.min())
    with undisturbed(x.device), torch.enable_grad():
        total = torch.zeros_like(x)  # made in here: elsewhere it may be an inference tensor
        for _ in range(settings.samples):
            # drawn on the CPU, so that every device gets the same
            noise = torch.randn(x.shape, generator=chance, dtype=x.dtype).to(x.device)
            noisy = leaf_of(x + deviation * noise)
            (slope,) = torch.autograd.grad(answer(noisy).sum(), noisy)
            total += slope**2 if squared else slope
    return within(model, total / settings.samples)


SMOOTHGRAD = Method(
    "SmoothGrad",
    "The gradient averaged over noisy copies of the clip: what stays is what does not hang on "
    "single values.",
    "Smilkov et al. 2017, SmoothGrad: removing noise by adding noise",
    function=smooth_grad,
    reports=True,
    settings=SmoothGradSettings,
    scope="clip",
)
SMOOTHGRAD_SQUARED = Method(
    "SmoothGrad, squared",
    "The squares of the gradients at noisy copies of the clip, averaged: how strongly a pixel "
    "counts, whichever way.",
    "Hooker et al. 2019, A Benchmark for Interpretability Methods in Deep Neural Networks",
    function=partial(smooth_grad, squared=True),
    reports=True,
    settings=SmoothGradSettings,
    scope="clip",
)
