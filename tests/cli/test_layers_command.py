"""``c3d-viz layers`` of a network that the test writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from c3d_viz.cli import main

NET = """
from torch import nn
from c3d_viz import InputSpec

def build():
    net = nn.Sequential()
    net.first = nn.Conv3d(1, 2, 3, padding=1)
    net.group = nn.Sequential(nn.ReLU(), nn.AvgPool3d(2), nn.Conv3d(2, 3, 3))
    return net, InputSpec("RGB", mean=(0,), resize=(20, 20), crop=(16, 18), frames=8)
"""


def test_layers_of_a_network_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(NET)
    with pytest.raises(SystemExit) as left:
        main(["layers", "--model", f"{tmp_path}/net.py:build"])
    assert not left.value.code
    out = capsys.readouterr().out
    assert out.startswith("net.py:build: net.py:build, weights as the factory gives them\n")
    assert "input (C x T x H x W): 1 x 8 x 16 x 18" in out
    assert "groups: first, group" in out
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines() if line}
    assert lines["first"] == "Conv3d 2 x 8 x 16 x 18 3 x 3 x 3 1 x 1 x 1 56"
    assert lines["group.2"] == "Conv3d 3 x 2 x 6 x 7 8+ x 8 x 8 - x 2 x 2 165"
    assert lines["total"] == "221"
