"""An attribution's own notes stand on every page that shows it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from pictures import attribution, gray_frames, noise_map

from c3d_viz.engine import RuleReport
from c3d_viz.render import contact_sheet, filmstrip

REPORT = RuleReport(3, ("SiLU",))


def test_a_filmstrip_and_a_sheet_write_the_notes_of_their_maps_once() -> None:
    frames, plain = gray_frames(), attribution(noise_map())
    (note,) = REPORT.notes("guided")
    noted = SimpleNamespace(**vars(plain), notes=(note,))
    assert "3 ReLUs" in note
    assert "SiLU" in note
    strip = filmstrip(frames, noted, notes=["seen in part"])
    np.testing.assert_array_equal(strip, filmstrip(frames, plain, notes=["seen in part", note]))
    assert strip.shape[0] > filmstrip(frames, plain, notes=["seen in part"]).shape[0]
    one = contact_sheet(frames, [plain, noted])
    np.testing.assert_array_equal(one, contact_sheet(frames, [noted, noted]))
    assert one.shape[0] > contact_sheet(frames, [plain, plain]).shape[0]


@pytest.mark.parametrize(("relus", "words"), [(1, "1 ReLU on"), (4, "4 ReLUs on")])
def test_a_note_counts_and_names(relus: int, words: str) -> None:
    (note,) = RuleReport(relus, ("GELU", "Sigmoid")).notes("guided")
    assert words in note
    assert "GELU, Sigmoid there kept the ordinary gradient" in note
    assert RuleReport(relus).notes("guided") == ()
