"""``c3d-viz methods`` says what each method shows and how it can be set."""

from __future__ import annotations

import pytest
from command_line import call

from c3d_viz.methods import METHODS


def test_every_method_and_each_of_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = call(capsys, "methods")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    for name, method in METHODS.items():
        assert f"{name}: {method.title} ({method.paper})" in lines
        assert f"  {method.sentence}" in lines
        values = {} if method.settings is None else method.settings().to_json()
        for setting in values:
            assert any(line.startswith(f"  --set {name}.{setting}=") for line in lines)
    assert (
        "  --set integrated_gradients.steps=32: points on the way from baseline to clip "
        "(a whole number from 1 to 10000)" in lines
    )
