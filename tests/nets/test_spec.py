"""What a network takes as input is checked when it is stated, not when a clip meets it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from c3d_viz.errors import ShapeError
from c3d_viz.nets import CAFFE_INPUT, COMPACT_INPUT, MMACTION_INPUT, InputSpec, ModelSpec

NAN = float("nan")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (
            "resize",
            [
                (),
                (128,),
                (128, 171, 3),
                0,
                -5,
                5000,
                1.5,
                "128",
                None,
                (128, 0),
                (1, 0.5),
                True,
                b"x",
            ],
        ),
        ("crop", [5, (), (112,), (112, -1), (1, 10**9), None, "ab", {"a": 1}]),
        ("frames", [True, 0, -16, 1.5, None, 10**9]),
        ("stride", [0, -1, 0.5, None, 10**9]),
        ("layout", ["CHWT", "", None, 4]),
        ("channel_order", ["rgb", "", None, 3]),
        ("mean", [(), (1, 2), (1, 2, 3, 4), 5, (1, 2, NAN), ("a", 1, 2), None]),
        ("std", [(), (1, 2), (1, 2, 0), (1, 2, -3), 5, (1, 2, NAN), "abc", (True, 1, 2)]),
        ("scale", [True, 0, NAN, float("inf"), None, "x", (1,)]),
    ],
)
def test_a_field_that_cannot_be_meant_is_refused_by_name(name: str, values: list[Any]) -> None:
    for value in values:
        for state in (lambda v: InputSpec(**{name: v}), lambda v: CAFFE_INPUT.replace(**{name: v})):
            with pytest.raises(ShapeError, match=f"^{name} must be .* got") as refused:
                state(value)
            assert "\n" not in str(refused.value)


def test_what_is_meant_is_kept_in_plain_numbers() -> None:
    spec = InputSpec(
        "RGB", mean=np.array([1, 2, 3]), scale=1, resize=[np.int64(100), 80], crop=[64, 48]
    )  # type: ignore[arg-type]
    assert (spec.resize, spec.crop, spec.mean, spec.frames) == ((100, 80), (64, 48), (1, 2, 3), 16)
    assert {type(v) for v in (*spec.resize, *spec.crop)} == {int}
    assert spec == InputSpec("RGB", (1.0, 2.0, 3.0), 1.0, (100, 80), (64, 48))
    assert hash(spec) == hash(spec.replace(frames=16))
    assert CAFFE_INPUT.resize == (128, 171)
    assert MMACTION_INPUT.resize == 128
    assert COMPACT_INPUT.scale == 1 / 60


def test_one_channel_has_one_mean_and_one_deviation() -> None:
    grey = InputSpec(mean=(5,), std=[2], frames=8, crop=(20, 30))  # type: ignore[arg-type]
    assert (grey.mean, grey.std, grey.channels) == ((5.0,), (2.0,), 1)
    assert grey.shape == (1, 8, 20, 30)
    assert CAFFE_INPUT.shape == (3, 16, 112, 112)
    assert CAFFE_INPUT.std is None
    with pytest.raises(ShapeError, match="std must be 1 positive numbers"):
        grey.replace(std=(1, 2, 3))


def test_the_line_has_the_name_once() -> None:
    def line(weights: str) -> str:
        return ModelSpec("compact", weights, True, InputSpec(), 2).line

    assert line("compact: trained on clips") == "compact: trained on clips"
    assert line("random weights (seed 0)") == "compact: random weights (seed 0)"
