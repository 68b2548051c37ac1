"""A film as numbers to climb on: its spectrum in space and time, colours decorrelated.

Gradient ascent on pixels ends in noise, because neighbouring pixels move by themselves. Moving the
Fourier coefficients of a film, each in proportion to what films of the world have at its frequency,
gives large smooth patterns first (Olah, Mordvintsev and Schubert 2017, "Feature Visualization",
for pictures). The amplitude here is ``hypot(f, smoothness * ft) ** -DECAY``, with f in cycles a
pixel and ft in cycles a frame: a pattern that drifts at v pixels a frame has ``ft = v f``, so
smoothness is the time in frames that a pixel's way should take, and speeds far above
``1 / smoothness`` are held back. With 0 every frame may differ from the next at no cost.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...clips import preprocess_frames
from ...nets import InputSpec

# Principal axes of the colours (R, G, B) within photographs, and how far they vary along each,
# relative to the first: light, red against blue, green against both. Measured on 129 of them.
_AXES = ((0.58, 0.62, 0.53), (-0.77, 0.20, 0.61), (0.27, -0.76, 0.59))
_SPREAD = (1.0, 0.54, 0.28)
# Amplitudes of photographs fall as 1 / f. Slightly steeper looks calmer in deep layers; at 2 the
# films of all layers are blurs, at 1 those of deep layers are noisy.
DECAY = 1.25
_START = 0.15  # of the coefficients at the start, in their standard deviations
CONTRAST = 1.1  # standard deviation at most, in logits of 0-255: about 55 grey levels


class FourierVideo:
    """Films (S, 3, T, H, W) that are made of spectra, and back to the pixels a network takes.

    Args:
        count: films S. spec: size, frames and preprocessing of the network's input.
        smoothness: 0 (every frame by itself) and up; see above.
        seed: of the start. device: where the numbers lie.
    """

    def __init__(
        self,
        count: int,
        spec: InputSpec,
        *,
        smoothness: float = 1.0,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.spec = spec
        self.size = (spec.frames, *spec.crop)
        t, h, w = self.size
        ft = torch.fft.fftfreq(t)[:, None, None]
        fy, fx = torch.fft.fftfreq(h)[None, :, None], torch.fft.rfftfreq(w)[None, None]
        radius = torch.hypot(torch.hypot(fx, fy).clamp(min=1 / max(h, w)), smoothness * ft)
        amplitude = radius**-DECAY
        # films of independent coefficients then have a standard deviation of 1
        amplitude /= amplitude.square().mean().sqrt() * math.sqrt(2)
        self._amplitude = amplitude.to(device)
        axes = torch.tensor(_AXES) * torch.tensor(_SPREAD)[:, None]
        if spec.channels == 1:
            axes = torch.tensor([[1.0], [0.0], [0.0]])
        elif spec.channel_order == "BGR":
            axes = axes.flip(1)
        self._colours = (axes / axes.square().sum(0).mean().sqrt()).to(device)
        start = torch.randn(
            count, 3, *amplitude.shape, 2, generator=torch.Generator().manual_seed(seed)
        )
        self.numbers = (_START * start).to(device).requires_grad_(True)
        black = np.zeros((*self.size, 3), np.uint8)
        self._black = preprocess_frames(black, spec).to(device)  # has a mean volume in, too
        std = torch.tensor(spec.std or (1.0,) * spec.channels).view(-1, 1, 1, 1)
        self._gain = (spec.scale / std).to(device)

    def levels(self) -> Tensor:
        """(S, C, T, H, W), 0-255, in the network's channel order; differentiable."""
        spectrum = torch.view_as_complex(self.numbers) * self._amplitude
        films = torch.fft.irfftn(spectrum, self.size, dim=(2, 3, 4), norm="ortho")
        films = torch.einsum("sathw,ac->scthw", films, self._colours)
        spread = films.flatten(1).std(1).view(-1, 1, 1, 1, 1)
        return 255 * torch.sigmoid(films * (CONTRAST / spread).clamp(max=1))

    def pixels(self, levels: Tensor) -> Tensor:
        """Levels as the network takes them."""
        result: Tensor = self._black + levels * self._gain
        return result

    def frames(self) -> npt.NDArray[np.uint8]:
        """(S, T, H, W, 3) uint8 RGB."""
        with torch.no_grad():
            levels = self.levels().round().clamp(0, 255).to(torch.uint8).cpu()
        if self.spec.channels == 1:
            levels = levels.expand(-1, 3, -1, -1, -1)
        elif self.spec.channel_order == "BGR":
            levels = levels.flip(1)
        return np.ascontiguousarray(levels.permute(0, 2, 3, 4, 1).numpy())
