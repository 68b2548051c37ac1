"""``--timings`` says which layers autograd walked back from, and why."""

from __future__ import annotations

from pathlib import Path

from c3d_viz.cli.shortfall import walked_by_autograd
from c3d_viz.weights import NetworkChoice

NET = """
import torch
from torch import nn
from c3d_viz import InputSpec

class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.relu, self.gate = nn.Conv3d(1, 2, 3), nn.ReLU(), nn.Sigmoid()
        self.top = nn.Conv3d(2, 2, 3)

    def forward(self, x):
        x = self.relu(self.first(x))
        return self.top(x * self.gate(x))

def build():
    return Gated(), InputSpec("RGB", mean=(0,), resize=(20, 20), crop=(16, 18), frames=8)
"""


def test_a_line_for_each_reason(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    network = NetworkChoice(f"{tmp_path}/net.py:build")
    layers = [{"layer": name} for name in ("first", "relu", "gate", "top")]
    lines = walked_by_autograd(network, {"windows": [{"layers": layers}]})
    assert lines == ["walked by autograd: gate, top: sigmoid is not known to the fast engine"]
    assert walked_by_autograd(network, {"windows": [{"layers": layers[:2]}]}) == []
