"""What reports and messages say of names in a file: printable, and not too long."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from checkpoint_files import (
    DAVIDEA,
    Weights,
    rename,
)
from refusals import refused
from safetensors.torch import save, save_file

from c3d_viz.errors import WeightsError
from c3d_viz.weights import (
    download,
    format_report,
    inspect,
    load_model,
    load_state,
    read_mean,
    read_state,
    save_model,
)

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


@pytest.mark.parametrize("name", ["", " ", Path(" ")])
def test_an_empty_name_is_no_folder(name: str | Path) -> None:
    net, spec = load_model("compact", "random")
    for door in (
        inspect, read_state, read_mean,
        partial(load_state, net),
        partial(save_model, model=net, spec=spec),
        lambda folder: download("sports1m", cache_dir=folder),
    ):  # fmt: skip
        with pytest.raises(WeightsError, match="the name of the file is empty"):
            door(name)


def test_safetensors_of_a_name_that_is_no_utf_8(tmp_path: Path, weights: Weights) -> None:
    (tmp_path / "w\udcff").write_bytes(save(weights))
    with pytest.raises(WeightsError, match="name is not UTF-8; rename it"):
        inspect(tmp_path / "w\udcff")
