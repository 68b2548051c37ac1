"""Arguments of the wrong kind, at every public name: one line that says what is allowed."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn
from typing_extensions import TypeAliasType

import c3d_viz as viz
from c3d_viz.arguments import checked
from c3d_viz.errors import LayerError, ShapeError, VizError

Alias = TypeAliasType("Alias", npt.NDArray[np.uint8])
NET = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.ReLU()).eval()
X = torch.rand(1, 3, 8, 16, 16)
FRAMES = np.zeros((8, 16, 16, 3), np.uint8)
CLIP = viz.Clip(np.zeros((16, 130, 180, 3), np.uint8), 25.0, "clip", 0)
MAP = np.ones((3, 8, 16, 16), np.float32)
UNIT = viz.Unit("1", 0)
TRACE = viz.trace(NET, X)
ATT = viz.Attribution(MAP, UNIT, "guided", 1.0)
SPEC = viz.ModelSpec("c3d", "random", False, viz.InputSpec(), 2)
C3D = viz.C3D(2, width=1, fc=4).eval()

with warnings.catch_warnings(action="ignore"):
    NESTED = torch.nested.nested_tensor([torch.zeros(2)])

# of each public function: what has to be given
CALLS: dict[str, dict[str, Any]] = {
    "C3D": {"num_classes": 2, "width": 1, "fc": 4},
    "Clip": {"frames": FRAMES, "fps": 25.0, "source": "clip", "start": 0},
    "InputSpec": {},
    "Unit": {"layer": "1", "channel": 0},
    "activation_sheet": {"activation": np.ones((2, 4, 4, 4), np.float32)},
    "attribute": {"model": NET, "x": X, "unit": UNIT, "method": "guided"},
    "attribute_many": {"model": NET, "x": X, "units": [UNIT], "method": "guided"},
    "check": {"model": C3D, "clips": ["no such.mp4"], "out": "out", "spec": SPEC, "synthetic": 0},
    "contact_sheet": {"frames": FRAMES, "atts": [MAP]},
    "cropped_frames": {"clip": CLIP, "spec": viz.InputSpec()},
    "demo_clips": {},
    "describe": {"model": C3D, "clip": CLIP, "spec": viz.InputSpec()},
    "export_clip": {"path": "no such.mp4", "out": "out"},
    "figure": {"att": ATT, "clip": FRAMES},
    "filmstrip": {"frames": FRAMES, "att": MAP},
    "load_model": {"weights": "random"},
    "overlay": {"frames": FRAMES, "att": MAP},
    "preprocess": {"clip": CLIP, "spec": viz.InputSpec()},
    "raw_frames": {"att": MAP},
    "read_clip": {"path": "no such.mp4"},
    "receptive_field": {"model": C3D, "layer": "conv2a"},
    "show": {"att": ATT, "clip": FRAMES},
    "top_units": {"trace": TRACE, "layer": "1"},
    "search": {"table": "no such.parquet", "vectors": np.ones(3, np.float32)},
    "trace": {"model": NET, "x": X},
    "wrap": {"model": NET, "inputs": lambda clip: clip},
    "read_volume": {"path": "no such.npy"},
    "volume_frames": {"volume": np.ones((2, 4, 4))},
    "write_image": {"path": "a.png", "image": FRAMES[0]},
    "write_video": {"path": "a.gif", "frames": FRAMES, "fps": 5.0},
}
# what people get, and never make
RESULTS = {"Atlas", "Attribution", "Descriptor", "ModelSpec", "Neighbour", "Trace"}
WRONG: tuple[Any, ...] = (
    None, True, 1.5, float("nan"), -1, 10**30, 10**5000, "x", "", "a\0b", "a\nb", b"x", [], [1],
    [None], [[1], 2], (), {}, {"a": 1}, {1}, iter([5]), object(), int, print, 1 + 2j, Path("x"),
    np.zeros(3), np.array("x"), torch.zeros(2), torch.zeros(1, 4, 8, 16, 16),
    NESTED, NET, UNIT, CLIP, TRACE, viz.InputSpec(),
)  # fmt: skip


def test_every_public_function_is_walked() -> None:
    public = {name for name in viz.__all__ if callable(getattr(viz, name))}
    assert public - {"VizError"} == CALLS.keys() | RESULTS


@pytest.mark.parametrize("name", [name for name in CALLS if CALLS[name]])
def test_a_wrong_kind_is_told_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    function = getattr(viz, name)
    said = []
    for argument in inspect.signature(function).parameters.keys() - {"progress", "timings"}:
        for value in WRONG:
            try:
                result = function(**{**CALLS[name], argument: value})
                if isinstance(result, Iterator):
                    list(result)
            except VizError as error:
                said.append(str(error))
    assert len(said) > 20
    assert not [line for line in said if not line.isprintable()]


def test_what_is_given_and_what_is_allowed() -> None:
    @checked(ShapeError, "own")
    def function(
        count: int = 1,
        share: float = 0.5,
        mode: Literal["a", "b"] = "a",
        names: list[str] | str | None = None,
        size: tuple[int, int] = (1, 1),
        call: Callable[[int], None] | None = None,
        own: int = 0,
    ) -> object:
        return count, share, mode, names, size, call, own

    plain = function(3, 2, names=["x"], size=[1, 2], call=print, own="anything")  # type: ignore[arg-type]
    assert plain == (3, 2, "a", ["x"], [1, 2], print, "anything")
    function(np.int64(3), np.float32(0.5), names="x")  # type: ignore[arg-type]
    for given, line in {
        "count": (1.5, "count must be a 64-bit whole number, got 1.5"),
        "share": (float("nan"), "share must be a finite number, got nan"),
        "mode": ("c", "mode must be 'a' or 'b', got 'c'"),
        "names": ([None], "names must be a list of string, a string or None, got [None]"),
        "size": (
            (1, 2, 3),
            r"size must be (a 64-bit whole number, a 64-bit whole number), got (1, 2, 3)",
        ),
        "call": (CLIP, "call must be a function or None, got a Clip"),
    }.items():
        with pytest.raises(ShapeError) as caught:
            function(**{given: line[0]})  # type: ignore[arg-type]
        assert str(caught.value).endswith(line[1])
    for argument in ("count", "share"):
        with pytest.raises(ShapeError, match=f"{argument} must be .* number, got True"):
            function(**{argument: True})
    with pytest.raises(TypeError, match="unexpected keyword"):
        function(nonsense=1)  # type: ignore[call-arg]


def test_units_from_an_iterator_are_all_there() -> None:
    units = [viz.Unit("1", channel) for channel in range(4)]
    found = list(viz.attribute_many(NET, X, (unit for unit in units), "guided"))
    assert [att.unit.channel for att in found] == [0, 1, 2, 3]
    with pytest.raises(VizError, match="units must be a list of Unit"):
        viz.attribute_many(NET, X, iter(["1"]))  # type: ignore[list-item]


def test_a_layer_that_is_none() -> None:
    for layers in ([None], 5, b"1"):
        with pytest.raises(LayerError, match="trace: layers must be a list of string, a string or"):
            viz.trace(NET, X, layers)  # type: ignore[arg-type]


def test_an_alias_is_seen_through() -> None:
    """NumPy's NDArray is one from 2.5 on, where Python has them (3.12)."""

    @checked(ShapeError)
    def function(array: Alias) -> object:  # type: ignore[valid-type]
        return array

    assert function(FRAMES) is FRAMES
    with pytest.raises(ShapeError, match="array must be a ndarray, got 5"):
        function(5)
