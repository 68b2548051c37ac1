"""The choice of a network: a value, its JSON, its options, and the network it loads."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from c3d_viz.cli.options import NETWORK_OPTIONS, network_of
from c3d_viz.errors import WeightsError
from c3d_viz.nets.spec import COMPACT_INPUT, ModelSpec
from c3d_viz.weights import NetworkChoice, load_model, save_model

EVERYTHING = NetworkChoice(
    model="c3d",
    weights="some where/own.pth",
    seed=7,
    num_classes=5,
    channel_order="BGR",
    mean=(1.5, 2.0, 3.0),
    input_scale=0.017,
    resize=(120, 130),
    crop=(112, 112),
    pool5="padded",
    classes="names.txt",
    fc6_order="hwc",
    std=(1.0, 2.5, 3.0),
    input="input.toml",
    frames=8,
    layout="TCHW",
    frame_stride=2,
)


def test_every_field_is_set_in_these_tests() -> None:
    assert all(
        getattr(EVERYTHING, f.name) not in (None, f.default) for f in dataclasses.fields(EVERYTHING)
    )


def test_equal_choices_are_equal_however_they_are_spelled(tmp_path: Path) -> None:
    spelled = dataclasses.replace(
        EVERYTHING,
        weights=Path("some where/own.pth"),
        mean=np.array([1.5, 2, 3]),
        resize=[120, 130],
    )
    assert spelled == EVERYTHING
    assert hash(spelled) == hash(EVERYTHING)
    assert len({NetworkChoice(), NetworkChoice(), spelled, EVERYTHING}) == 2


@pytest.mark.parametrize("choice", [NetworkChoice(), EVERYTHING, NetworkChoice(resize=128)])
def test_json_and_options_give_the_same_choice_back(choice: NetworkChoice) -> None:
    assert NetworkChoice.from_json(json.loads(json.dumps(choice.to_json()))) == choice
    words = choice.options()
    assert len(words) % 2 == 0
    given: dict[str, Any] = {name: default for name, (_, default) in NETWORK_OPTIONS.items()}
    for option, text in zip(words[::2], words[1::2], strict=True):
        name = option.removeprefix("--").replace("-", "_")
        whole = ("seed", "num_classes", "frames", "frame_stride")
        given[name] = int(text) if name in whole else text
        given[name] = float(text) if name == "input_scale" else given[name]
    assert network_of(given) == choice


def test_the_command_line_has_an_option_for_every_field() -> None:
    fields = {f.name: f.default for f in dataclasses.fields(NetworkChoice)}
    assert {name: default for name, (_, default) in NETWORK_OPTIONS.items()} == fields


def test_options() -> None:
    plain = ["--model", "compact"]
    assert NetworkChoice().options() == plain
    random = NetworkChoice(weights="random", seed=3)
    assert random.options() == [*plain, "--weights", "random", "--seed", "3"]
    assert NetworkChoice(classes=("a", "b,c")).options() == plain  # the command line takes a file


def test_other_json_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"a network is chosen by model, weights, .* got name"):
        NetworkChoice.from_json({"name": "compact"})


def test_paths_become_absolute_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    choice = NetworkChoice(
        "nets/own.py:build",
        "a.pth",
        mean="m.npy",
        classes="names.txt",
        pool5="ceil",
        input="i.toml",
    )
    assert choice.absolute() == NetworkChoice(
        model=f"{tmp_path}/nets/own.py:build",
        weights=str(tmp_path / "a.pth"),
        mean=str(tmp_path / "m.npy"),
        classes=str(tmp_path / "names.txt"),
        pool5="ceil",
        input=str(tmp_path / "i.toml"),
    )
    for kept in (
        NetworkChoice(),
        NetworkChoice(weights="random"),
        NetworkChoice("package.module:build"),
        NetworkChoice(mean=(1, 2, 3), classes=("a", "b")),
        choice.absolute(),
    ):
        assert kept.absolute() == kept


def test_it_loads_what_load_model_loads(tmp_path: Path, tiny_c3d: Any) -> None:
    weights = tmp_path / "own.safetensors"
    save_model(weights, tiny_c3d, ModelSpec("compact", "own", True, COMPACT_INPUT, 5))
    said: dict[str, Any] = {
        "num_classes": 5,
        "channel_order": "BGR",
        "mean": (1.0, 2.0, 3.0),
        "resize": (120, 130),
        "crop": (112, 112),
        "pool5": "padded",
        "classes": ["run", "jump", "fall", "turn", "stay"],
        "fc6_order": "chw",
    }
    model, spec = NetworkChoice("compact", weights, 3, input_scale=0.5, **said).load()
    twin, other = load_model("compact", weights, seed=3, scale=0.5, **said)
    assert spec == other
    assert (spec.input.channel_order, spec.input.mean) == ("BGR", (1.0, 2.0, 3.0))
    assert (spec.input.scale, spec.input.resize) == (0.5, (120, 130))
    assert (spec.pool5, spec.classes) == ("padded", ("run", "jump", "fall", "turn", "stay"))
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    random, spec = NetworkChoice("compact", "random", seed=3, num_classes=4).load()
    assert spec.weights == "random weights (seed 3), untrained"
    assert random.num_classes == 4


@pytest.mark.parametrize("seed", [2**64, 2**31, -1])
def test_a_seed_that_is_none(seed: int) -> None:
    with pytest.raises(WeightsError, match="seed must be 0 to 2147483647, got"):
        NetworkChoice(weights="random", seed=seed).load()


def test_a_deviation_is_kept_by_the_own_format(tmp_path: Path, tiny_c3d: Any) -> None:
    for std in (None, (4.0, 5.0, 6.0)):
        spec = ModelSpec("compact", "own", True, COMPACT_INPUT.replace(std=std), 5)
        save_model(tmp_path / "own.safetensors", tiny_c3d, spec)
        assert load_model("compact", tmp_path / "own.safetensors")[1].input == spec.input
    assert load_model("compact", std=(1, 2, 3))[1].input.std == (1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"resize": b"x"}, "resize must be"),
        ({"resize": True}, "resize must be"),
        ({"crop": b"pp"}, "crop must be"),
        ({"mean": b"abc"}, "mean must be"),
        ({"mean": (True, 1, 2)}, "mean must be"),
        ({"std": b"abc"}, "std must be"),
        ({"std": (True, 1, 1)}, "std must be"),
        ({"scale": True}, "scale must be"),
        ({"scale": np.True_}, "scale must be"),
        ({"weights": ""}, "weights: the name is empty"),
        ({"mean": ""}, "mean: the name is empty"),
    ],
)
def test_what_is_no_number_and_no_name(given: dict[str, Any], line: str) -> None:
    with pytest.raises(WeightsError, match=line):
        load_model("compact", **given)
