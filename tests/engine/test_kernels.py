"""The fast paths against the ordinary operators in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import c3d_viz as viz
from c3d_viz.engine.general import backproject
from c3d_viz.engine.graph import pooling
from c3d_viz.engine.graph.kernels import TransposedConv, Unpool, channels_last, pool_with_offsets
from c3d_viz.engine.graph.phases import Phases
from c3d_viz.engine.rules import RULES


def _conv(channels: tuple[int, int], kernel: tuple[int, int, int], seed: int = 0) -> nn.Conv3d:
    torch.manual_seed(seed)
    return nn.Conv3d(*channels, kernel, padding=tuple(k // 2 for k in kernel))


def _relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.double() - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [(3, 8), (16, 8)])
@pytest.mark.parametrize("kernel", [(3, 3, 3), (1, 3, 3), (5, 3, 3)])
@pytest.mark.parametrize("full", [False, True])
def test_way_back_is_the_transposed_convolution(
    dtype: torch.dtype, channels: tuple[int, int], kernel: tuple[int, int, int], full: bool
) -> None:
    conv = _conv(channels, kernel)
    signal = torch.randn(1, channels[1], 4, 6, 5)
    margin = tuple(k - 1 for k in kernel) if full else tuple(k // 2 for k in kernel)
    with torch.no_grad():
        expected = F.conv_transpose3d(
            signal.double(),
            conv.weight.double(),
            padding=tuple(k - 1 - m for k, m in zip(kernel, margin, strict=True)),
        )
        back = TransposedConv(conv.to(dtype).weight, like=signal.to(dtype))
        found = back(channels_last(signal.to(dtype)), margin)
    assert found.shape == expected.shape
    assert _relative(found, expected) <= (1e-6 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize(
    ("kernel", "stride"),
    [
        ((3, 7, 7), (1, 2, 2)),
        ((3, 4, 2), (2, 3, 2)),
        ((1, 1, 1), (2, 2, 2)),
        ((2, 2, 1), (3, 1, 2)),
    ],
)
def test_a_stride_goes_back_in_phases(
    kernel: tuple[int, int, int], stride: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    weight, signal = torch.randn(8, 3, *kernel), torch.randn(1, 8, 3, 5, 4)
    expected = F.conv_transpose3d(signal.double(), weight.double(), stride=stride)
    found = Phases(weight, stride, signal)(channels_last(signal))
    assert found.shape == expected.shape
    assert _relative(found, expected) <= 1e-6


def test_way_back_of_one_frame_keeps_only_the_taps_that_meet_it() -> None:
    conv = _conv((3, 8), (3, 3, 3))
    signal = torch.randn(1, 8, 1, 4, 4)
    with torch.no_grad():
        found = TransposedConv(conv.weight, like=signal)(channels_last(signal), (1, 1, 1))
        expected = F.conv_transpose3d(signal, conv.weight, padding=1)
    assert torch.allclose(found, expected, atol=1e-5)


def test_bf16_is_near() -> None:
    conv = _conv((16, 8), (3, 3, 3))
    signal = torch.randn(1, 8, 4, 6, 5)
    with torch.no_grad():
        back = TransposedConv(conv.weight, like=signal.bfloat16())
        found = back(channels_last(signal.bfloat16()), (1, 1, 1)).double()
        expected = F.conv_transpose3d(signal.double(), conv.weight.double(), padding=1)
    assert found.dtype == torch.float64
    assert float(F.cosine_similarity(found.flatten(), expected.flatten(), dim=0)) > 0.999


@pytest.mark.parametrize(
    ("kernel", "size"),
    [
        ((1, 2, 2), (3, 8, 6)),
        ((2, 2, 2), (4, 6, 8)),
        ((2, 2, 2), (3, 7, 5)),
        ((1, 3, 2), (2, 9, 5)),
        ((2, 1, 2), (2, 3, 8)),
        ((1, 1, 1), (2, 3, 4)),
        ((2, 2, 2), (4, 20, 300)),
    ],
)
def test_pooling_and_its_switches_are_pytorchs(
    kernel: tuple[int, ...], size: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    for x in (torch.randn(3, *size), torch.randint(0, 2, (3, *size)).float()):  # with many equals
        pooled, switches = F.max_pool3d(
            x[None], kernel, kernel, ceil_mode=True, return_indices=True
        )
        found, offsets = pool_with_offsets(x, kernel)
        assert torch.equal(found, pooled[0])
        assert offsets.element_size() == (1 if size[1] * size[2] < 200 else 2)
        cells = pooled.shape[2:]
        signal = torch.randn(3, *cells).abs() + 1
        expected = torch.zeros(3, size[0] * size[1] * size[2]).scatter_(
            1, switches[0].flatten(1), signal.flatten(1)
        )
        unpool = Unpool(offsets, kernel, size)
        everything = tuple(slice(0, n) for n in cells), tuple(slice(0, n) for n in size)
        assert torch.equal(unpool(signal, *everything), expected.view(3, *size))


def test_nan_is_not_lost_in_a_pooling() -> None:
    x = torch.zeros(1, 2, 2, 2)
    for cell in range(8):
        with_nan = x.clone()
        with_nan.view(-1)[cell] = torch.nan
        assert bool(torch.isnan(pool_with_offsets(with_nan, (2, 2, 2))[0]).all())


def test_unpooling_goes_where_the_maximum_was_and_forgets_the_call_before() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 2, 8, 6)
    pooled, switches = F.max_pool3d(x[None], (1, 2, 2), return_indices=True)
    unpool = Unpool(pool_with_offsets(x, (1, 2, 2))[1], (1, 2, 2), (2, 8, 6))
    whole = (slice(0, 2), slice(0, 4), slice(0, 3))
    part = (slice(1, 2), slice(1, 3), slice(0, 2))
    for box in (whole, part, whole, part):
        signal = torch.randn(3, *(side.stop - side.start for side in box))
        everywhere = torch.zeros_like(pooled[0])
        everywhere[(slice(None), *box)] = signal
        expected = torch.zeros(3, 2 * 8 * 6).scatter_(
            1, switches[0].flatten(1), everywhere.flatten(1)
        )
        below = tuple(slice(s.start * k, s.stop * k) for s, k in zip(box, (1, 2, 2), strict=True))
        found = unpool(signal, box, below)
        assert torch.equal(found, expected.view(3, 2, 8, 6)[(slice(None), *below)])
        assert int((found != 0).sum()) == signal.numel()


def test_unpooling_changes_precision_with_the_signal() -> None:
    unpool = Unpool(torch.tensor([[[[3]]]], dtype=torch.uint8), (1, 2, 2), (1, 2, 2))
    everything = (slice(0, 1),) * 3, (slice(0, 1), slice(0, 2), slice(0, 2))
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        found = unpool(torch.full((1, 1, 1, 1), 2.0, dtype=dtype), *everything)
        assert found.dtype == dtype
        assert found.flatten().tolist() == [0, 0, 0, 2]


def test_frames_sent_back_in_pieces_add_up() -> None:
    conv = _conv((3, 8), (3, 3, 3))
    signal = channels_last(torch.randn(1, 8, 5, 4, 4))
    with torch.no_grad():
        back = TransposedConv(conv.weight, like=signal)
        whole = back(signal, (1, 2, 1))
        pieces = torch.zeros_like(whole)
        for start, stop in ((0, 2), (2, 3), (3, 5)):
            back.add_frames(pieces, signal[:, :, start:stop], start, (1, 2, 1))
    assert torch.allclose(pieces, whole, atol=1e-6)


@pytest.mark.parametrize("at", [(0, 0, 5), (2, 3, 1), (5, 7, 0)])
def test_a_walk_in_pieces_is_the_walk(at: tuple[int, int, int], monkeypatch: Any) -> None:
    """Against autograd, with pieces of one frame instead of as many as the cache holds."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv3d(3, 6, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool3d((1, 2, 2)),
        nn.Conv3d(6, 4, 3, padding=1),
        nn.ReLU(),
    ).requires_grad_(False)
    net[3].bias.fill_(9)  # every unit responds
    x = torch.randn(1, 3, 6, 16, 12)
    monkeypatch.setattr(pooling, "CACHED", 1)
    for rule in RULES:
        found = viz.attribute(net, x, viz.Unit("4", 2, at), rule)
        expected = next(backproject(net, x, [viz.Unit("4", 2, at)], rule))
        assert found.activation == pytest.approx(expected.activation, abs=1e-6)
        assert _relative(torch.from_numpy(found.values), expected.values.double()) <= 1e-5
