"""Grad-CAM, by hand and on networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import Residual, clip, mini_c3d, state
from torch import nn

from c3d_viz.engine.tracing import Unit
from c3d_viz.errors import LayerError, VizError
from c3d_viz.methods.gradcam import grad_cam


def test_grad_cam_by_hand() -> None:
    """One channel A = [1, 2 | 3, 4] over two frames; out = 1 A00 + 3 A01 - 5 A10 + 1 A11.

    Slopes 1, 3 | -5, 1. Their mean over the volume is 0: the map is 0. Per time step 2 and -2: the
    map is 2 * [1, 2] in the first frame and, cut at zero, 0 in the second.
    """
    net = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(4, 1, bias=False)).eval()
    net[2].weight.data = torch.tensor([[1.0, 3.0, -5.0, 1.0]])
    x = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 2, 1, 2)
    unit = Unit("2", 0, ())
    volume = grad_cam(net, x, "0", unit, "volume")
    steps = grad_cam(net, x, "0", unit, "time_step")
    assert volume.values.tolist() == [[[0, 0]], [[0, 0]]]
    assert steps.values.tolist() == [[[2, 4]], [[0, 0]]]
    assert (volume.average, steps.average) == ("volume", "time_step")


def test_grad_cam_on_networks() -> None:
    net, x = mini_c3d(), clip()
    before = state(net)
    with torch.inference_mode():
        cam = grad_cam(net, x, "relu5b", Unit("fc7", 3))
    assert cam.values.shape == (2, 3, 3)
    assert cam.values.min() >= 0
    assert cam.unit == Unit("fc7", 3, ())
    net, x = Residual().eval(), clip((1, 3, 4, 6, 6))
    with_copy = Residual("torch.relu").eval()
    unit = Unit("down", 1, (0, 1, 1))
    for average in ("volume", "time_step"):  # the in-place ReLU that follows changes nothing
        np.testing.assert_allclose(
            grad_cam(net, x, "first", unit, average).values,
            grad_cam(with_copy, x, "first", unit, average).values,
            rtol=1e-5,
        )
    with pytest.raises(VizError, match="no average 'frame'; there are volume, time_step"):
        grad_cam(net, x, "first", unit, "frame")
    with pytest.raises(LayerError, match="does not depend on down"):
        grad_cam(net, x, "down", Unit("first", 0))
    net, x = mini_c3d(), clip()
    with pytest.raises(LayerError, match="fc6 has no"):
        grad_cam(net, x, "fc6", Unit("fc7", 0))
    assert state(mini_c3d()) == before
