"""Do the maps depend on what was learned? Weight randomisation, and deletion and insertion.

Adebayo et al. 2018, "Sanity Checks for Saliency Maps": a map that stays the same when the weights
are replaced by random ones says nothing about them. Petsiuk et al. 2018, "RISE": the pixels a map
calls important should matter to the unit when they are taken away or given back.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..engine import Unit, locate, trace
from ..errors import LayerError, ShapeError
from ..methods import attribute_many
from ..nets import C3D, CONV_LAYERS, INPUT_SHAPE, initialise
from ..stats import blur_and_sample, partial_spearman, spearman

if TYPE_CHECKING:
    from ..methods import Attribution

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Similarity:
    """How much of a map is left after weights were randomised.

    Attributes:
        layer: the layers from the unit's down to this one are random ("none": the original).
        depth: how many layers are random.
        spearman: rank correlation of the two |R|, colours summed; NaN if a map is constant.
        beyond_paths: the same with the number of paths from each pixel to the unit taken off
            (partial correlation). Any two networks of one architecture share that envelope.
        ssim: structural similarity of the two |R|, each scaled to a maximum of 1; NaN likewise.
    """

    layer: str
    depth: int
    spearman: float
    beyond_paths: float
    ssim: float


def reinitialised(model: nn.Module, seed: int) -> nn.Module:
    """A copy of the network with He weights: same architecture, nothing learned."""
    fresh = copy.deepcopy(model)
    initialise(fresh, seed)
    return fresh


def permuted(model: nn.Module, seed: int) -> nn.Module:
    """A copy whose weights are shuffled within each layer: same values, no structure.

    Every convolution and linear weight is permuted as a whole, biases among themselves.
    """
    shuffled = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in shuffled.modules():
            if isinstance(module, nn.Conv3d | nn.Linear):
                for values in (module.weight, module.bias):
                    if values is not None:
                        order = torch.randperm(values.numel(), generator=generator)
                        flat = values.reshape(-1)[order.to(values.device)]
                        values.copy_(flat.reshape(values.shape))
    return shuffled


def randomised_top_down(
    model: nn.Module, layers: Sequence[str], seed: int
) -> Iterator[tuple[str, nn.Module]]:
    """Networks in which the first 1, 2, ... of ``layers`` are random (He), cumulatively.

    Yields:
        The name of the layer randomised last, and a copy of the model. The copy is changed
        further when the next one is asked for.

    Raises:
        LayerError: a name is not a convolution or linear layer of the model.
    """
    changed = copy.deepcopy(model)
    modules = dict(changed.named_modules())
    for depth, name in enumerate(layers):
        if not isinstance(modules.get(name), nn.Conv3d | nn.Linear):
            raise LayerError(f"{name!r} is no convolution or linear layer of this model")
        initialise(modules[name], seed * 1000 + depth)
        yield name, changed


def weight_randomisation(
    model: nn.Module, x: Tensor, unit: Unit, method: str, *, seed: int = 0
) -> list[Similarity]:
    """Similarity of a unit's map to the original, as layers are randomised from its own down.

    Args:
        model: a C3D.
        x: one clip (1, 3, T, H, W).
        unit: of a conv layer; a position of None is the strongest under the original weights,
            and stays the same for every network.

    Returns:
        One entry per depth, the first being the original with itself (1.0).

    Raises:
        LayerError: the model is no C3D, or the unit is not in a conv layer.
    """
    if not isinstance(model, C3D) or unit.layer not in CONV_LAYERS:
        raise LayerError(f"weight randomisation takes a conv layer of a C3D, got {unit.layer!r}")
    layers = CONV_LAYERS[CONV_LAYERS.index(unit.layer) :: -1]
    original = next(iter(attribute_many(model, x, [unit], method)))
    paths = blur_and_sample(path_counts(model, original.unit)).reshape(-1)
    found = [Similarity("none", 0, 1.0, 1.0, 1.0)]
    for depth, (name, network) in enumerate(randomised_top_down(model, layers, seed), start=1):
        other = next(iter(attribute_many(network, x, [original.unit], method)))
        numbers = map_similarity(original.values, other.values, paths)
        found.append(Similarity(name, depth, *numbers))
    return found


def map_similarity(
    first: Floats, second: Floats, given: npt.NDArray[np.float64] | None = None
) -> tuple[float, float, float]:
    """Spearman correlation, the same given a third map, and SSIM of two back-projections.

    All on |R| summed over colours. Rank correlations over every fourth pixel of every frame after
    a blur of 2 px (as in the finding); SSIM with a Gaussian window of 1.5 px, mean over frames.

    Args:
        first, second: (3, T, H, W).
        given: what to take off, sampled as ``blur_and_sample`` does and flattened; None: nothing.

    Returns:
        Three numbers, NaN where a map is constant or not finite.
    """
    if first.shape != second.shape or first.ndim != 4:
        raise ShapeError(f"two maps (3, T, H, W) are compared, got {first.shape}, {second.shape}")
    a, b = (np.abs(m).sum(0, dtype=np.float32) for m in (first, second))  # (T, H, W)
    if not (np.isfinite(a).all() and np.isfinite(b).all()) or a.max() == 0 or b.max() == 0:
        return float("nan"), float("nan"), float("nan")
    small_a, small_b = (blur_and_sample(m).reshape(-1) for m in (a, b))
    if given is None:
        given = np.zeros(small_a.shape)
    plain, rest = spearman(small_a, small_b), partial_spearman(small_a, small_b, given)
    return float(plain), float(rest), ssim(a / a.max(), b / b.max())


def path_counts(model: nn.Sequential, unit: Unit) -> npt.NDArray[np.float64]:
    """(T, H, W) number of paths from each input pixel to a conv unit of a C3D.

    A product of three vectors: a one at the unit is spread by every convolution's kernel (box of
    ones, zero padding) and repeated by every pooling's stride, axis by axis.
    """
    assert unit.at is not None
    children = list(model.named_children())
    last = [name for name, _ in children].index(unit.layer)
    chain = [m for _, m in children[: last + 1] if isinstance(m, nn.Conv3d | nn.MaxPool3d)]
    sizes: list[tuple[int, ...]] = [INPUT_SHAPE[1:]]
    for module in chain:
        stride = _three(module.stride)
        sizes.append(tuple(n // s for n, s in zip(sizes[-1], stride, strict=True)))
    vectors = []
    for axis in range(3):
        line = np.zeros(sizes[-1][axis])
        line[unit.at[axis]] = 1.0
        for module, below in zip(reversed(chain), reversed(sizes[:-1]), strict=True):
            if isinstance(module, nn.Conv3d):
                kernel = np.ones(_three(module.kernel_size)[axis])
                pad = len(kernel) // 2
                line = np.convolve(line, kernel)[pad : pad + below[axis]]
            else:
                line = np.repeat(line, _three(module.stride)[axis])
        vectors.append(line)
    paths: npt.NDArray[np.float64] = np.einsum("t,h,w->thw", *vectors)
    return paths


def _three(value: object) -> tuple[int, int, int]:
    if isinstance(value, int):
        return value, value, value
    t, h, w = cast(tuple[int, int, int], value)
    return t, h, w


def ssim(first: Floats, second: Floats) -> float:
    """Structural similarity (Wang et al. 2004) of two stacks (T, H, W) with values 0-1.

    Gaussian window with sigma 1.5, constants (0.01)^2 and (0.03)^2; mean over all pixels.
    """

    def local(stack: Floats) -> Floats:
        return np.stack([cv2.GaussianBlur(f, (11, 11), 1.5) for f in stack])

    a, b = np.asarray(first, np.float32), np.asarray(second, np.float32)
    mean_a, mean_b = local(a), local(b)
    var_a, var_b = local(a * a) - mean_a**2, local(b * b) - mean_b**2
    cov = local(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    return float((top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean())


@dataclass(frozen=True)
class Faithfulness:
    """What the unit does as pixels are taken away, or given back, most important first.

    Attributes:
        share: (S,) share of the clip's pixels changed, 0 to 1.
        deletion: (S,) activation as the most important pixels turn grey, relative to the clip's.
        insertion: (S,) activation as they appear on a grey clip, relative to the clip's.
        deletion_area, insertion_area: areas under the curves; a faithful map has a small
            deletion area and a large insertion area.
    """

    share: npt.NDArray[np.float64]
    deletion: npt.NDArray[np.float64]
    insertion: npt.NDArray[np.float64]

    @property
    def deletion_area(self) -> float:
        return _area(self.deletion, self.share)

    @property
    def insertion_area(self) -> float:
        return _area(self.insertion, self.share)


def _area(y: npt.NDArray[np.float64], x: npt.NDArray[np.float64]) -> float:
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum())  # trapezoids


def deletion_insertion(
    model: nn.Module, x: Tensor, att: Attribution, *, steps: int = 10
) -> Faithfulness:
    """Take pixels away from the clip, or give them back, in the order of the map's |R|.

    A pixel is one place in one frame, all colours; a pixel taken away has the value 0, which is
    the mean colour for a preprocessed clip. The unit stays at its position.

    Args:
        model: the network the map was made with.
        x: the clip (1, 3, T, H, W) it was made of.
        att: the map.
        steps: number of equal parts; steps + 1 points each, two forward passes a step.

    Raises:
        ShapeError: map and clip differ in size.
    """
    if tuple(x.shape[1:]) != att.values.shape:
        raise ShapeError(f"the map {att.values.shape} is not of the clip {tuple(x.shape[1:])}")
    importance = torch.from_numpy(np.abs(att.values).sum(0)).reshape(-1)
    order = torch.sort(importance, descending=True, stable=True).indices
    share = np.linspace(0, 1, steps + 1)
    gone, back = [], []
    for part in share:
        chosen = torch.zeros(importance.numel(), dtype=torch.bool)
        chosen[order[: round(part * importance.numel())]] = True
        mask = chosen.reshape(x.shape[2:]).to(x.device)
        gone.append(_activation(model, x.masked_fill(mask, 0.0), att.unit))
        back.append(_activation(model, x.masked_fill(~mask, 0.0), att.unit))
    scale = gone[0] if gone[0] > 0 else float("nan")
    return Faithfulness(share, np.asarray(gone) / scale, np.asarray(back) / scale)


def _activation(model: nn.Module, x: Tensor, unit: Unit) -> float:
    values = trace(model, x, [unit.layer]).activations[unit.layer]
    unit = locate(values, unit)
    assert unit.at is not None
    return float(values[(unit.channel, *unit.at)])
