"""Small networks that are no chains, built like the well-known families, for 8 x 32 x 32."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHAPE = (1, 3, 8, 32, 32)


def settled(net: nn.Module, seed: int = 0) -> nn.Module:
    """In eval mode, with weights, biases and statistics that nothing cancels in."""
    generator = torch.Generator().manual_seed(seed)

    def draw(values: Tensor) -> Tensor:
        return torch.randn(values.shape, generator=generator).to(values.dtype)

    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv3d | nn.Linear):
                module.weight.copy_(draw(module.weight) * (2 / module.weight[0].numel()) ** 0.5)
                if module.bias is not None:
                    module.bias.copy_(draw(module.bias) * 0.1)
            elif isinstance(module, nn.BatchNorm3d):
                module.weight.copy_(1 + draw(module.weight) * 0.3)
                module.bias.copy_(draw(module.bias) * 0.2)
                module.running_mean.copy_(draw(module.running_mean) * 0.2)
                module.running_var.copy_(1 + draw(module.running_var).abs() * 0.5)
    return net.eval()


def conv(ins: int, outs: int, kernel: object = 3, stride: object = 1, **more: object) -> nn.Module:
    """A convolution without bias, whose padding keeps odd kernels in the middle, and a norm."""
    sizes = kernel if isinstance(kernel, tuple) else (kernel,) * 3
    padding = tuple(k // 2 for k in sizes)
    return nn.Sequential(
        nn.Conv3d(ins, outs, sizes, stride, padding, bias=False, **more),
        nn.BatchNorm3d(outs),
    )


class Block(nn.Module):
    """A residual block with one ReLU module for both places, and a strided way past it."""

    def __init__(self, ins: int, outs: int, stride: int, factorised: bool) -> None:
        super().__init__()

        def unit(ins: int, stride: int) -> nn.Module:
            if not factorised:
                return conv(ins, outs, 3, stride)
            return nn.Sequential(
                conv(ins, 5, (1, 3, 3), (1, stride, stride)),
                nn.ReLU(inplace=True),
                conv(5, outs, (3, 1, 1), (stride, 1, 1)),
            )

        self.conv1, self.conv2 = unit(ins, stride), unit(outs, 1)
        self.relu = nn.ReLU(inplace=True)
        self.past = conv(ins, outs, 1, stride) if stride != 1 or ins != outs else None

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.past is None else self.past(x)
        out = self.conv2(self.relu(self.conv1(x)))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    """As r3d_18, or with ``factorised`` as r2plus1d_18."""

    def __init__(self, factorised: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 6, (3, 7, 7), (1, 2, 2)), nn.ReLU(inplace=True))
        self.layer1 = Block(6, 6, 1, factorised)
        self.layer2 = nn.Sequential(Block(6, 8, 2, factorised), Block(8, 8, 1, factorised))
        self.pool, self.drop = nn.AdaptiveAvgPool3d(1), nn.Dropout(0.5)
        self.fc = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.layer2(self.layer1(self.stem(x))))
        return self.fc(self.drop(x.flatten(1)))


class Inception(nn.Module):
    """Four branches that are joined: 1 x 1 x 1, 3 x 3 x 3, grouped and dilated, pooled."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, 3, (1, 2, 2))
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.one, self.three = conv(8, 3, 1), conv(8, 4, 3)
        self.groups = nn.Conv3d(8, 4, 3, padding=2, dilation=2, groups=2)
        self.after = conv(8, 2, 1)
        self.top = nn.Conv3d(13, 5, (2, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.relu(self.stem(x)))
        pooled = F.max_pool3d(x, 3, 1, 1)
        branches = [F.relu(self.one(x)), F.relu(self.three(x)), torch.relu(self.groups(x))]
        x = torch.cat([*branches, self.after(pooled).relu_()], dim=1)
        return F.relu(self.top(F.avg_pool3d(x, (1, 2, 2), padding=(0, 1, 1)))).mean([2, 3, 4])


class TwoPools(nn.Module):
    """Scaled pixels, a branch of averages and one of maxima, whose sum has a ceiling."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor([0.1, -0.2, 0.3]).view(1, 3, 1, 1, 1))
        self.first, self.second = conv(3, 6, 3), nn.Conv3d(6, 6, 3, 2, padding="valid")
        self.relu, self.ceiling = nn.ReLU(), nn.ReLU6()
        self.down = nn.AvgPool3d((2, 3, 3), (1, 2, 2))
        self.fc = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.first((x - self.shift) / 0.7))
        x = self.down(x) + F.max_pool3d(x, (2, 3, 3), (1, 2, 2))
        x = self.ceiling(self.second(x) * 2)
        return self.fc(torch.flatten(F.adaptive_max_pool3d(x, (None, 1, 1)).mean((2, 3, 4)), 1))


NETS = {
    "residual": lambda: settled(ResNet()),
    "factorised": lambda: settled(ResNet(True)),
    "inception": lambda: settled(Inception()),
    "two pools": lambda: settled(TwoPools()),
}
LAYERS = {
    "residual": ("stem", "layer1.conv1.0", "layer1", "layer1.relu#0", "layer2.0.past",
                 "layer2.0", "layer2.1.conv2.1", "layer2", "pool", "drop", "fc"),
    "factorised": ("stem", "layer1.conv1.1", "layer1", "layer2.0.conv2.2.0", "layer2", "fc"),
    "inception": ("pool", "one", "groups", "after", "top", ""),
    "two pools": ("relu", "down", "second", "ceiling", "fc"),
}  # fmt: skip
