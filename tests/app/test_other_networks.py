"""A network of somebody's own, given at the start, on every page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_pages import of, settled

from app import blocks, components, sessions, state, work
from app.views import clip
from c3d_viz.cli import STARTED
from c3d_viz.weights import NetworkChoice

NET = """
import torch
from torch import nn
from c3d_viz import InputSpec


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv3d(width, width, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(x + self.conv(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(3, 6, 3, (1, 2, 2), 1), nn.ReLU())
        self.body = nn.Sequential(Block(6), nn.MaxPool3d(2), Block(6))
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        return self.head(self.body(self.stem(x)).mean((2, 3, 4)))


def build():
    torch.manual_seed(0)
    sizes = dict(frames=8, resize=(32, 48), crop=(28, 40))
    return Net(), InputSpec(channel_order="RGB", mean=(110.0,) * 3, **sizes)
"""


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> work.Net:
    (tmp_path / "mine.py").write_text(NET)
    asked = NetworkChoice(f"{tmp_path / 'mine.py'}:build")
    monkeypatch.setenv(STARTED["network"], json.dumps(asked.to_json()))
    yield state._network(state.GIVEN, None)
    sessions.sessions().of("test session id").notes = []


def test_the_layers_of_any_network_come_in_groups(given: work.Net) -> None:
    tree = blocks.tree(given)
    assert [block["id"] for block in tree.blocks] == ["stem", "body", "head"]
    assert [block["kind"] for block in tree.blocks] == ["conv", "conv", "fc"]
    assert tree.blocks[0]["sees"] == "sees 3×3×3"
    assert tree.blocks[0]["shape"] == "6×8×14×20"
    assert tree.first == "body"
    assert tree.layers["body.0.conv"] == (6, 8, 14, 20)
    assert tree.group("body.0.conv") == "body"
    assert tree.inside("stem") == ["stem", "stem.0", "stem.1"]


@pytest.mark.parametrize("page", ["clip", "layers", "compare", "motion", "export"])
def test_every_page_shows_it(given: work.Net, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    players: dict[str, Any] = {}
    real = components.player

    def player(key: str, panels: Any, **more: Any) -> None:
        players[key] = (panels, more)
        real(key, panels, **more)

    monkeypatch.setattr(components, "player", player)
    versus = {"versus": "net:compact"} if page == "compare" else {}
    test = settled(of(page, clip="shapes", net="given", layer="body.0", **versus))
    assert not test.error
    view = test.session_state["view"]
    assert (view.net, view.layer) == ("given", "body.0")
    if page in ("clip", "layers"):
        panels, more = players["answer"]
        assert more["count"] == 8
        assert {panel.get("ratio") for panel in panels if "take part" in str(panel["alt"])} == {
            40 / 28
        }
        test.selectbox(key="inner-body.0").set_value("body.2").run()
        assert test.session_state["view"].layer == "body.2"
        assert not test.error
    elif page == "compare":
        sides, _ = players["compare"]
        assert [side["count"] for side in sides] == [8, 16]
        assert "conv5b" in sides[1]["note"]
        assert any(
            "has no body.0: it shows the strongest map of its conv5b" in html.body
            for html in test.get("html")
        )
        settled(of(page, clip="shapes", net="given", layer="body.0"))
        sides, _ = players["compare"]  # no untrained one of its kind: another method
        assert [side["title"] for side in sides] == ["Deconvolution", "Guided backpropagation"]
    elif page == "motion":
        assert "The claim is about C3D" in test.info[0].value
    else:
        command = test.code[0].value
        assert "--layer body.0 --method deconvnet --top 4 --start 5 --stride 1 --model" in command
        assert "mine.py:build" in command


def test_a_rule_without_a_relu_is_refused_and_another_method_can_be_chosen(
    given: work.Net,
) -> None:
    test = settled(of("layers", clip="shapes", net="given", layer="stem.0"))
    assert "ask for method 'gradient'" in test.error[0].value
    test.selectbox(key="method-deconvnet").set_value("gradient").run()
    assert not test.error


def test_a_link_to_a_layer_of_another_network_is_corrected(given: work.Net) -> None:
    test = settled(of("clip", clip="shapes", net="given", layer="conv5b"))
    assert test.session_state["view"].layer == "body"
    assert "conv5b" in test.info[0].value
    {r.label: r for r in test.radio}["Network"].set_value("compact").run()
    view = test.session_state["view"]
    assert (view.net, view.layer) == ("compact", "conv5b")
    assert not test.error


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (NetworkChoice("r3d_18", "random"), "r3d_18, random weights"),
        (NetworkChoice("r3d_18", "default"), "r3d_18, default weights"),
        (NetworkChoice("/there/mine.py:build"), "mine.py:build"),
        (NetworkChoice("c3d", "/there/own.pth"), "own.pth"),
    ],
)
def test_the_network_given_is_called_by_its_name(
    asked: NetworkChoice, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STARTED["network"], json.dumps(asked.to_json()))
    assert state.given_name() == name


def test_which_frames_are_taken_counts_the_networks_own_stride(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(NET.replace("frames=8", "frames=8, stride=2"))
    asked = NetworkChoice(f"{tmp_path / 'mine.py'}:build")
    monkeypatch.setenv(STARTED["network"], json.dumps(asked.to_json()))
    test = settled(of("clip", clip="shapes", net="given", layer="body.0"))
    names = [o.content for group in test.get("button_group") for o in group.proto.options]
    assert [name for name in names if "Every" in name] == ["Every 2nd", "Every 4th"]
    assert [clip.nth(n) for n in (2, 3, 11, 12, 21)] == ["2nd", "3rd", "11th", "12th", "21st"]


@pytest.mark.parametrize(
    ("asked", "random"),
    [
        (NetworkChoice("r3d_18", "random"), True),
        (NetworkChoice("c3d"), True),  # without a checkpoint
        (NetworkChoice("c3d", "a.pickle"), False),
        (NetworkChoice("compact"), False),
    ],
)
def test_random_weights_are_known_before_they_are_loaded(
    asked: NetworkChoice, random: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STARTED["network"], json.dumps(asked.to_json()))
    assert state.is_random(state.GIVEN) is random
    known = {key: state.is_random(key) for key in work.NETWORKS}
    assert [key for key, is_so in known.items() if not is_so] == ["compact", "compact-2d"]
