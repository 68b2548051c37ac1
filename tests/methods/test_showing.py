"""Maps in a notebook: the video inside is the overlay, the words are there, the figure is one."""

from __future__ import annotations

import ast
import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

import c3d_viz as viz
from c3d_viz.errors import ShapeError
from c3d_viz.nets import InputSpec, ModelSpec

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "notebook.ipynb"
SPEC = ModelSpec("tiny", "untrained <b>", False, InputSpec("RGB", resize=26, crop=(24, 24)), 0)


@pytest.fixture
def clip() -> viz.Clip:
    frames = np.random.default_rng(0).integers(0, 255, (16, 30, 40, 3), np.uint8)
    return viz.Clip(frames, 20.0, "a/walk.mp4", 5, 2)


@pytest.fixture
def att() -> viz.Attribution:
    values = np.zeros((3, 16, 24, 24), np.float32)
    values[:, 6, 3:9, 12:18] = 0.25
    return viz.Attribution(values, viz.Unit("layer1", 7, (1, 2, 3)), "gradient", 2.5)


def video_in(bundle: dict[str, Any]) -> tuple[np.ndarray, float]:
    data = re.search(r"data:video/mp4;base64,([\w+/=]+)", bundle["text/html"])
    assert data is not None
    with av.open(io.BytesIO(base64.b64decode(data[1]))) as file:
        rate = float(file.streams.video[0].average_rate or 0)
        return np.stack([f.to_ndarray(format="rgb24") for f in file.decode(video=0)]), rate


def test_over_the_clip_with_weights_and_scale(att: viz.Attribution, clip: viz.Clip) -> None:
    bundle = viz.show(att, clip, SPEC)._repr_mimebundle_()
    html, text = bundle["text/html"], bundle["text/plain"]
    assert "tiny · weights: untrained <b> · walk, frames 5-35" in text
    assert "untrained &lt;b&gt;" in html
    assert "<b>" not in html
    assert "layer1 · channel 7 · gradient" in html
    assert "activation 2.5 at (1, 2, 3)" in text
    assert "colours from 0 to 0.75: sum over R, G, B of |attribution|; one scale" in text
    frames, rate = video_in(bundle)
    assert rate == 5  # 20 frames a second, every second of them, at half speed
    expected = viz.overlay(viz.cropped_frames(clip, SPEC.input), att)
    assert np.abs(frames[:, 7::14, 7::14].astype(int) - expected).mean() < 12
    strip = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert strip.width > 1000
    assert f"data:image/png;base64,{bundle['image/png']}" in html


def test_by_itself_on_black(att: viz.Attribution) -> None:
    frames, _ = video_in(att._repr_mimebundle_())
    assert frames[0].max() < 30
    assert frames[6, 40:120, 175:245].mean() > 100
    assert "weights" not in att._repr_mimebundle_()["text/plain"]


def test_notes_stand_there(att: viz.Attribution) -> None:
    noted = viz.Attribution(
        att.values, att.unit, "guided", 1.0, precision_note="bf16 came to < nothing"
    )
    bundle = noted._repr_mimebundle_()
    assert "bf16 came to &lt; nothing" in bundle["text/html"]
    assert "bf16 came to < nothing" in bundle["text/plain"]


def test_a_figure_that_can_be_restyled(att: viz.Attribution, clip: viz.Clip) -> None:
    page = viz.figure(att, clip, SPEC, columns=4)
    axes = page.axes
    assert [axis.get_title() for axis in axes[:4]] == [f"frame {n}" for n in (5, 15, 25, 35)]
    pixels = viz.cropped_frames(clip, SPEC.input)
    drawn = viz.overlay(pixels, att)
    for column, index in enumerate((0, 5, 10, 15)):
        assert np.array_equal(axes[column].images[0].get_array(), pixels[index])
        assert np.array_equal(axes[4 + column].images[0].get_array(), drawn[index])
    assert axes[8].get_ylim() == (0, 0.75)
    assert page.get_suptitle() == "layer1 · channel 7 · Gradient"
    assert "untrained <b>" in page.get_supxlabel()
    page.savefig(io.BytesIO())
    assert len(viz.figure(att, pixels, columns=99).axes) == 33


def test_a_clip_of_another_size_needs_a_spec(att: viz.Attribution, clip: viz.Clip) -> None:
    with pytest.raises(ShapeError, match=r"the clip is \(16, 30, 40\) .* give spec"):
        viz.show(att, clip)
    with pytest.raises(ShapeError, match="columns must be 1 or more"):
        viz.figure(att, clip, SPEC, columns=0)


@pytest.mark.slow
def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code cells one after the other, and what the last line of each would show."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    names: dict[str, Any] = {}
    shown = []
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        assert not cell["outputs"]
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), "cell", "eval"), names))
    units, alone, over, page = shown
    assert [unit.layer for unit in units] == ["conv5b"] * 3
    for value in (alone, over):
        assert len(video_in(value._repr_mimebundle_())[0]) == 16
    assert "compact · weights: compact: trained on" in repr(over)
    assert page.axes[0].get_ylabel() == "input"
