"""Progress may be given to any method; those of many passes report them."""

from __future__ import annotations

import numpy as np
import pytest
from nets import clip, mini_c3d
from quick import QUICK

from c3d_viz import METHODS, Unit, attribute_many


@pytest.mark.parametrize("method", list(METHODS))
def test_progress_changes_no_map(method: str) -> None:
    net = mini_c3d("ceil").eval()
    x = clip()
    units = [Unit("conv2a", 0), Unit("conv2a", 1)]
    heard: list[tuple[int, int]] = []
    few = QUICK.get(method)
    quiet = [a.values for a in attribute_many(net, x, units, method, settings=few)]
    told = attribute_many(
        net, x, units, method, settings=few, progress=lambda *at: heard.append(at)
    )
    for values, att in zip(quiet, told, strict=True):
        np.testing.assert_array_equal(att.values, values)
    assert bool(heard) == METHODS[method].reports
    if heard:  # passes of all units, never backwards
        assert heard == sorted(heard)
        assert len({total for _, total in heard}) == 1
