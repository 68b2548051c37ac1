"""The line under a map that says what was measured about it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import exporting, measured, work
from c3d_viz.cli import STARTED
from c3d_viz.nets import fingerprint
from c3d_viz.trust import shipped_facts

GIVEN = {"schema": 1, "model": "own", "valid": True, "lines": {"conv1a": {"rise": []}}}


def test_what_is_said_of_a_network(
    net: work.Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = shipped_facts("compact")
    assert shipped is not None
    said, meaning = measured.line(net, "conv5b", "deconvnet")
    assert said == f"Measured: {shipped.briefly('conv5b', 'deconvnet')}."
    assert "when the weights are random" in said
    assert "frame difference" in meaning
    # the same architecture with other weights has been measured by nobody
    other = work.network(work.UNTRAINED)
    said, help_ = measured.line(other, "conv5b", "deconvnet")
    assert said == "May it be believed? Not measured for this network: c3d-viz check."
    assert "--weights random --seed 1 measures it" in help_.replace("\\", "")
    assert "Not measured for this method" in measured.line(net, "conv5b", "rise")[0]
    # a check of one's own, with which the server was started
    own = {**GIVEN, "fingerprint": fingerprint(other.model), "short": {"conv1a": {"rise": "so"}}}
    (tmp_path / "facts.json").write_text(json.dumps(own))
    monkeypatch.setenv(STARTED["facts"], str(tmp_path / "facts.json"))
    work.CACHE.clear()
    assert measured.line(other, "conv1a", "rise")[0] == "Measured: so."
    assert measured.file_for(net) is None
    win = SimpleNamespace(start=0, stride=1)
    wanted = exporting.settings(SimpleNamespace(net=other, window=win), methods=("rise",))  # type: ignore[arg-type]
    assert "--facts" in exporting.command(
        SimpleNamespace(source=SimpleNamespace(shown="a.mp4")),
        wanted,  # type: ignore[arg-type]
    )
    assert measured.line(net, "conv5b", "guided")[0].startswith("Measured: changes little")
    assert (
        "(measured at conv3b, the nearest layer that was)"
        in measured.line(net, "conv1a", "guided")[0]
    )


@pytest.mark.parametrize("page", ["clip", "layers", "motion"])
def test_it_stands_under_the_map(page: str) -> None:
    (line,) = (c for c in drawn(page).caption if "easured" in c.value)
    assert line.value.startswith("Measured")
    assert "when the weights are random\\:" in line.value
    helps: Any = line.proto.help
    assert "frame difference" in helps


@pytest.mark.parametrize(
    ("versus", "lines"),
    [
        (
            "net:untrained",
            ["C3D, compact: Measured", "C3D, compact, untrained: May it be believed?"],
        ),
        ("method:gradcam", ["Deconvolution: Measured", "Grad-CAM: Measured"]),
        ("clip:cat", ["Measured"]),
    ],
)
def test_compare_says_whose_maps_were_measured(versus: str, lines: list[str]) -> None:
    captions = (c.value.replace("\\", "") for c in drawn("compare", versus).caption)
    said = [line for line in captions if "easured" in line]
    assert [line[: len(start)] for line, start in zip(said, lines, strict=True)] == lines


def drawn(page: str, versus: str | None = None) -> AppTest:
    """A page as a person finds it, with what is compared chosen."""

    def script(page: str, versus: str | None) -> None:
        import importlib

        import streamlit as st

        from app import state

        st.session_state["pages"] = {"layers": st.Page(lambda: None, url_path="layers")}
        st.navigation([st.session_state["pages"]["layers"]], position="hidden")
        state.view()
        if versus is not None:
            state.changed(versus=versus)
        importlib.import_module(f"app.views.{page}").page()

    test = AppTest.from_function(script, default_timeout=120, args=(page, versus))
    test.run()
    assert not test.exception
    return test
