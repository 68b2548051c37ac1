"""The figure of one clip, on tiny networks."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import pytest

from c3d_viz import finding
from c3d_viz.errors import LayerError


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
    with pytest.raises(LayerError, match="no method"):
        finding.make_figure(clip, tmp_path, method="magic", weights=weights)
    with pytest.raises(LayerError, match="1 to 32"):
        finding.make_figure(clip, tmp_path, maps=99, weights=weights)
    assert not list(tmp_path.iterdir())
