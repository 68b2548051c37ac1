"""C3D (Tran et al. 2015, "Learning Spatiotemporal Features with 3D Convolutional Networks").

The network is one plain chain, so it *is* an ``nn.Sequential`` whose children carry the paper's
names: whatever walks a chain (tracing, back-projection, receptive fields) needs nothing else.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..arguments import checked
from ..errors import LayerError, ShapeError
from .layers import layer_module
from .spec import Pool5

INPUT_SHAPE = (3, 16, 112, 112)  # C, T, H, W
CONV_LAYERS = ("conv1a", "conv2a", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b")
FC_LAYERS = ("fc6", "fc7", "fc8")
LAYERS = CONV_LAYERS + FC_LAYERS
_GROUPS = (("1a",), ("2a",), ("3a", "3b"), ("4a", "4b"), ("5a", "5b"))
_WIDTHS = (1, 2, 4, 8, 8)  # filters of groups 1-5 as multiples of ``width``


class C3D(nn.Sequential):
    """C3D of any width and any temporal kernel depth. Input (N, 3, 16, 112, 112), output logits.

    Children in order: conv1a relu1a pool1 ... conv5b relu5b pool5 flatten fc6 relu6 drop6 fc7
    relu7 drop7 fc8. ReLUs are never in place, so every activation can be read.

    Args:
        num_classes: length of the logits (487 for Sports-1M).
        width: filters of conv1a; conv2a has 2 x, group 3 4 x, groups 4 and 5 8 x. 64 in the paper.
        temporal_depths: temporal kernel depth (odd) of groups 1-5. Depth 1 is the paper's 2D
            ConvNet on every frame; the paper's study has 1, 3, 5, 7, 3-3-5-5-7 and 7-5-5-3-3.
        fc: width of fc6 and fc7. 4096 in the release.
        pool5: "ceil" as the authors' Caffe release (windows clipped at the border: rows {0,1}
            {2,3} {4,5} {6}); "padded" as several ports (rows {0} {1,2} {3,4} {5,6}).

    Raises:
        ShapeError: a temporal depth is even or not positive, there are not five of them, or
            ``pool5`` is unknown.
    """

    @checked(ShapeError)
    def __init__(
        self,
        num_classes: int,
        width: int = 64,
        temporal_depths: Sequence[int] = (3, 3, 3, 3, 3),
        fc: int = 4096,
        pool5: Pool5 = "ceil",
    ) -> None:
        if len(temporal_depths) != 5 or any(d < 1 or d % 2 == 0 for d in temporal_depths):
            raise ShapeError(
                f"temporal_depths must be five odd positive numbers, one per conv group, "
                f"got {tuple(temporal_depths)}"
            )
        if not (0 <= num_classes <= 10**6 and 1 <= width <= 4096 and 1 <= fc <= 10**6):
            raise ShapeError(
                f"num_classes must be 0 to a million, width 1 to 4096, fc 1 to a million, got "
                f"{num_classes}, {width}, {fc}"
            )
        if pool5 not in ("ceil", "padded"):
            raise ShapeError(f"pool5 must be 'ceil' or 'padded', got {pool5!r}")
        chain: OrderedDict[str, nn.Module] = OrderedDict()
        channels = 3
        for group, (names, depth) in enumerate(zip(_GROUPS, temporal_depths, strict=True), start=1):
            for name in names:
                out = _WIDTHS[group - 1] * width
                chain[f"conv{name}"] = nn.Conv3d(
                    channels, out, (depth, 3, 3), padding=(depth // 2, 1, 1)
                )
                chain[f"relu{name}"] = nn.ReLU()
                channels = out
            chain[f"pool{group}"] = _pool(group, pool5)
        chain["flatten"] = nn.Flatten()  # (N, C, 1, 4, 4) -> (N, 16 C), order C, T, H, W
        chain["fc6"] = nn.Linear(channels * 16, fc)
        chain["relu6"] = nn.ReLU()
        chain["drop6"] = nn.Dropout(0.5)
        chain["fc7"] = nn.Linear(fc, fc)
        chain["relu7"] = nn.ReLU()
        chain["drop7"] = nn.Dropout(0.5)
        chain["fc8"] = nn.Linear(fc, num_classes)
        super().__init__(chain)
        self.num_classes = num_classes
        self.width = width
        self.temporal_depths = tuple(temporal_depths)
        self.fc = fc
        self.pool5_form: Pool5 = pool5

    # what ``nets.layers`` reads; forward checks the shape, then runs the children in order
    runs_in_order = True

    def named_layers(self) -> dict[str, nn.Module]:
        """The paper's layers: conv and fc mean the output after the ReLU, fc8 the logits."""
        modules: dict[str, nn.Module] = dict(self.named_children())
        after = {layer: f"relu{layer.removeprefix('conv').removeprefix('fc')}" for layer in LAYERS}
        return {layer: modules[after[layer] if layer != "fc8" else layer] for layer in LAYERS}

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, num_classes) of a batch of clips (N, 3, 16, 112, 112).

        Raises:
            ShapeError: any other shape. Another size would reach fc6 as several rows of one clip.
        """
        if x.ndim != 5 or tuple(x.shape[1:]) != INPUT_SHAPE:
            raise ShapeError(
                f"C3D takes (N, 3, 16, 112, 112), got {tuple(x.shape)}; use preprocess() on a "
                f"16-frame clip"
            )
        for module in self:
            x = module(x)
        return x


def _pool(group: int, pool5: Pool5) -> nn.MaxPool3d:
    if group == 1:  # spares time: "we do not want to merge the temporal signal too early" (3.1)
        return nn.MaxPool3d((1, 2, 2), (1, 2, 2))
    if group == 5:
        if pool5 == "ceil":
            return nn.MaxPool3d(2, 2, ceil_mode=True)
        return nn.MaxPool3d(2, 2, padding=(0, 1, 1))
    return nn.MaxPool3d(2, 2)


def initialise(model: nn.Module, seed: int, scheme: Literal["he", "release"] = "he") -> None:
    """Fill every convolution and linear layer with seeded random weights, in place.

    Args:
        model: any module; only Conv3d and Linear parameters change.
        seed: same seed, same weights, whatever the global generator did before.
        scheme: "he" (He et al. 2015, fan-in, bias 0) keeps activations alive in an untrained
            net and is the baseline of the finding; "release" is the authors' Gaussian 0.01 /
            0.005 with bias 1, meant as a start of training.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, module in model.named_modules():
            if not isinstance(module, nn.Conv3d | nn.Linear):
                continue
            if scheme == "he":
                fan_in = math.prod(module.weight.shape[1:])
                std, bias = (2.0 / fan_in) ** 0.5, 0.0
            else:
                std = 0.005 if name in ("fc6", "fc7") else 0.01
                bias = 0.0 if name in ("conv1a", "fc8") else 1.0
            noise = torch.randn(module.weight.shape, generator=generator)
            module.weight.copy_(noise.mul_(std))
            if module.bias is not None:
                module.bias.fill_(bias)


@dataclass(frozen=True)
class ReceptiveField:
    """Where a unit looks: index i of an axis sees input ``start + i * step`` .. ``+ size - 1``.

    Attributes:
        size: (t, h, w) extent in input frames and pixels, not clipped at the border.
        step: (t, h, w) distance in the input between neighbouring units.
        start: (t, h, w) first input index unit 0 sees; negative where padding reaches out.
    """

    size: tuple[int, int, int]
    step: tuple[int, int, int]
    start: tuple[int, int, int]


@checked(ShapeError)
def receptive_field(model: nn.Sequential, layer: str) -> ReceptiveField:
    """Receptive field of a convolution or pooling layer in a plain chain.

    Walks conv and pool kernels from the input: size grows by (k - 1) * step, step multiplies by
    the stride, start moves by -padding * step.

    Raises:
        LayerError: unknown layer, or one behind ``flatten`` (it sees the whole clip).
    """
    target = layer_module(model, layer)
    size, step, start = [1, 1, 1], [1, 1, 1], [0, 0, 0]
    for module in model.children():
        if isinstance(module, nn.Flatten | nn.Linear):
            raise LayerError(f"{layer} is fully connected and sees the whole clip")
        if isinstance(module, nn.Conv3d | nn.MaxPool3d):
            sizes = (module.kernel_size, module.stride, module.padding)
            kernel, stride, pad = (triple(value) for value in sizes)
            for axis in range(3):
                size[axis] += (kernel[axis] - 1) * step[axis]
                start[axis] -= pad[axis] * step[axis]
                step[axis] *= stride[axis]
        if module is target:
            break
    return ReceptiveField(triple(size), triple(step), triple(start))


def triple(value: int | Sequence[int] | str) -> tuple[int, int, int]:
    """A module's kernel, stride, padding or dilation as (t, h, w)."""
    if isinstance(value, int):
        return (value, value, value)
    a, b, c = (int(v) for v in value)
    return (a, b, c)
