"""The small file that a check leaves: what is believed of one that somebody gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import call
from torch import nn

import c3d_viz as viz
from c3d_viz.errors import VizError
from c3d_viz.nets import fingerprint
from c3d_viz.trust import facts_for, lines_beside, read_facts, shipped_facts

NET = nn.Sequential(nn.Conv3d(3, 2, 1))
NEAREST = {
    "conv1a": "conv3b", "conv3a": "conv3b", "pool3": "conv3b", "conv4a": "conv4b",
    "conv5a": "conv5b", "fc6": "conv5b", "fc8": "conv5b",
}  # fmt: skip


def plain() -> dict[str, Any]:
    """Facts of NET, as a check writes them."""
    return {
        "schema": 1,
        "model": "own",
        "fingerprint": fingerprint(NET),
        "valid": True,
        "lines": {"0": {"guided": ["changes", "no better"]}, "1": {"guided": ["of the last"]}},
        "short": {"0": {"guided": "in short"}, "1": {"guided": "the last"}},
    }


def written(folder: Path, value: object) -> Path:
    path = folder / "facts.json"
    path.write_text(json.dumps(value))
    return path


def test_facts_are_of_one_network(tmp_path: Path) -> None:
    path = written(tmp_path, plain())
    facts = facts_for(NET, "own", path)
    assert facts == replace(read_facts(path), order=("0",))
    assert facts is not None
    assert facts.about("0", "guided") == ("changes", "no better")
    assert facts.briefly("0", "guided") == "in short"
    # a layer that the network does not name has what was found at the last one, and says so
    assert facts.about("2", "guided") == ("of the last (measured at 1)",)
    assert facts.briefly("2", "guided") == "the last (measured at 1)"
    assert (facts.about("0", "rise"), facts.briefly("0", "rise")) == ((), "")
    assert lines_beside(facts, ["0"], ["guided", "rise"]) == {
        "0": {"guided": ["changes", "no better"]}
    }
    assert lines_beside(facts, ["0"], ["rise"]) == lines_beside(None, ["0"], ["guided"]) == {}
    other = nn.Sequential(nn.Conv3d(3, 2, 1))
    with pytest.raises(VizError, match="of another network, own with other weights") as caught:
        facts_for(other, "own", path)
    assert "\n" not in str(caught.value)
    with torch.no_grad():
        other[0].weight.copy_(NET[0].weight)
        other[0].bias.copy_(NET[0].bias)
    assert facts_for(other, "another name", path) == facts  # weights count, not names


def test_a_layer_that_was_not_checked_has_what_was_found_nearest_to_it(tmp_path: Path) -> None:
    deep = nn.Sequential(
        nn.Conv3d(3, 2, 1), nn.Sequential(nn.ReLU(), nn.ReLU()), nn.ReLU(), nn.ReLU(), nn.ReLU()
    )
    # in the file's order the last is none of the network's ends
    said = {name: {"guided": f"at {name}"} for name in ("4", "0", "1")}
    own = {
        **plain(),
        "fingerprint": fingerprint(deep),
        "lines": {name: {"guided": [line["guided"]]} for name, line in said.items()},
        "short": said,
    }
    facts = facts_for(deep, "own", written(tmp_path, own))
    assert facts is not None
    near = {name: facts.briefly(name, "guided") for name, _ in deep.named_modules() if name}
    assert near == {
        "0": "at 0",
        "1.0": "at 0 (measured at 0, the nearest layer that was)",
        "1.1": "at 1 (measured at 1, the nearest layer that was)",
        "1": "at 1",  # all of it has passed there
        "2": "at 1 (measured at 1, the nearest layer that was)",
        "3": "at 4 (measured at 4, the nearest layer that was)",
        "4": "at 4",
    }
    assert facts.about("3", "guided") == (near["3"],)
    assert facts.briefly("elsewhere", "guided") == "at 1 (measured at 1)"


@pytest.mark.parametrize(
    "changed",
    [
        {"schema": 2},
        {"valid": None},
        {"model": 3},
        {"model": "two\nlines"},
        {"fingerprint": "abc"},
        {"fingerprint": ["a"] * 64},
        {"lines": [1]},
        {"lines": {"a": 3}},
        {"lines": {"a": {"guided": "no list"}}},
        {"lines": {"a": {"guided": ["two\nlines"]}}},
        {"lines": {"a": {"guided": ["\u202ereversed"]}}},
        {"lines": {"a": {"guided": ["long" * 100]}}},
        {"lines": {"a": {"guided": ["one"] * 11}}},
        {"lines": {"a": {"guided": [{"deep": []}]}}},
        {"lines": {f"layer {i}": {} for i in range(2001)}},
        {"lines": {"a": {f"method {i}": [] for i in range(101)}}},
        {"lines": {"n" * 301: {}}},
        {"short": None},
        {"short": {"a": {"guided": ["no text"]}}},
    ],
)
def test_hostile_facts_are_refused_in_one_line(tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(VizError, match=r"is no facts\.json of c3d-viz check \(") as caught:
        read_facts(written(tmp_path, {**plain(), **changed}))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_what_is_no_file_of_facts(tmp_path: Path) -> None:
    with pytest.raises(VizError, match="does not exist"):
        read_facts(tmp_path / "none.json")
    with pytest.raises(VizError, match="no ordinary file"):
        read_facts(tmp_path)
    for text in ("[]", "{", "[" * 100_000, ""):
        (tmp_path / "facts.json").write_text(text)
        with pytest.raises(VizError, match="holds no JSON object"):
            read_facts(tmp_path / "facts.json")
    with pytest.raises(VizError, match="positive controls came out wrong"):
        read_facts(written(tmp_path, {**plain(), "valid": False}))


def test_the_command_line_hands_them_on(
    make_video: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (16, 32, 32, 3), dtype=np.uint8)
    clip = str(make_video(tmp_path / "clip.mp4", frames))
    for words in ([clip], [clip, clip]):
        out = str(tmp_path / "out")
        status, _, error = call(
            capsys, "export", *words, "-o", out, "--layer", "conv1a",
            "--facts", str(written(tmp_path, plain())),
        )  # fmt: skip
        assert (status, Path(out).exists()) == (2, False)
        assert "is of another network, own with other weights" in error


@pytest.mark.parametrize("name", ["compact", "compact-2d"])
def test_what_is_shipped_is_of_the_shipped_network(name: str) -> None:
    model, spec = viz.load_model(name)
    facts = facts_for(model, spec.name)
    shipped = shipped_facts(name)
    assert facts is not None
    assert shipped is not None
    assert facts == replace(shipped, order=facts.order)
    assert facts.about("conv5b", "deconvnet")
    for layer, near in NEAREST.items():
        said, where = shipped.briefly(near, "deconvnet"), f" (measured at {near}, the nearest"
        if name == "compact":  # of the twin one layer was measured
            assert facts.briefly(layer, "deconvnet").startswith(said + where)
    with torch.no_grad():
        next(model.parameters()).mul_(2)
    assert facts_for(model, name) is None
    assert shipped_facts("../secret") is None
    assert shipped_facts("nothing ships") is None
