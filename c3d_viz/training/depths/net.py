"""The paper's five-convolution network, narrow, at any temporal kernel depth."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import ShapeError
from ...synthetic import HOWS, WHATS
from ..nets import Headed

# Tran et al. 2015, figure 2: the same depth everywhere on the left, varying on the right
DEPTHS = {
    "depth-1": (1, 1, 1, 1, 1),
    "depth-3": (3, 3, 3, 3, 3),
    "depth-5": (5, 5, 5, 5, 5),
    "depth-7": (7, 7, 7, 7, 7),
    "increasing": (3, 3, 5, 5, 7),
    "decreasing": (7, 5, 5, 3, 3),
}
HEADS = (len(WHATS), len(HOWS))
_MULTIPLES = (1, 2, 4, 4, 4)  # 64, 128, 256, 256, 256 filters in the paper


class DepthNet(Headed):
    """Five convolutions, each with pooling, batch normalisation and ReLU; two hidden layers.

    As in section 3.2 a pooling follows every convolution, 1 x 2 x 2 behind the first and 2 x 2 x 2
    behind the others (windows are clipped at the border), and padding keeps every size, so that
    networks of different depths differ in nothing but their kernels' extent in time.

    Args:
        depths: temporal kernel depth (odd) of each convolution.
        width: filters of the first; the others have 2, 4, 4 and 4 times as many.
        fc: width of the hidden layers.
        frames, size: of the clips (N, 3, frames, size, size) it takes.
        heads: length of each head's logits; what and how.

    Raises:
        ShapeError: not five odd positive depths.
    """

    def __init__(
        self,
        depths: Sequence[int],
        *,
        width: int = 8,
        fc: int = 128,
        frames: int = 16,
        size: int = 40,
        heads: Sequence[int] = HEADS,
    ) -> None:
        if len(depths) != len(_MULTIPLES) or any(d < 1 or d % 2 == 0 for d in depths):
            raise ShapeError(f"depths must be five odd positive numbers, got {tuple(depths)}")
        super().__init__()
        self.heads = tuple(heads)
        channels = 3
        for number, (depth, multiple) in enumerate(zip(depths, _MULTIPLES, strict=True), start=1):
            kernel, pad = (depth, 3, 3), (depth // 2, 1, 1)
            out = multiple * width
            conv = nn.Conv3d(channels, out, kernel, padding=pad, bias=False)
            self.add_module(f"conv{number}", conv)
            self.add_module(f"bn{number}", nn.BatchNorm3d(out))
            channels = out
            frames = frames if number == 1 else -(-frames // 2)
            size = -(-size // 2)
        self.fc6 = nn.Linear(channels * frames * size**2, fc, bias=False)
        self.bn6 = nn.BatchNorm1d(fc)
        self.fc7 = nn.Linear(fc, fc, bias=False)
        self.bn7 = nn.BatchNorm1d(fc)
        self.fc8 = nn.Linear(fc, sum(heads))
        self.dropout = nn.Dropout(0.2)

    def forward(self, x: Tensor, bf16: bool = False) -> Tensor:
        """Logits of all heads side by side, (N, sum(heads)). ``bf16`` gains little here and is
        left alone."""
        for number in range(1, len(_MULTIPLES) + 1):
            x = getattr(self, f"conv{number}")(x)
            x = F.max_pool3d(x, (1 if number == 1 else 2, 2, 2), ceil_mode=True)
            x = F.relu(getattr(self, f"bn{number}")(x))  # behind the pooling: a quarter of the work
        x = x.flatten(1)
        for number in (6, 7):
            x = getattr(self, f"bn{number}")(getattr(self, f"fc{number}")(x))
            x = self.dropout(F.relu(x))
        logits: Tensor = self.fc8(x)
        return logits

    @property
    def parameters_of_convolutions(self) -> int:
        """Weights of the five convolutions, the only ones that depend on the depths."""
        return sum(m.weight.numel() for m in self.modules() if isinstance(m, nn.Conv3d))
