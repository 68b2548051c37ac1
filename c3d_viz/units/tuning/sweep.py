"""The response of every channel to every drifting pattern, in one sweep over the clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...clips import preprocess_frames
from ...errors import VizError
from ...nets import InputSpec
from ...progress import Progress
from ...synthetic import drifting_grating, drifting_sprite, drifting_texture
from ...trust import reinitialised
from ..reach import Reach, check_finite

Floats = npt.NDArray[np.float64]

DIRECTIONS = tuple(range(0, 360, 30))  # degrees, 0 to the right, 90 up
_CACHE = 1 << 28  # bytes of clips that are kept for the next network
_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True)
class Grid:
    """Which speeds, pixels a frame, and of gratings which wavelengths, pixels."""

    speeds: tuple[float, ...]
    wavelengths: tuple[float, ...]


FULL = Grid((0.5, 1.0, 1.5, 2.25, 3.25), (28.0, 16.0, 10.0, 7.0))
COARSE = Grid((0.5, 1.5, 3.25), (16.0, 7.0))  # two fifths of the clips, from the same ends


@dataclass(frozen=True)
class Condition:
    """One clip: a grating of some wavelength; where that is None the texture, or the cut-out."""

    direction: int
    speed: float
    wavelength: float | None
    sprite: bool = False


@dataclass(frozen=True)
class Responses:
    """Mean responses of the N channels of a layer, at least 0; S speeds, W wavelengths.

    Attributes:
        grating: (N, 12, S, W) by direction, speed, wavelength.
        texture: (N, 12, S) by direction, speed.
        still: (N, 6 W + 1) to the gratings and the texture that stand still.
        sprite: (N, 12, S) to a cut-out that moves over grey, by direction, speed.
        grid: the speeds and wavelengths.
    """

    grating: Floats
    texture: Floats
    still: Floats
    sprite: Floats
    grid: Grid = FULL


def conditions(grid: Grid = FULL) -> tuple[Condition, ...]:
    """Every clip: gratings, textures, those that stand still, then the cut-out."""
    speeds, waves = grid.speeds, grid.wavelengths
    moving = [Condition(d, s, w) for d in DIRECTIONS for s in speeds for w in waves]
    texture = [Condition(d, s, None) for d in DIRECTIONS for s in speeds]
    still = [Condition(d, 0.0, w) for d in DIRECTIONS[: len(DIRECTIONS) // 2] for w in waves]
    sprite = [Condition(d, s, None, sprite=True) for d in DIRECTIONS for s in speeds]
    return (*moving, *texture, *still, Condition(0, 0.0, None), *sprite)


class Clips:
    """The clips of a sweep as a network's input; those of the last networks are kept."""

    def __init__(self, spec: InputSpec) -> None:
        self.spec = spec
        self._kept: dict[Condition, npt.NDArray[np.uint8]] = {}

    def tensor(self, condition: Condition) -> Tensor:
        """(1, C, T, H, W) float32."""
        grey = self._grey(condition)
        return preprocess_frames(np.repeat(grey[..., None], 3, axis=-1), self.spec)

    def _grey(self, condition: Condition) -> npt.NDArray[np.uint8]:
        """(T, H, W); a pattern that drifts the other way is the same film in opposite order."""
        if condition.direction >= 180:
            other = replace(condition, direction=condition.direction - 180)
            return self._grey(other)[::-1]
        if condition in self._kept:
            return self._kept[condition]
        height, width = self.spec.crop
        size = {"frames": self.spec.frames, "height": height, "width": width}
        if condition.sprite:
            frames = drifting_sprite(condition.direction, condition.speed, **size)
        elif condition.wavelength is None:
            frames = drifting_texture(condition.direction, condition.speed, **size)
        else:
            frames = drifting_grating(
                condition.direction, condition.speed, condition.wavelength, **size
            )
        grey = np.ascontiguousarray(frames[..., 0])
        if (len(self._kept) + 1) * grey.nbytes <= _CACHE:
            self._kept[condition] = grey
        return grey


def sweep(
    model: nn.Module,
    clips: Clips,
    layers: Sequence[str],
    progress: Progress | None = None,
    what: str = "",
    grid: Grid = FULL,
) -> dict[str, Responses]:
    """Responses of every channel of the layers to all ``conditions`` of the grid.

    The model is only listened to; it may be on any device.

    Raises:
        LayerError: a layer that does not exist, is not called, or has no channels.
        VizError: a layer answers NaN.
    """
    todo = conditions(grid)
    reach = Reach(model, layers, clips.tensor(todo[0]))
    rows: dict[str, list[Floats]] = {layer: [] for layer in layers}
    done = 0
    for x in reach.batches(len(todo), lambda number: clips.tensor(todo[number])):
        for layer, values in respond(reach, x).items():
            rows[layer].append(values)
        done += len(x)
        if progress is not None:
            progress(done, len(todo), what)
    moving = (len(DIRECTIONS), len(grid.speeds), len(grid.wavelengths))
    count, texture = math.prod(moving), math.prod(moving[:2])
    found = {}
    for layer in layers:
        table = np.concatenate(rows[layer]).T  # (N, clips)
        found[layer] = Responses(
            table[:, :count].reshape(-1, *moving),
            table[:, count : count + texture].reshape(-1, *moving[:2]),
            table[:, count + texture : -texture],
            table[:, -texture:].reshape(-1, *moving[:2]),
            grid,
        )
    return found


def respond(reach: Reach, x: Tensor) -> dict[str, Floats]:
    """Mean response (B, N) of every channel of each layer to B clips (B, C, T, H, W).

    Negative activations count as 0; a quarter of every axis (rounded down) is left out at either
    end, where the layer sees the padding.
    """

    def keep(layer: str, _module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
        inner = output
        for axis, n in enumerate(inner.shape[2:], start=2):
            inner = inner.narrow(axis, n // 4, n - 2 * (n // 4))
        return inner.clamp(min=0).flatten(2).mean(2) if inner.ndim > 2 else inner.clamp(min=0)

    with torch.no_grad():
        answers = reach(x, keep)
    for layer, values in answers.items():
        check_finite(layer, values)
    return {layer: values.double().cpu().numpy() for layer, values in answers.items()}


def untrained(model: nn.Module, seed: int) -> nn.Module:
    """A copy with nothing learned: He weights, biases 0, normalisations as new.

    Raises:
        VizError: a module has parameters for which no such start is known.
    """
    fresh = reinitialised(model, seed)
    generator = torch.Generator().manual_seed(seed)
    for name, module in fresh.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if not own or isinstance(module, nn.Conv3d | nn.Linear):
            continue
        if isinstance(module, _NORMS):
            module.reset_parameters()
        elif isinstance(module, nn.modules.conv._ConvNd):
            fan_in = math.prod(module.weight.shape[1:])
            noise = torch.randn(module.weight.shape, generator=generator)
            with torch.no_grad():
                module.weight.copy_(noise * (2 / fan_in) ** 0.5)
                if module.bias is not None:
                    module.bias.zero_()
        else:
            raise VizError(
                f"no untrained copy of {type(model).__name__}: {name or 'it'} is a "
                f"{type(module).__name__} with parameters of its own; only convolutions, linear "
                f"layers and normalisations can be re-initialised; --controls 0 (maximise: "
                f"--no-untrained) goes without, and without saying what is learned"
            )
    return fresh.eval()
