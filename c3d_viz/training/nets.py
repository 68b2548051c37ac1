"""Networks as they are trained, and the way from them to a plain ``C3D``.

A training net has batch normalisation behind its convolutions and fc6/fc7, and one head per
question asked. Both are linear at test time, so both fold into convolution + bias and one fc8.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ShapeError
from ..nets import C3D, CONV_LAYERS, Pool5

_MULTIPLES = {"1a": 1, "2a": 2, "3a": 4, "3b": 4, "4a": 8, "4b": 8, "5a": 8, "5b": 8}
_FRAMES = {"1a": 16, "2a": 16, "3a": 8, "3b": 8, "4a": 4, "4b": 4, "5a": 2, "5b": 2}  # inputs' T
_POOLED = {"1a", "2a", "3b", "4b", "5b"}  # a pool follows these


class Headed(nn.Module):
    """A network in training: the logits of several heads side by side.

    Attributes:
        heads: length of each head's logits.
    """

    heads: tuple[int, ...]

    @property
    def memory_format(self) -> torch.memory_format:
        """Channels last: about 1.4 times as fast on a CPU."""
        return torch.channels_last_3d

    def split(self, logits: Tensor) -> list[Tensor]:
        """The logits of each head."""
        return list(torch.split(logits, list(self.heads), dim=1))


class TrainNet(Headed):
    """C3D with batch normalisation and several heads.

    Args:
        heads: length of each head's logits, e.g. (6, 10) for what and how.
        width, fc: as in ``C3D``.
        depth: temporal kernel depth of every convolution (odd); 0 for the flat net, which takes
            single pictures (N, 3, 112, 112) and is built of 2D convolutions.
        plain: layers without batch normalisation (conv + bias), for the expensive early ones.
        dropout: after fc6 and fc7.
        pool5: as in ``C3D``.
    """

    def __init__(
        self,
        heads: Sequence[int],
        *,
        width: int = 16,
        fc: int = 512,
        depth: int = 3,
        plain: Sequence[str] = (),
        dropout: float = 0.25,
        pool5: Pool5 = "ceil",
    ) -> None:
        if depth != 0 and depth % 2 == 0:
            raise ShapeError(f"depth must be odd, or 0 for the flat net, got {depth}")
        super().__init__()
        self.heads, self.width, self.fc, self.depth = tuple(heads), width, fc, depth
        self.plain = tuple(plain)
        self.pool5: Pool5 = pool5
        channels = 3
        for name, multiple in _MULTIPLES.items():
            out, bare = multiple * width, f"conv{name}" in plain
            self.add_module(f"conv{name}", self._conv(channels, out, bare))
            if not bare:
                norm = nn.BatchNorm2d(out) if depth == 0 else nn.BatchNorm3d(out)
                self.add_module(f"bn{name}", norm)
            channels = out
        for name, inputs in (("fc6", channels * 16), ("fc7", fc)):
            self.add_module(name, nn.Linear(inputs, fc, bias=name in plain))
            if name not in plain:
                self.add_module(f"bn{name[2]}", nn.BatchNorm1d(fc))
        self.fc8 = nn.Linear(fc, sum(heads))
        self.dropout = nn.Dropout(dropout)

    def _conv(self, channels: int, out: int, bias: bool) -> nn.Module:
        if self.depth == 0:
            return nn.Conv2d(channels, out, 3, padding=1, bias=bias)
        kernel, pad = (self.depth, 3, 3), (self.depth // 2, 1, 1)
        return nn.Conv3d(channels, out, kernel, padding=pad, bias=bias)

    @property
    def memory_format(self) -> torch.memory_format:
        """Channels last, of pictures for the flat net."""
        return torch.channels_last if self.depth == 0 else torch.channels_last_3d

    def forward(self, x: Tensor, bf16: bool = False) -> Tensor:
        """Logits of all heads side by side, (N, sum(heads)), float32.

        Args:
            x: (N, 3, 16, 112, 112). Pictures (N, 3, 112, 112) are the flat net's input; a net with
                time takes each for a clip that stands still, at a sixteenth of the price: see
                ``_still``.
            bf16: conv1-conv4 in bfloat16. conv5 stays in float32: torch's CPU weight gradients
                for 2 x 7 x 7 volumes are wrong in bfloat16 (relative error 0.6-0.8 measured).
        """
        still = self.depth > 0 and x.ndim == 4
        stage = self._still if still else self._stage
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            for name in ("1a", "2a", "3a", "3b", "4a", "4b"):
                x = stage(x, name)
        x = x.float()
        for name in ("5a", "5b"):
            x = stage(x, name)
        x = x.flatten(1)
        for name in ("fc6", "fc7"):
            x = getattr(self, name)(x)
            if name not in self.plain:
                norm = getattr(self, f"bn{name[2]}")
                x = _by_batch(x, norm) if still else norm(x)
            x = self.dropout(F.relu(x))
        logits: Tensor = self.fc8(x)
        return logits

    def _stage(self, x: Tensor, name: str) -> Tensor:
        x = getattr(self, f"conv{name}")(x)
        if f"conv{name}" not in self.plain:
            x = getattr(self, f"bn{name}")(x)
        if name in _POOLED:  # max and ReLU commute; pooling first leaves less to rectify
            ceil = name == "5b"
            if self.depth == 0:
                x = F.max_pool2d(x, 2, ceil_mode=ceil)
            elif ceil and self.pool5 == "padded":
                x = F.max_pool3d(x, 2, padding=(0, 1, 1))
            else:
                x = F.max_pool3d(x, (1, 2, 2) if name == "1a" else 2, ceil_mode=ceil)
        return F.relu(x)

    def _still(self, x: Tensor, name: str) -> Tensor:
        """What a stage answers, on average over time, to a clip of one repeated picture.

        Its frames are all alike, so a kernel's taps add up. A frame at an end of the clip lacks
        the tap beyond it: over T frames the tap d frames away counts (T - |d|) / T times.
        Normalised by the batch's own statistics, like fc6 and fc7 behind it; the running ones are
        those of clips.
        """
        conv = getattr(self, f"conv{name}")
        frames = _FRAMES[name]
        away = (torch.arange(self.depth) - self.depth // 2).abs()
        counts = ((frames - away).clamp(min=0) / frames).to(conv.weight)
        kernel = (conv.weight * counts[:, None, None]).sum(2)  # (out, in, 3, 3)
        x = F.conv2d(x, kernel.contiguous(memory_format=torch.channels_last), conv.bias, padding=1)
        if f"conv{name}" not in self.plain:
            x = _by_batch(x, getattr(self, f"bn{name}"))
        if name == "5b" and self.pool5 == "padded":
            x = F.max_pool2d(x, 2, padding=1)
        elif name in _POOLED:
            x = F.max_pool2d(x, 2, ceil_mode=name == "5b")
        return F.relu(x)


def _by_batch(x: Tensor, norm: nn.Module) -> Tensor:
    """Batch normalisation by the batch's own statistics that leaves the running ones alone."""
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm3d)
    return F.batch_norm(x, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)


def _norm_of(net: TrainNet, layer: str) -> nn.BatchNorm1d | None:
    if layer in net.plain or layer == "fc8":
        return None
    return getattr(net, "bn" + layer.removeprefix("conv").removeprefix("fc"))  # type: ignore[no-any-return]


def folded(net: TrainNet, layer: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of a layer with its batch normalisation's running statistics folded in.

    gamma (W x - mean) / sqrt(var + eps) + beta = (s W) x + (beta + s (b - mean)), with
    s = gamma / sqrt(var + eps).
    """
    module, norm = getattr(net, layer), _norm_of(net, layer)
    weight: Tensor = module.weight.detach().double()
    bias = weight.new_zeros(len(weight)) if module.bias is None else module.bias.detach().double()
    if norm is not None:
        assert norm.running_var is not None
        assert norm.running_mean is not None
        scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
        weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        bias = norm.bias.detach().double() + scale * (bias - norm.running_mean.double())
    return weight, bias


def product_head(weight: Tensor, bias: Tensor, heads: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Several heads as one over all combinations: logit[i, j, ...] = a_i + b_j + ...

    The softmax of the sum is the product of the heads' softmaxes, so nothing is lost. Class
    order: the last head runs fastest.
    """
    parts_w, parts_b = torch.split(weight, list(heads)), torch.split(bias, list(heads))
    rows = list(product(*(range(h) for h in heads)))
    new_w = torch.stack([torch.stack([w[i] for w, i in zip(parts_w, r, strict=True)]).sum(0)
                         for r in rows])  # fmt: skip
    new_b = torch.stack([torch.stack([b[i] for b, i in zip(parts_b, r, strict=True)]).sum(0)
                         for r in rows])  # fmt: skip
    return new_w, new_b


def to_c3d(net: TrainNet) -> C3D:
    """The plain C3D that computes the same as ``net`` at test time (several heads: their product).

    Raises:
        ShapeError: the flat net, which has no time.
    """
    if net.depth == 0:
        raise ShapeError("a flat net has no time axis; inflate() it first")
    classes = 1
    for head in net.heads:
        classes *= head
    model = C3D(classes, net.width, [net.depth] * 5, net.fc, net.pool5)
    state = {}
    for layer in (*CONV_LAYERS, "fc6", "fc7", "fc8"):
        weight, bias = folded(net, layer)
        if layer == "fc8":
            weight, bias = product_head(weight, bias, net.heads)
        state[f"{layer}.weight"], state[f"{layer}.bias"] = weight.float(), bias.float()
    model.load_state_dict(state)
    return model.eval()


def inflate(
    flat: TrainNet,
    depth: int,
    heads: Sequence[int],
    *,
    spread: str = "centre",
    noise: float = 0.0,
    plain: Sequence[str] = (),
    dropout: float = 0.25,
    seed: int = 0,
) -> TrainNet:
    """A 3D net that starts from a flat one (Carreira & Zisserman 2017, section 2.2).

    Args:
        flat: the 2D net; its first head becomes the first head of the new net, others start at
            zero bias and small random weights.
        depth: temporal depth of the new kernels; 1 gives the 2D twin.
        heads: heads of the new net; the first must be as long as the flat net's.
        spread: "mean" puts w / depth on every tap, as the paper does: a clip of one repeated
            picture gives the flat net's activations except where zero padding replaces frames
            beyond the clip (one frame at each end per layer of depth 3). "centre" puts w on the
            middle tap and 0 beside it: the same at every frame, and moving objects stay sharp.
        noise: standard deviation of Gaussian noise on the outer taps of "centre", as a share of
            the layer's own; it breaks the symmetry between past and future.
        plain: layers whose batch normalisation is folded away.
    """
    torch.manual_seed(seed)
    new = TrainNet(heads, width=flat.width, fc=flat.fc, depth=depth, plain=plain, dropout=dropout)
    source, state = flat.state_dict(), new.state_dict()
    generator = torch.Generator().manual_seed(seed)
    for key, value in state.items():
        layer = key.split(".")[0]
        if layer.startswith("conv"):
            old, bias = folded(flat, layer) if layer in plain else (source[f"{layer}.weight"], None)
            if key.endswith("bias"):
                assert bias is not None
                state[key] = bias.float()
                continue
            old = old.float()
            if spread == "mean":
                state[key] = (old / depth)[:, :, None].repeat(1, 1, depth, 1, 1)
            else:
                kernel = torch.randn(value.shape, generator=generator) * old.std() * noise
                kernel[:, :, depth // 2] = old
                state[key] = kernel
        elif layer == "fc8":
            state[key][: flat.heads[0]] = source[key][: flat.heads[0]]
            if key.endswith("bias"):
                state[key][flat.heads[0] :] = 0
        else:
            state[key] = source[key].clone()
    new.load_state_dict(state)
    return new
