"""The finding is about C3D; it says so of another network before that one's code runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from c3d_viz.errors import WeightsError
from c3d_viz.finding import make_figure, run_test
from c3d_viz.weights import NetworkChoice


@pytest.mark.parametrize("name", ["r3d_18", "net.py:build"])
def test_another_network_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    if name != "r3d_18":
        name = f"{tmp_path}/{name}"
        (tmp_path / "net.py").write_text("raise SystemExit('it ran')")
    network = NetworkChoice(name)
    with pytest.raises(WeightsError, match=r"rule was stated, before its result, for .* compact"):
        run_test([tmp_path / "clip.mp4"], tmp_path / "out", network=network)
    with pytest.raises(WeightsError, match="this takes a C3D"):
        make_figure(tmp_path / "clip.mp4", tmp_path / "out", network=network)
    assert not (tmp_path / "out").exists()
