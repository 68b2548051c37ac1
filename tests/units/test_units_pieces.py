"""A run that was stopped goes on: what was measured is read, the outcome is the same bytes."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from c3d_viz.nets import InputSpec, ModelSpec
from c3d_viz.units import (
    ConceptSettings,
    Evidence,
    ReportSettings,
    SharingSettings,
    StimulusSettings,
    TuningSettings,
    gather,
    write_concepts,
    write_report,
    write_sharing,
    write_stimulus,
    write_tuning,
)
from c3d_viz.units.pieces import kept_beside, network_facts
from c3d_viz.units.preferred import search
from c3d_viz.units.report import evidence
from c3d_viz.weights import NetworkChoice
from c3d_viz.work import Piece

FACTORY = """import torch
from torch import nn
from c3d_viz.nets import InputSpec
def make():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.Conv3d(4, 6, 3), nn.ReLU())
    return net, InputSpec('RGB', (127.5,) * 3, 1 / 60, (16, 16), (16, 16), 8)
"""


class Stop(Exception):  # noqa: N818
    """A person has enough."""


def after(count: int) -> Callable[[int, int, str], None]:
    """Progress that ends the run once so many steps are done."""

    def progress(done: int, total: int, what: str) -> None:
        assert done <= total
        if done >= count:
            raise Stop

    return progress


def network(folder: Path) -> NetworkChoice:
    factory = folder / "net.py"
    factory.write_text(FACTORY)
    return NetworkChoice(f"{factory}:make")


RUNS: dict[str, tuple[Callable[..., Any], Callable[[NetworkChoice], Any], int, int]] = {
    # what writes, its settings, steps of one piece, pieces
    "tuning": (write_tuning, lambda n: TuningSettings(n, ("1",), controls=2), 385, 3),
    "dynamic": (write_sharing, lambda n: SharingSettings(n, ("1",), pairs=4, controls=1), 12, 2),
    "concepts": (write_concepts, lambda n: ConceptSettings(n, ("1",), 2, clips=4), 12, 3),
    "maximise": (write_stimulus, lambda n: StimulusSettings(n, "3", 2, films=1, steps=5), 5, 2),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n == "tuning" else ()) for n in RUNS]
)
def test_a_run_goes_on_where_it_was_stopped(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the function of the same name hides the module
    monkeypatch.setattr(importlib.import_module("c3d_viz.units.tuning.compare"), "RESAMPLES", 50)
    write, settings, cost, count = RUNS[name]
    asked = settings(network(tmp_path))
    out, unfinished = tmp_path / "out", tmp_path / "out.unfinished"
    with pytest.raises(Stop):
        write(out, asked, after((count - 1) * cost + 1))
    assert not out.exists()
    assert len(list(unfinished.iterdir())) == count - 1
    told: list[tuple[int, int]] = []
    write(out, asked, lambda done, total, _: told.append((done, total)))
    assert max(told) == (cost, cost)  # the last piece alone was measured, and counted
    assert not unfinished.exists()
    if name == "tuning":  # which takes long, and is written as the others are
        return
    write(tmp_path / "whole", asked)
    bytes_of = [
        json.loads((tmp_path / n / "manifest.json").read_text())["files"] for n in ("out", "whole")
    ]
    assert bytes_of[0] == bytes_of[1]


def test_pieces_of_other_settings_and_weights_are_not_taken(tmp_path: Path) -> None:
    spec = ModelSpec("own", "own", None, InputSpec("RGB", (0.0,) * 3, 1.0, (8, 8), (8, 8), 4), 0)
    net = nn.Sequential(nn.Conv3d(3, 1, 1))
    before = network_facts(net, spec)
    assert network_facts(net, spec) == before
    net[0].bias.data += 1
    assert network_facts(net, spec) != before
    again = network_facts(net, spec)
    net.append(nn.ReLU())
    assert network_facts(net, spec) != again


def test_what_else_lies_in_the_folder_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    piece = Piece("a", "a", 1, (), lambda: {"x": np.ones(2)})
    folder = tmp_path / "out.unfinished"
    with kept_beside(out) as keep:
        assert piece not in keep
        assert keep(piece)["x"].tolist() == [1, 1]
        assert piece in keep
        (folder / "notes.txt").write_text("mine")
        next(folder.glob("*.npz")).write_bytes(b"cut short")
        assert keep(piece)["x"].tolist() == [1, 1]  # measured again
    assert [p.name for p in folder.iterdir()] == ["notes.txt"]

    def stopped() -> None:
        with kept_beside(out) as keep:
            keep(piece)
            raise Stop

    with pytest.raises(Stop):
        stopped()
    assert len(list(folder.iterdir())) == 2


def test_a_piece_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    def fails() -> dict[str, np.ndarray]:
        raise Stop

    def run() -> None:
        with kept_beside(tmp_path / "out") as keep:
            keep(Piece("a", "a", 1, (), fails))

    with pytest.raises(Stop):
        run()
    assert list(tmp_path.iterdir()) == []


SMALL = {"controls": 2, "steps": 2, "coarse": True}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "CONCEPT_CLIPS", (1, 2, 2))
    black = np.zeros((8, 16, 16, 3), np.uint8)
    monkeypatch.setattr(search, "rivals", lambda *_: [("c", "synthetic", black)])


def test_a_report_comes_piece_by_piece_the_film_first(tmp_path: Path, few: None) -> None:
    settings = ReportSettings(network(tmp_path), "3", 2, **SMALL)  # type: ignore[arg-type]
    seen: list[Evidence] = []
    told: list[tuple[int, int]] = []
    whole = gather(settings, lambda done, total, _: told.append((done, total)), found=seen.append)
    assert told[-1][0] == told[-1][1]
    assert [d for d, _ in told] == sorted(d for d, _ in told)
    there = [
        [k for k in ("stimuli", "tuning", "concepts") if getattr(e, k) is not None]
        + [len(e.control_tunings), len(e.control_concepts)]
        for e in seen
    ]
    assert there == [
        ["stimuli", 0, 0],
        ["stimuli", "tuning", 0, 0],
        ["stimuli", "tuning", "concepts", 0, 0],
        ["stimuli", "tuning", "concepts", 0, 0],  # and the untrained network's film
        ["stimuli", "tuning", "concepts", 1, 0],
        ["stimuli", "tuning", "concepts", 2, 0],
        ["stimuli", "tuning", "concepts", 2, 1],
    ]
    assert seen[2].stimuli.control is None  # type: ignore[union-attr]
    assert seen[3].stimuli.control is not None  # type: ignore[union-attr]
    assert seen[0].missing[0] == "drifting patterns"
    assert seen[-1].missing == ("labelled clips, untrained network 2",)
    assert whole.missing == ()
    assert len(whole.control_concepts) == len(whole.control_tunings) == 2
    assert whole.responses is not None
    assert whole.control_responses is not None
    assert (whole.responses.grating != whole.control_responses.grating).any()
    direction = [t.direction_index for t in (whole.tuning, *whole.control_tunings)]  # type: ignore[union-attr]
    assert len({values.tobytes() for values in direction}) == 3  # three networks
    overlaps = [c.iou.tobytes() for c in (whole.concepts, *whole.control_concepts)]  # type: ignore[union-attr]
    assert len(set(overlaps)) == 3
    assert whole.responses.grating.shape == (6, 12, 3, 2)  # --coarse
    assert [k.kind for k in whole.stimuli.answers][-2:] == ["untrained", "synthetic"]  # type: ignore[union-attr]


def test_a_stopped_report_goes_on_and_other_channels_share_the_layer(
    tmp_path: Path, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ReportSettings(network(tmp_path), "3", 2, **SMALL)  # type: ignore[arg-type]
    swept: list[int] = []
    sweep = evidence.sweep
    monkeypatch.setattr(evidence, "sweep", lambda *a: (swept.append(1), sweep(*a))[1])
    with pytest.raises(Stop):
        write_report(tmp_path / "out", settings, after(400))
    assert len(swept) > 0
    before = len(swept)
    kept = len(list((tmp_path / "out.unfinished").glob("drifting*")))
    write_report(tmp_path / "out", settings)
    assert len(swept) == before + 3 - kept
    assert not (tmp_path / "out.unfinished").exists()
    pieces: dict[str, Any] = {}

    class Kept:
        def __call__(self, piece: Piece) -> Any:
            made.append(piece.what) if piece.file not in pieces else None
            return pieces.setdefault(piece.file, piece.run())

        def __contains__(self, piece: object) -> bool:
            return getattr(piece, "file", "") in pieces

    made: list[str] = []
    gather(settings, keep=Kept())
    assert len(made) == 8
    made.clear()
    gather(ReportSettings(settings.network, "3", 3, **SMALL), keep=Kept())  # type: ignore[arg-type]
    assert made == ["climbing", "an untrained network's film"]  # patterns and labels were there
