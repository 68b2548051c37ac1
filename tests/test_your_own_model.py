"""docs/your-own-model.md, done as it stands: its network, a checkpoint of it, its commands."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from video_files import colour_noise

import c3d_viz as viz
from c3d_viz.cli import main

PAGE = (Path(__file__).parents[1] / "docs" / "your-own-model.md").read_text(encoding="utf-8")
NET, SCRIPT = re.findall(r"```python\n(.*?)```", PAGE, re.S)
COMMANDS = [shlex.split(line)[1:] for line in re.findall(r"^c3d-viz .*$", PAGE, re.M)]


@pytest.fixture
def here(tmp_path: Path, make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with net.py, the checkpoint of a training of it, and a clip."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    trained, _ = viz.load_model("net.py:build", seed=5)
    state = {f"module.{name}": tensor for name, tensor in trained.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}}, "best.pth")
    make_video(tmp_path / "clip.mp4", colour_noise(20, 80, 100))
    return tmp_path


def run(words: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert not left.value.code


def test_three_steps(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layers, export = COMMANDS
    run(layers)
    said = capsys.readouterr().out
    assert "groups: stem, layer1, layer2, head" in said
    assert "16 x 2 x 8 x 8" in said
    run(export)
    manifest = json.loads((here / "out" / "manifest.json").read_text())
    assert manifest["model"]["weights"] == "best.pth, in net.py:build"
    (window,) = manifest["windows"]
    assert window["frames"] == list(range(0, 16, 2))
    names: dict[str, object] = {}
    exec(SCRIPT, names)
    att, spec = names["att"], names["spec"]
    assert isinstance(att, viz.Attribution)
    assert isinstance(spec, viz.ModelSpec)
    best = window["layers"][0]["units"][0]
    with np.load(here / "out" / best["files"]["guided"]["map"]) as stored:
        assert np.array_equal(stored["values"], att.values)
    assert att.values.any()
    with av.open("layer2.mp4") as film:
        assert sum(1 for _ in film.decode(video=0)) == 8
    model, _ = viz.load_model("net.py:build", seed=5)
    x = viz.preprocess(viz.read_clip("clip.mp4", 0, 8, 2), spec.input)
    assert torch.equal(viz.trace(model, x, "head").output, viz.trace(names["model"], x).output)  # type: ignore[arg-type]


def test_what_the_page_says_of_mistakes(here: Path) -> None:
    model, spec = viz.load_model("net.py:build")
    x = torch.zeros(1, *spec.input.shape)
    with pytest.raises(viz.VizError, match="has none"):
        viz.attribute(model, x, viz.Unit("stem", 0), "guided")
    pixel = np.full((8, 64, 64, 3), 200, np.uint8)
    taken = viz.InputSpec("RGB", (0.485 * 255,) * 3, 1 / 255, 72, (64, 64), 8, std=(0.229,) * 3)
    frames = viz.Clip(np.repeat(np.repeat(pixel[:, :1, :1], 72, 1), 72, 2), 25.0, "x", 0)
    value = viz.preprocess(frames, taken)[0, 0, 0, 0, 0]
    assert abs(float(value) - (200 / 255 - 0.485) / 0.229) < 1e-5
