"""What the report and the figure show is what was measured: no picture is rendered here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import VIDEOS, Made, made_study

from c3d_viz.clips import cropped_frames, read_clip
from c3d_viz.engine import Unit
from c3d_viz.finding import make_figure
from c3d_viz.finding.judge.analysis import Analysis, analyse
from c3d_viz.finding.measure.curves import curves
from c3d_viz.finding.measure.stimulus import stimulus
from c3d_viz.finding.show import figure, plots, report
from c3d_viz.finding.types import DECIDING, TRAINED, TWIN
from c3d_viz.methods import Attribution
from c3d_viz.nets import C3D, COMPACT_INPUT
from c3d_viz.render import LIGHT, overlay, raw_frames


@pytest.fixture(scope="module")
def made() -> Made:
    return made_study()


@pytest.fixture(scope="module")
def analysis(made: Made) -> Analysis:
    model = {"weights": "tiny <weights>", "trained": False}
    return analyse(made.study, {"skipped": ["x.mp4 has 3 frames"], "model": model})


def test_the_page_has_every_number_in_its_column(made: Made, analysis: Analysis) -> None:
    page = report.page(made.study, analysis, [f"picture {i};" for i in range(6)], 90.0)
    assert "tiny &lt;weights&gt;" in page
    assert "not trained" in page
    assert f"9 windows of {len(set(VIDEOS))}\nvideos" in page
    assert "<li>x.mp4 has 3 frames</li>" in page
    assert re.findall(r"picture \d", page) == [f"picture {i}" for i in range(6)]
    for i, window in enumerate(made.study.windows):
        row = re.search(rf"<tr><td>{window.name}</td>(.*?)</tr>", page)
        assert row is not None
        cells = re.findall(r"<td[^>]*>([^<]*)</td>", row[1])
        numbers = [made.P[TRAINED][m][i] for m in DECIDING]
        numbers += [made.K[TRAINED][m][i] for m in DECIDING]
        assert cells == [VIDEOS[i], "1", *(f"{n:+.3f}" for n in numbers)]
    for control in analysis.controls:
        assert f"<td>{control.name}</td><td class='right'>right</td>" in page
    t: Any = analysis.data["does_not_vote"]
    t = t["synthetic"]["T"]["guided"]
    assert f"guided: on synthetic clips T = {t['value']:+.3f} [{t['low']:+.3f}" in page
    levels: Any = analysis.data["does_not_vote"]
    trained = levels["mean_A_and_M"][TRAINED]["guided"]
    assert f"guided: mean A = {trained['A']:+.3f}, mean M = {trained['M']:+.3f}" in page


def test_stored_curves_are_those_of_the_network_and_window(made: Made) -> None:
    stored = report._curves(made.study)
    assert len(stored) == 3 * len(made.study.networks) * len(VIDEOS)
    for key in ("A", "M", "E"):
        np.testing.assert_array_equal(
            stored[f"reinit-07/d@4/{key}"], made.study.measured["reinit-07--d@4"][key]
        )


def lines(axis: Any) -> dict[str, np.ndarray]:
    return {line.get_label(): np.asarray(line.get_ydata()) for line in axis.get_lines()}


def test_plots_draw_their_own_numbers(made: Made, analysis: Analysis) -> None:
    names = list(plots.figures(made.study, analysis))
    assert (
        names == ["effect", "curves", "clips", "energy", "depth", "units"] == list(report._CAPTIONS)
    )
    axis = plots.effect_figure(analysis, LIGHT).axes[0]
    labels = [text.get_text() for text in axis.get_yticklabels()]
    points = [line.get_xdata()[0] for line in axis.get_lines()[1:]]
    drawn = dict(zip(labels, points, strict=True))
    assert drawn["T, guided backprop"] == analysis.effects["guided"].T.value
    intervals: Any = analysis.data["control_intervals"]
    assert drawn["2D twin, gradient"] == intervals["2D twin"]["gradient"]["value"]
    assert drawn["shuffled, guided backprop"] == intervals["shuffled"]["guided"]["value"]

    axes = np.reshape(plots.curves_figure(made.study, LIGHT).axes, (2, 3))
    for row, method in enumerate(DECIDING):
        late = (made.P[TRAINED][method] + made.K[TRAINED][method]).mean() - 0.05
        assert lines(axes[row, 0])["trained"][1:8] == pytest.approx(0.05)
        assert lines(axes[row, 1])["trained"][8:15] == pytest.approx(late)
        assert lines(axes[row, 2])["trained"][1:15] == pytest.approx([-0.05] * 7 + [late] * 7)
        twin = made.P[TWIN][method].mean()
        assert lines(axes[row, 1])["2D twin"][1:8] == pytest.approx(-2 * twin)

    order = np.argsort(made.P[TRAINED][DECIDING[0]])
    panels = plots.clips_figure(made.study, analysis, LIGHT).axes
    for axis, method in zip(panels, DECIDING, strict=True):
        marks = {line.get_label(): line.get_xdata() for line in axis.get_lines()}
        assert marks["P, trained"] == pytest.approx(made.P[TRAINED][method][order])
        assert marks["K, trained"] == pytest.approx(made.K[TRAINED][method][order])
    ticks = [text.get_text() for text in panels[0].get_yticklabels()]
    assert ticks == [made.study.windows[i].name for i in order]

    for number, axis in enumerate(plots.energy_figure(made.study, LIGHT).axes):
        at_7 = 0.05 + 0.01 * number
        assert lines(axis)["trained"][[0, 7, 15]] == pytest.approx([0.2, at_7, 0.1])
        frozen = lines(axis)["trained, frozen clip"]
        assert frozen[[0, 7, 15]] == pytest.approx([0.24, at_7, 0.06])

    spearman, beyond, ssim = plots.depth_figure(made.study, analysis, LIGHT).axes
    assert lines(spearman)["gradient"] == pytest.approx(0.91)
    assert lines(beyond)["guided backprop"][-1] == pytest.approx(made.deep["guided"].mean())
    assert lines(ssim)["gradient"] == pytest.approx(0.77)

    panels = plots.units_figure(made.study, LIGHT).axes
    for axis, dynamic in zip(panels, (6, 3), strict=True):
        assert axis.patches[0].get_height() == pytest.approx(dynamic / 12)  # conv1a, the first kind


def test_the_seed_is_marked_where_the_unit_is() -> None:
    att = Attribution(
        np.zeros((3, 16, 112, 112), np.float32), Unit("conv3a", 0, (2, 5, 9)), "", 1.0
    )
    # conv3a: a step is 2 frames and 4 x 4 pixels; its centre lies one and a half pixels on
    first, last, y, x = figure.seed_place(C3D(4, 4, (3,) * 5, 8), att)
    assert (first, last) == (4, 5)
    assert (y, x) == (5 * 4 + 1.5, 9 * 4 + 1.5)


def test_the_figure_is_of_the_clip_and_its_strongest_maps(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that is drawn, without drawing."""
    seen: dict[str, Any] = {}

    def draw(frames: Any, pictures: Any, found: Any, measured: Any, title: str) -> str:
        seen.update(frames=frames, pictures=pictures, found=found, measured=measured, title=title)
        return title

    def write(path: Path, video: np.ndarray, fps: float) -> None:
        seen["video"] = video

    monkeypatch.setattr(figure, "draw", draw)
    monkeypatch.setattr(figure, "write_video", write)
    monkeypatch.setattr(figure, "_render", lambda drawn, kind, dpi: f"{kind} {dpi}".encode())
    clip_path = files / "clips" / "motion-first-0"
    written = make_figure(
        clip_path, tmp_path, layer="conv3b", maps=2, weights=files / "compact.safetensors"
    )
    assert written[0].read_bytes() == b"png 200"
    assert written[1].read_bytes() == b"pdf 300"
    clip = read_clip(clip_path, 0, 16)
    frames = cropped_frames(clip, COMPACT_INPUT)
    np.testing.assert_array_equal(seen["frames"], frames)
    first, second = seen["found"]
    assert first.unit.layer == second.unit.layer == "conv3b"
    assert first.activation > second.activation
    assert first.method == "deconvnet"
    for (raw, over, _), att in zip(seen["pictures"], seen["found"], strict=True):
        np.testing.assert_array_equal(raw, raw_frames(att))
        np.testing.assert_array_equal(over, overlay(frames, att))
    by_hand = curves(np.stack([att.values for att in seen["found"]]), stimulus(frames))
    np.testing.assert_array_equal(seen["measured"].A, by_hand.A)
    assert seen["title"].startswith("motion-first-0, frames 0-15; ")
    assert seen["title"].endswith("Deconvolution; compact.safetensors: own format, 4 classes")
    # the video: clip, then raw and overlay of each map, with 4 white pixels between, twice the size
    (raw, over, _), (raw2, over2, _) = seen["pictures"]
    small = seen["video"][:, ::2, ::2]
    for number, part in enumerate((frames, raw, over, raw2, over2)):
        np.testing.assert_array_equal(small[:, :, 116 * number : 116 * number + 112], part)
