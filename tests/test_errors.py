"""Messages: one printable line, whatever names are in them."""

from __future__ import annotations

import pytest
import torch

import c3d_viz as viz
from c3d_viz import errors
from c3d_viz.errors import VizError, WeightsError, printable


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain, with  spaces ü 畫", "plain, with  spaces ü 畫"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x1b[31mred\x07\x9b", r"\x1b[31mred\x07\x9b"),
        ("exe\u202egpj.\u2028", r"exe\u202egpj.\u2028"),
        ("\udc80", r"\udc80"),  # a byte of a file name that is no UTF-8
    ],
)
def test_control_characters_are_spelled_out(text: str, line: str) -> None:
    assert printable(text) == line
    assert str(WeightsError(f"{text}: no such file")) == f"{line}: no such file"


def test_a_long_message_keeps_its_ends() -> None:
    said = str(VizError(f"given {'x' * 5000}; do that"))
    assert len(said) == 1000
    assert said.startswith("given xxx")
    assert said.endswith("xxx; do that")


def test_every_error_for_people_is_of_one_family() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert len(kinds) == 7
    assert all(issubclass(kind, VizError) and str(kind("a\nb")) == r"a\nb" for kind in kinds)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to ..."),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        ImportError("libx265.so: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_memory_that_ends_is_said(error: Exception) -> None:
    class Large(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise error

    with pytest.raises(VizError, match="not enough memory: compact needs about"):
        viz.trace(Large(), torch.zeros(1, 3, 4, 8, 8))
    assert errors.memory_ended(RuntimeError("shapes differ")) is None
