"""The picture and the film that a page gives away."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_pages import of, settled

from app import samples, saving, windows, work
from c3d_viz import render


@pytest.mark.parametrize("layer", ["conv5b", "conv2a"])
def test_a_picture_says_what_it_is_of(
    net: work.Net, layer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = samples.sample_source("shapes", tmp_path)
    win = windows.window(source, net, 5, 1)
    unit = work.spot(net, win, layer, None, None)
    written: list[dict[str, Any]] = []

    def watched(original: Any) -> Any:
        def drawn(*args: Any, **more: Any) -> Any:
            written.append(more)
            return original(*args, **more)

        return drawn

    for name in ("filmstrip", "contact_sheet"):
        monkeypatch.setattr(render, name, watched(getattr(render, name)))
    monkeypatch.setattr(saving, "TILE", 60)
    made = {
        kind: Image.open(
            io.BytesIO(saving.saved(kind, source, net, win, unit, "map X", "guided", "signed"))
        )
        for kind in ("png", "gif")
    }
    assert len(written) == 17
    for more in written:
        assert more["title"].startswith(f"{layer} · map X · Guided backpropagation · answers ")
        assert f"at (t, h, w) = {unit.at}" in more["title"]
        assert more["subtitle"].startswith("weights: compact: trained on ")
        assert more["subtitle"].endswith(" kinds × 10 motions) · Turning shape, frames 5-20")
        assert more["numbers"] == list(range(5, 21))
        assert more["mode"] == "signed"
    assert (written[0]["patch"] is None) == (layer == "conv5b")
    assert made["png"].width > 1400
    assert (made["gif"].format, made["gif"].n_frames) == ("GIF", 16)
    films = []
    for n in (0, 15):
        made["gif"].seek(n)
        films.append(np.asarray(made["gif"].convert("RGB")).astype(int))
    assert (np.abs(films[0] - films[1]) > 30).mean() > 0.001  # another frame
    assert saving.file_name("gif", source, unit, "guided") == (
        f"turning-shape-{layer}-{unit.channel}-guided.gif"
    )


def test_the_page_offers_both_of_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(saving, "saved", lambda *args: asked.append(args) or b"")
    offered = {}
    import streamlit as st

    def button(label: str, data: Any, name: str, mime: str, **more: Any) -> None:
        offered[mime] = (data, name)

    monkeypatch.setattr(st, "download_button", button)
    settled(of("clip", clip="shapes", layer="conv5b", map="7", method="gradient"))
    assert {name.rpartition("-")[2] for _, name in offered.values()} == {
        "gradient.png",
        "gradient.gif",
    }
    for data, _ in offered.values():
        data()
    assert [(one[0], one[1].label, one[4].channel, *one[5:]) for one in asked] == [
        (kind, "Turning shape", 7, "map 7", "gradient", "magnitude") for kind in ("png", "gif")
    ]
