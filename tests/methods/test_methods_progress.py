"""Progress may be given to any method; those of many passes report them."""

from __future__ import annotations

import pytest
import torch
from nets import clip, mini_c3d, relative

from c3d_viz import METHODS, Unit, attribute, attribute_many


@pytest.mark.parametrize("method", list(METHODS))
def test_progress_changes_no_map(method: str) -> None:
    net = mini_c3d("ceil").eval()
    x = clip()
    units = [Unit("conv2a", 0), Unit("conv2a", 1)]
    heard: list[tuple[int, int]] = []
    quiet = [a.values for a in attribute_many(net, x, units, method)]
    told = attribute_many(net, x, units, method, progress=lambda *at: heard.append(at))
    for values, att in zip(quiet, told, strict=True):
        assert relative(torch.from_numpy(att.values), torch.from_numpy(values)) < 1e-6
    assert bool(heard) == METHODS[method].reports
    if heard:  # passes of all units, never backwards
        assert heard == sorted(heard)
        assert len({total for _, total in heard}) == 1
    assert attribute(net, x, units[0], method, progress=lambda *_: None).method == method
