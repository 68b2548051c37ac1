"""Large convolutions by time steps: the same bits, and only where PyTorch would sum so as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from c3d_viz.engine import sliced, slices, trace


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, ...]]]:
    """The inputs of what is done in slices, however small."""
    seen = []
    real = slices._in_slices

    def counted(x: torch.Tensor, *rest: Any) -> torch.Tensor:
        seen.append(tuple(x.shape))
        return real(x, *rest)

    monkeypatch.setattr(slices, "LARGE", 0)
    monkeypatch.setattr(slices, "_in_slices", counted)
    slices._is_exact.cache_clear()
    yield seen
    slices._is_exact.cache_clear()


def results(conv: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        whole = conv(x)
        with sliced():
            return whole, conv(x)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "settings",
    [
        {"padding": 1},
        {"padding": (0, 1, 1), "bias": False},
        {"padding": (2, 0, 1), "stride": (2, 1, 3)},
        {"stride": 2},
    ],
)
def test_the_same_bits(cut: list[Any], settings: dict[str, Any], threads: int) -> None:
    before = torch.get_num_threads()
    conv, x = nn.Conv3d(3, 4, 3, **settings), torch.randn(1, 3, 9, 20, 24)
    torch.set_num_threads(threads)
    try:
        whole, parts = results(conv, x)
        assert torch.get_num_threads() == threads  # as it was
    finally:
        torch.set_num_threads(before)
    assert torch.equal(whole, parts)
    assert whole.is_contiguous() == parts.is_contiguous()
    assert cut == [(1, 3, 9, 20, 24)] * 2  # tried once, then done so


def test_what_pytorch_sums_in_another_way_is_left_to_it(
    cut: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randn(1, 3, 9, 20, 24)
    same = nn.Conv3d(3, 4, 3)
    for conv, clip in (
        (same, x.repeat(2, 1, 1, 1, 1)),  # two clips
        (nn.Conv3d(3, 3, 3, groups=3), x),
        (nn.Conv3d(3, 4, 3, dilation=2), x),
        (nn.Conv3d(3, 4, 3, padding="same"), x),
        (nn.Conv3d(3, 4, (9, 3, 3)), x),  # a single step
        (nn.Conv3d(40, 4, 3), torch.randn(1, 40, 16, 40, 8)),  # more than oneDNN leaves to it
        (same, x[0]),  # no batch
    ):
        whole, parts = results(conv, clip)
        assert torch.equal(whole, parts)
    with sliced():
        same(x).sum().backward()  # with gradients
    assert cut == []
    assert same.weight.grad is not None
    monkeypatch.setattr(slices, "LARGE", 10**6)
    results(same, x)
    assert cut == []  # a small matrix stays in the cache


def test_where_it_gives_other_bits_it_is_not_done(
    cut: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = slices._in_slices
    monkeypatch.setattr(slices, "_in_slices", lambda *given: real(*given) * (1 + 1e-6))
    whole, parts = results(nn.Conv3d(3, 4, 3, padding=1), torch.randn(1, 3, 9, 20, 24))
    assert torch.equal(whole, parts)
    assert len(cut) == 1  # the trial


def test_a_network_is_read_as_ever_and_errors_leave_nothing_behind(cut: list[Any]) -> None:
    model = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 2, 3))
    x, threads = torch.randn(1, 3, 8, 16, 16), torch.get_num_threads()
    whole = trace(model, x)
    with sliced():
        parts = trace(model, x)
    assert all(torch.equal(whole.activations[n], parts.activations[n]) for n in whole.activations)
    assert len(cut) == 4  # both tried and done
    count = len(cut)
    with pytest.raises(RuntimeError), torch.no_grad(), sliced():
        model(torch.randn(1, 5, 8, 16, 16))
    assert torch.get_num_threads() == threads
    trace(model, x)
    assert len(cut) == count


def test_without_pytorchs_private_name_it_is_left_to_pytorch(
    cut: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(torch._C, "_select_conv_backend")
    whole, parts = results(nn.Conv3d(3, 4, 3), torch.randn(1, 3, 9, 20, 24))
    assert torch.equal(whole, parts)
    assert cut == []
