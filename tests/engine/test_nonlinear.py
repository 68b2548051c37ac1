"""Whatever is not linear and no ReLU of the rule's has a name; what is linear or pools has none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from nets import clip
from torch import Tensor, nn

from c3d_viz.engine import Unit, backproject, facts

X = clip((1, 3, 4, 6, 6))
Function = Callable[[Tensor], Tensor]


class Mixed(nn.Module):
    """A ReLU, a function, and a convolution on either side of each."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.first, self.second = (nn.Conv3d(3, 4, 3, padding=1), nn.Conv3d(4, 4, 3, padding=1))
        self.top = nn.LazyConv3d(2, 1)
        self.function = function
        with torch.no_grad():
            self(X)

    def forward(self, x: Tensor) -> Tensor:
        return self.top(self.function(self.second(F.relu(self.first(x)))))


def others(function: Function) -> tuple[str, ...]:
    (back,) = backproject(Mixed(function).eval(), X, [Unit("top", 1)], "guided")
    assert back.report is not None
    assert back.report.relus == 1
    return back.report.others


def zeros(v: Tensor) -> Tensor:
    return torch.zeros_like(v)


def written(function: Callable[[Tensor], object]) -> Function:
    """Into a part of the tensor, of which the graph then keeps no name."""

    def write(v: Tensor) -> Tensor:
        v = v * 1
        function(v[:, :2])
        return v

    return write


def kept(v: Tensor, write: Callable[[Tensor], object]) -> Tensor:
    buffer = torch.ones(v.shape)
    write(buffer)
    return buffer


def signless(v: Tensor) -> Tensor:
    with torch.no_grad():
        return v.sign().clamp(min=0)


BENT: dict[str, tuple[Function, tuple[str, ...]]] = {
    "stack amax": (lambda v: torch.stack([v, zeros(v)]).amax(0), ("maximum",)),
    "stack max": (lambda v: torch.stack([v, zeros(v)]).max(0)[0], ("maximum",)),
    "stack last": (lambda v: torch.stack([v, zeros(v)], -1).amax(-1), ("maximum",)),
    "stack in place of a frame": (
        lambda v: torch.stack([v[:, :, 0], zeros(v)[:, :, 0]], 2).amax(2, keepdim=True),
        ("maximum",),
    ),
    "pooled stack": (
        lambda v: F.max_pool3d(torch.cat([v, zeros(v)], 2), (8, 1, 1)),
        ("maximum",),
    ),
    "pooled pairs": (
        lambda v: F.max_pool1d(
            torch.stack([v, zeros(v)], -1).flatten(0, -2)[:, None], 2
        ).view_as(v),
        ("maximum",),
    ),
    "larger of two": (lambda v: torch.stack([v, -v], -1).amax(-1), ("maximum",)),
    "minimum of a stack": (lambda v: -torch.stack([-v, zeros(v)]).amin(0), ("minimum",)),
    "maxout": (lambda v: v.unflatten(1, (2, 2)).amax(1), ("maximum",)),
    "largest of all": (lambda v: v - v.max(), ("maximum",)),
    "sorted": (lambda v: torch.stack([v, zeros(v)]).sort(0)[0][1], ("sort",)),
    "root": (lambda v: (v + torch.sqrt(v * v + 1e-9)) / 2, ("product of activations", "sqrt")),
    "root of a power": (lambda v: (v + (v**2).sqrt()) / 2, ("power", "sqrt")),
    "norm": (lambda v: v + torch.linalg.vector_norm(v[None], dim=0), ("norm",)),
    "einsum": (
        lambda v: torch.einsum("bctij,bctij->bctij", v, (v > 0).float()),
        ("comparison",),
    ),
    "addcmul": (lambda v: torch.addcmul(zeros(v), v, (v > 0).float()), ("comparison",)),
    "matrices": (
        lambda v: torch.matmul(v[..., None, None], (v > 0).float()[..., None, None])[..., 0, 0],
        ("comparison",),
    ),
    "mask in a buffer": (lambda v: v * kept(v, lambda b: b.copy_(v > 0.1)), ("comparison",)),
    "mask in a part of a buffer": (
        lambda v: v * kept(v, lambda b: b[:, :2].copy_(v[:, :2].detach() > 0.1)),
        ("value without gradient",),
    ),
    "square": (torch.square, ("power",)),
    "product": (lambda v: v * v, ("product of activations",)),
    "product in place": (lambda v: (v * 1).mul_(v), ("product of activations",)),
    "quotient": (lambda v: v / (1 + v.mean()), ("division by activations",)),
    "mask of another in place": (lambda v: (v * 1).mul_(v.roll(1, 1) > 0), ("comparison",)),
    "detached": (lambda v: v * v.detach().sign().clamp(min=0), ("value without gradient",)),
    "no gradient": (lambda v: v * signless(v), ("value without gradient",)),
    "straight through": (
        lambda v: v + (torch.relu(v) - v).detach(),
        ("value without gradient",),
    ),
    "chosen": (lambda v: v.gather(1, v.argmax(1, keepdim=True)), ("value without gradient",)),
    "rounded": (lambda v: v * v.detach().long().clamp(0, 1), ("value without gradient",)),
    "layer norm": (lambda v: F.layer_norm(v, v.shape[1:]), ("LayerNorm",)),
    "group norm": (lambda v: F.group_norm(v, 2), ("GroupNorm",)),
    "instance norm": (F.instance_norm, ("normalisation by its own statistics",)),
    "attention": (
        lambda v: F.scaled_dot_product_attention(v[0], v[0], v[0])[None],
        ("attention",),
    ),
    "gate": (lambda v: v * v.mean((2, 3, 4), keepdim=True).sigmoid(),
             ("Sigmoid", "product of activations")),
    "in a part": (written(torch.sigmoid_), ("sigmoid",)),
    "in a part by itself": (
        lambda v: written(lambda part: part.mul_(v[:, 2:]))(v),
        ("product of activations",),
    ),
    "in a part by a mask": (
        written(lambda part: part.__setitem__(part < 0.1, 0)),
        ("masked assignment",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BENT)
def test_what_a_rule_did_not_reach_has_a_name(name: str) -> None:
    function, names = BENT[name]
    assert others(function) == names


GATE, WEIGHT = nn.Parameter(torch.tensor([1.0, -1, 2, -2])), nn.Parameter(torch.ones(4, 4))
STRAIGHT: dict[str, Function] = {
    "nothing": lambda v: v,
    "sums": lambda v: (v + v.roll(1, 2) - 0.5 * v).cumsum(2) - v.mean() + v.sum(1, keepdim=True),
    "places": lambda v: v.flip(2).transpose(3, 4).permute(0, 1, 4, 2, 3).reshape(v.shape)[:, :, 1:],
    "parts": lambda v: torch.cat([*v.chunk(2, 1), v.narrow(1, 0, 1), v[:, [0, 2]]], 1),
    "frames": lambda v: torch.stack([v[:, :, t] for t in range(4)], 2).amax(2, keepdim=True),
    "poolings": lambda v: F.adaptive_max_pool3d(F.max_pool3d(F.avg_pool3d(v, 1), 2), 1),
    "largest of the places": lambda v: v.amax((2, 3, 4), keepdim=True) + v.max(3)[0][..., None],
    "flat places": lambda v: v.flatten(2).max(-1)[0][..., None, None, None],
    "pooled beside coordinates": lambda v: F.max_pool3d(
        torch.cat([v, torch.ones(1, 1, 4, 6, 6)], 1), 2
    ),
    "unpooled": lambda v: F.max_unpool3d(*F.max_pool3d(v, 2, return_indices=True), 2),
    "padded": lambda v: F.pad(v, (1,) * 6, mode="reflect") + F.pad(v, (1,) * 6),
    "enlarged": lambda v: F.interpolate(v, scale_factor=2, mode="trilinear"),
    "normalised": lambda v: F.batch_norm(v, torch.zeros(4), torch.ones(4), GATE, GATE),
    "learned gate": lambda v: v * (GATE * 2 > 0.1)[:, None, None, None] + GATE.detach().max(),
    "learned mask": lambda v: torch.einsum("bctij,dc->bdtij", v, WEIGHT * (WEIGHT > 0.5)),
    "matrices": lambda v: (v.flatten(2).mT @ WEIGHT + GATE).mT.unflatten(2, v.shape[2:]),
    "bias that follows": lambda v: torch.baddbmm(v[0, 0], v[0, 1], torch.ones(4, 6, 6))[None, None],
    "like it": lambda v: v * torch.ones_like(v) + v.new_ones(1) * torch.ones(6).expand_as(v),
    "number": lambda v: (2 * v / 3) ** 1 - v.lerp(v + 1, 0.3),
    "dropped": lambda v: F.dropout(v, 0.5, training=False),
    "typed": lambda v: v.double().float().contiguous().clone(),
    "in a part": written(lambda part: part.mul_(2).add_(1).div_(3)),
    "part": written(lambda part: part.__setitem__((slice(None), 0), 0)),
    "fourier": lambda v: torch.fft.irfft(torch.fft.rfft(v), n=6),
}


@pytest.mark.parametrize("name", STRAIGHT)
def test_what_is_linear_or_pools_has_none(name: str) -> None:
    assert others(STRAIGHT[name]) == ()


def test_a_relu_in_a_part_is_the_rule_s() -> None:
    net = Mixed(written(torch.relu_)).eval()
    (back,) = backproject(net, X, [Unit("top", 1)], "guided")
    assert back.report is not None
    assert (back.report.relus, back.report.others) == (2, ())


def test_nothing_is_kept_of_a_pass() -> None:
    known = facts.Facts()
    v = X.clone().requires_grad_() * 1
    known.remember(torch.argmax, (v,), {}, made := v.argmax(), wrote=False)
    assert known.follows(made)
    known.clear()
    assert not known.follows(made)
    assert not known
