"""The climb: films that make a channel answer more and more, kept apart from each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import VizError
from ...progress import Progress
from ..reach import check_finite
from .layer import Reader
from .video import FourierVideo

Preview = Callable[[npt.NDArray[np.uint8]], None]  # (T, H, W, 3) RGB of the first film so far

PREVIEW = 4  # steps between two of them
RATE = 0.1  # of Adam, in standard deviations of a Fourier coefficient
LEAK = 0.1  # share of values below 0 that counts: a silent channel still says which way is up
_SCALES = (0.92, 1.08)  # of the picture, drawn anew at each step
_TURN = 0.05  # radians


@dataclass(frozen=True)
class Ascent:
    """What a climb gave.

    Attributes:
        frames: (S, T, H, W, 3) uint8 RGB.
        answers: (steps, S) that mean on the way.
    """

    frames: npt.NDArray[np.uint8]
    answers: npt.NDArray[np.float32]


def climb(
    reader: Reader,
    channel: int,
    video: FourierVideo,
    *,
    steps: int = 48,
    jitter: int | None = None,
    diversity: float = 0.5,
    seed: int = 0,
    progress: Progress | None = None,
    what: str = "",
    preview: Preview | None = None,
) -> Ascent:
    """Make the films of ``video`` raise the mean of a channel over its grid, after a leaky ReLU.

    Each step looks at the films moved by a few pixels and frames, a little turned and scaled, so
    that only what survives that grows (the films come back at their edges, in time too).

    Args:
        jitter: pixels a film is moved at most each way, None a fourteenth of its shorter side;
            frames: a quarter of the clip.
        diversity: weight of the cosine between the films' Gram matrices at the layer, which is
            taken off; 0 lets several films become one.
        progress: told after each step; may raise to stop.
        preview: shown the first film now and then.

    Raises:
        VizError: the channel gives no gradient, or NaN.
    """
    generator = torch.Generator().manual_seed(seed)
    jitter = min(video.size[1:]) // 14 if jitter is None else jitter
    optimiser = torch.optim.Adam([video.numbers], lr=RATE, betas=(0.9, 0.99))
    answers: list[Tensor] = []
    unit: float | None = None
    for step in range(steps):
        with torch.enable_grad():
            levels = video.levels()
            grid = reader(video.pixels(_moved(levels, jitter, generator)))
            inner = grid[:, channel].reshape(len(grid), -1)  # a vector has one number
            # the mean of a convolution is what it gives to an even surface: what counts is above 0
            mean = F.leaky_relu(inner, LEAK).mean(1)
            check_finite(reader.layer, mean.detach())
            if unit is None:  # what the channel varies by at the start: its own measure
                spread = float(inner.detach().std(correction=0))
                if spread == 0 and inner.shape[1] > 1:  # one number for a film has no spread
                    raise VizError(_dead(reader, channel))
                unit = spread if spread > 0 else 1.0
            goal = mean.sum() / unit
            if diversity and len(mean) > 1:
                goal = goal - diversity * _likeness(grid) * len(mean)
        (slope,) = torch.autograd.grad(goal, [video.numbers], allow_unused=True)
        if slope is None or not bool(torch.isfinite(slope).all()) or not bool(slope.any()):
            raise VizError(_dead(reader, channel))
        video.numbers.grad = -slope
        optimiser.step()
        answers.append(mean.detach().float().cpu())
        if preview is not None and step % PREVIEW == 0:
            preview(video.frames()[0])
        if progress is not None:
            progress(step + 1, steps, what)
    video.numbers.grad = None
    return Ascent(video.frames(), torch.stack(answers).numpy())


def _dead(reader: Reader, channel: int) -> str:
    return (
        f"{reader.layer} channel {channel} gives no gradient to climb on: it does not answer to "
        f"the start; try another --seed, or another channel"
    )


def _moved(levels: Tensor, jitter: int, generator: torch.Generator) -> Tensor:
    """The films shifted in a circle, then turned and scaled a little; each film by itself."""
    frames = levels.shape[2] // 4
    moved = []
    for film in levels:
        t, y, x, turn, scale = torch.rand(5, generator=generator).tolist()
        shift = (
            round((2 * t - 1) * frames), round((2 * y - 1) * jitter), round((2 * x - 1) * jitter)
        )  # fmt: skip
        film = film.roll(shift, (1, 2, 3))
        size = _SCALES[0] + scale * (_SCALES[1] - _SCALES[0])
        angle = torch.tensor((2 * turn - 1) * _TURN)
        cos, sin = angle.cos() / size, angle.sin() / size
        matrix = torch.stack([torch.stack([cos, -sin, cos * 0]), torch.stack([sin, cos, cos * 0])])
        planes = film.transpose(0, 1)  # (T, C, H, W)
        grid = F.affine_grid(
            matrix[None].expand(len(planes), -1, -1), list(planes.shape), align_corners=False
        )
        turned = F.grid_sample(
            planes, grid.to(levels.device), padding_mode="reflection", align_corners=False
        )
        moved.append(turned.transpose(0, 1))
    return torch.stack(moved)


def _likeness(grid: Tensor) -> Tensor:
    """Mean cosine between the Gram matrices (C, C) of the films' activations, pair by pair."""
    flat = grid.reshape(*grid.shape[:2], -1).clamp(min=0)
    gram = F.normalize((flat @ flat.transpose(1, 2)).flatten(1), dim=1)
    cosines = gram @ gram.T
    n = len(gram)
    likeness: Tensor = (cosines.sum() - cosines.diagonal().sum()) / (n * (n - 1))
    return likeness
