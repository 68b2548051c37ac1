"""The figure of one clip, on tiny networks."""

from __future__ import annotations

import os
from pathlib import Path

import av
import cv2
import pytest

from c3d_viz import finding
from c3d_viz.errors import ExportError, FindingError, LayerError, WeightsError
from c3d_viz.finding.show.figure import file_names


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["conv2a", "conv5b"])
def test_the_figure_of_any_layer(files: Path, tmp_path: Path, layer: str) -> None:
    clip = files / "clips" / "appearance-first-0"
    written = finding.make_figure(
        clip, tmp_path, layer=layer, weights=files / "compact.safetensors", method="guided"
    )
    assert [p.suffix for p in written] == [".png", ".pdf", ".mp4"]
    image = cv2.imread(str(written[0]))
    assert image.shape[1] == 3200
    assert image.std() > 10
    assert written[1].read_bytes().startswith(b"%PDF")
    with av.open(str(written[2])) as video:
        assert sum(1 for _ in video.decode(video=0)) == 16


def test_the_figure_refuses_what_it_cannot_draw(files: Path, tmp_path: Path) -> None:
    clip = files / "clips" / "appearance-first-0"
    weights = files / "compact.safetensors"
    with pytest.raises(LayerError, match="conv layer"):
        finding.make_figure(clip, tmp_path, layer="fc6", weights=weights)
    for method in ("magic", "rise", "gradcam", "smoothgrad"):
        with pytest.raises(LayerError, match=f"deconvnet, guided, gradient; got '{method}'"):
            finding.make_figure("nothing.mp4", tmp_path, method=method, weights="nothing.pth")
    with pytest.raises(LayerError, match="1 to 32"):
        finding.make_figure(clip, tmp_path, maps=99, weights=weights)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("out", ["/dev/null", "/dev/null/x", "n" * 300, ""])
def test_a_folder_that_cannot_be_written_is_refused_before_any_work(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is read for it: neither the clip nor the weights exist."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExportError, match="choose"):
        finding.make_figure("nothing.mp4", out, weights="nothing.pth")
    with pytest.raises(ExportError, match="choose"):
        finding.run_test(["nothing.mp4"], out, weights="nothing.pth")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"reinit": 0}, "reinit .* must be 1 to 1000, got 0"),
        ({"reinit": -1}, "reinit .* must be 1 to 1000, got -1"),
        ({"reinit": 1001}, "reinit .* must be 1 to 1000"),
        ({"windows_per_video": 0}, "windows of each video must be 1 to 1000, got 0"),
        ({"windows_per_video": 10**9}, "windows of each video"),
        ({"seed": -1}, "seed must be 0 to 2147483647, got -1"),
        ({"seed": 18446744073709551616}, "seed must be 0 to"),
    ],
)
def test_numbers_out_of_range_are_refused_before_any_work(
    given: dict[str, int], says: str, tmp_path: Path
) -> None:
    with pytest.raises(FindingError, match=says):
        finding.run_test(["nothing.mp4"], tmp_path / "out", **given)
    assert not list(tmp_path.iterdir())


def test_a_twin_without_a_name_is_no_network(files: Path, tmp_path: Path) -> None:
    """None leaves the twin out; an empty name is a slip and not that."""
    with pytest.raises(WeightsError, match="no model ''"):
        finding.run_test(
            [files / "clips"], tmp_path, weights=files / "compact.safetensors", twin=""
        )
    assert not list(tmp_path.iterdir())


def test_a_clip_of_the_longest_name_has_files_of_the_longest() -> None:
    assert file_names("bikes", "conv5b", "guided") == [
        "bikes-conv5b-guided.png", "bikes-conv5b-guided.pdf", "bikes-conv5b-guided.mp4",
    ]  # fmt: skip
    for name in ("n" * 255, "é" * 127, "\udcff" * 255):
        for file in file_names(name, "conv5b", "integrated_gradients"):
            assert len(os.fsencode(file)) <= 255
            assert "conv5b-integrated_gradients." in file
