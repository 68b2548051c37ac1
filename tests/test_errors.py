"""Messages: one printable line, whatever names are in them."""

from __future__ import annotations

import pytest

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
