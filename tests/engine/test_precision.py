"""bfloat16 is taken where it pays, as measured in this process, and said to be left where not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from nets import clip, mini_c3d

from c3d_viz import Unit, attribute
from c3d_viz.engine import precision


@pytest.mark.parametrize(("share", "wanted"), [(0.5, "bf16"), (0.95, "float32"), (6.0, "float32")])
def test_the_measurement_decides(
    monkeypatch: pytest.MonkeyPatch, share: float, wanted: str
) -> None:
    monkeypatch.setattr(precision, "bf16_share", lambda device="cpu": share)
    chosen, note = precision.settled("bf16")
    assert chosen == wanted
    assert (note is None) == (wanted == "bf16")
    if note is not None:
        assert f"{share:.1f} times" in note


def test_float32_is_never_questioned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "bf16_share", lambda device="cpu": pytest.fail("measured"))
    assert precision.settled("float32") == ("float32", None)


def test_it_is_measured_once() -> None:
    assert precision.bf16_share() == precision.bf16_share() > 0


def test_a_processor_without_bfloat16_gets_float32() -> None:
    """The switches of oneDNN and PyTorch make this processor one that has AVX2 only."""
    code = "from c3d_viz.engine import settled; print(*settled('bf16'))"
    old = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **old},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("float32 bf16 takes "), done.stdout


@pytest.mark.parametrize(("share", "rounded"), [(0.5, True), (6.0, False)])
def test_a_preview_is_float32_where_bf16_is_slower(
    monkeypatch: pytest.MonkeyPatch, share: float, rounded: bool
) -> None:
    monkeypatch.setattr(precision, "bf16_share", lambda device="cpu": share)
    net, x = mini_c3d(), clip()
    unit = Unit("relu5b", 1)
    exact, preview = (attribute(net, x, unit, "guided", precision=p) for p in ("float32", "bf16"))
    assert (preview.values != exact.values).any() == rounded
    assert (preview.notes == ()) == rounded
    if not rounded:
        assert "6.0 times as long" in preview.notes[0]
    assert exact.notes == ()
