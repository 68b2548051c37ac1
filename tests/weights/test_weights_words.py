"""What reports and messages say of names in a file: printable, and not too long."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from checkpoint_files import (
    DAVIDEA,
    Weights,
    rename,
)
from refusals import refused
from safetensors.torch import save_file

from c3d_viz.errors import WeightsError
from c3d_viz.weights import format_report, inspect, load_model

NASTY = "\x1b[31m\n\u202e\udc80"


def test_reports_and_messages_are_printable(tmp_path: Path, weights: Weights) -> None:
    path = tmp_path / f"{NASTY}.pth"
    state = rename(weights, DAVIDEA) | {f"{NASTY}{i}": torch.zeros(1) for i in range(3)}
    with path.open("wb") as file:  # the name is no UTF-8
        torch.save({"state_dict": state, NASTY: 1, "epoch": 3}, file)
    report = format_report(inspect(path))
    assert all(line.isprintable() for line in report.split("\n"))
    assert r"\x1b[31m\n" in report
    with pytest.raises(WeightsError) as caught:
        load_model("c3d", path)
    assert str(caught.value).isprintable()
    own = tmp_path / "own\t.safetensors"
    for description in (f"a{NASTY[:-1]}b", ""):
        metadata = {"classes": json.dumps([NASTY] * 7), "description": description}
        save_file(weights, own, metadata=metadata)
        _, spec = load_model("compact", own)
        assert spec.weights.isprintable()
        assert spec.classes is not None
        assert all(name.isprintable() for name in spec.classes)


def test_names_that_are_long(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a" * 100_000: torch.zeros(1)}, path)
    refused(path, "a tensor's name has 100,000 letters")
    torch.save({"a" * 100_000: torch.zeros(1)}, path)
    refused(path, "a tensor's name has 100,000 letters")
