"""Training: accuracy: shares, intervals, what is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from c3d_viz.nets.c3d import C3D, initialise
from c3d_viz.nets.spec import COMPACT_INPUT, ModelSpec
from c3d_viz.synthetic.library import WHATS, load_library
from c3d_viz.synthetic.scene import CLASSES, HOWS
from c3d_viz.training import evaluate


def test_wilson_matches_published_values() -> None:
    assert evaluate.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert evaluate.wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert evaluate.wilson(10, 10)[1] == pytest.approx(1.0)


def test_clustered_answers_have_a_wider_interval() -> None:
    rng = np.random.default_rng(0)
    per_sprite = rng.random(50) < 0.6
    right, cluster = np.repeat(per_sprite, 20), np.repeat(np.arange(50), 20)
    low, high = evaluate.cluster_interval(right, cluster)
    single = evaluate.wilson(int(right.sum()), len(right))
    assert high - low > 3 * (single[1] - single[0])
    assert low < right.mean() < high


class Constant(nn.Module):
    """Always says class ``index``."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index

    def forward(self, x: Tensor) -> Tensor:
        logits = torch.zeros(len(x), len(CLASSES))
        logits[:, self.index] = 5
        return logits


def test_a_constant_answer_scores_chance_on_balanced_clips(sources: Path) -> None:
    test = evaluate.TestSet("tiny", "all", "all", 1.0, 60, 1)
    index = CLASSES.index("plant right")
    result = evaluate.evaluate({"constant": Constant(index)}, sources, [test])["tiny"]["constant"]
    assert result["clips"] == 60
    assert result["appearance"]["share"] == pytest.approx(1 / 6, abs=1e-4)  # type: ignore[index]
    assert result["motion"]["share"] == pytest.approx(0.1)  # type: ignore[index]
    assert result["both"]["share"] == pytest.approx(1 / 60, abs=1e-4)  # type: ignore[index]
    by_class = result["motion_by_class"]
    assert {k: v["share"] for k, v in by_class.items()} == {  # type: ignore[attr-defined]
        h: float(h == "right") for h in HOWS
    }
    # left against right: right for the 6 clips that go right, a tie (wrong) everywhere else
    assert result["direction"]["share"] == pytest.approx(6 / 48)  # type: ignore[index]
    assert "| right | 100.0 %" in evaluate.table({"tiny": {"constant": result}})


def test_what_is_the_likeliest_class_and_how_the_likeliest_sum(sources: Path) -> None:
    """One class of 60 stands out, while another motion has more in all."""

    class Undecided(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            logits = torch.full((len(x), len(WHATS), len(HOWS)), -9.0)
            logits[:, 3, 6] = 4.0  # the single best: object 3
            logits[:, 1, :] = 3.0  # object 1 has more in all, but no better class
            logits[:, :, 2] = 3.5  # motion 2 has more in all than the best class's
            return logits.flatten(1)

    test = evaluate.TestSet("tiny", "all", "all", 1.0, 4, 1)
    (said,) = evaluate.answers([Undecided()], load_library(sources, "all", "all"), test)
    assert said.said_what.tolist() == [3] * 4
    assert said.said_how.tolist() == [2] * 4


def test_evaluation_keeps_figures_of_the_same_weights(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = {"a": "first"}
    asked: list[str] = []

    def load(name: str) -> tuple[nn.Module, ModelSpec]:
        asked.append(name)
        spec = ModelSpec(name, "", True, COMPACT_INPUT, 60, sha256=sums[name])
        return Constant(0), spec

    monkeypatch.setattr("c3d_viz.weights.load_model", load)
    test = evaluate.TestSet("tiny", "all", "all", 1.0, 4, 1)
    out = tmp_path / "figures.json"
    lines: list[int] = []

    def run() -> evaluate.Result:
        lines.clear()
        return evaluate.evaluate_files(
            ["a"], sources, out, [test], lambda done, total, what: lines.append(done)
        )

    first = run()
    assert lines == [4]
    assert first["tiny"]["a"]["motion_confusion"][0][0] == 1  # still, of clips 0 to 3
    assert run() == first
    assert lines == []
    sums["a"] = "other"
    assert run() == first
    assert lines == [4]
    assert json.loads(out.read_text())["sha256"] == {"a": "other"}


def test_the_same_evaluation_twice_gives_the_same_figures(sources: Path) -> None:
    library = load_library(sources, "all", "all")
    model = C3D(60, width=2, fc=8).eval()
    initialise(model, 0)
    test = evaluate.TestSet("tiny", "all", "all", 1.0, 8, 1)
    first, again = (evaluate.answers([model], library, test, batch=4)[0] for _ in range(2))
    assert (first.said_what == again.said_what).all()
    assert (first.said_how == again.said_how).all()
    assert (first.sprite == again.sprite).all()
