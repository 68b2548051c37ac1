"""The reports of benchmarks/: ratios, tables and the check against stored ratios."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import c3d_viz as viz
from benchmarks import (
    check,
    compare,
    curves,
    floor,
    table,
)


def test_report_takes_ratios_per_round_and_the_best_other_peer() -> None:
    what = compare.Comparison("k", "some work", [], {"captum": 5.0, "best other": 4.0, "bf16": 9.0})
    seconds = {
        compare.OURS: [1.0, 2.0, 1.0],
        compare.PREVIEW: [0.5, 1.0, 0.5],
        "captum": [6.0, 10.0, 7.0],
        "slow": [9.0, 18.0, 9.0],
        "quick": [3.0, 8.0, 3.5],
    }
    flop = {key: {"flop": 1e10} for key in seconds}
    flop[compare.OURS]["conv_seconds"] = 0.5
    found = compare.report(what, seconds, flop, {"float32": 40.0, "bf16": 80.0})
    captum, other, preview = found["targets"]
    assert captum["ratio"] == {"median": 6.0, "low": 5.0, "high": 7.0}
    assert captum["reached"]
    assert (other["against"], other["ratio"]["median"], other["reached"]) == ("quick", 3.5, False)
    assert (preview["ratio"]["median"], preview["reached"]) == (12.0, True)
    ours = found["rows"][compare.OURS]
    assert ours["share_of_limit"] == 10 / 1 / 40
    assert (ours["conv_gflop_per_s"], ours["conv_share_of_limit"]) == (20.0, 0.5)
    assert found["rows"][compare.PREVIEW]["share_of_limit"] == 10 / 0.5 / 80
    assert found["rows"]["quick"]["times_ours"]["low"] == 3.0


def test_tables_go_between_the_marks_and_nowhere_else() -> None:
    page = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    once = table.insert(page, "| new |")
    assert once == f"before\n{table.BEGIN}\n\n| new |\n\n{table.END}\nafter\n"
    assert table.insert(once, "| new |") == once
    for broken in ("nothing", f"{table.END}{table.BEGIN}", page + table.BEGIN):
        with pytest.raises(ValueError, match="needs one line"):
            table.insert(broken, "x")


def test_a_fallen_ratio_is_caught_and_a_slow_round_is_not() -> None:
    stored = {"a": {"median": 4.0}, "b": {"median": 4.0}, "c": {"median": 2.0}}
    fresh = {
        "a": {"median": 2.5, "low": 2.0, "high": 2.9},
        "b": {"median": 2.5, "low": 2.0, "high": 3.9},
    }
    lines = check.worse(stored, fresh, 0.25)
    assert lines == [
        "a: 2.50x the plain loop (best round 2.90x), was 4.00x",
        "c: no longer measured (was 2.00x)",
    ]
    assert check.worse({"b": {"median": 4.0}}, fresh, 0.25) == []
    (line,) = check.worse({"a": {"median": 4.0}}, fresh, 0.25, "captum")
    assert line == "a: 2.50x captum (best round 2.90x), was 4.00x"


def test_check_says_what_to_do_without_stored_ratios(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main([], tmp_path / "none.json") == 2
    assert "make bench" in capsys.readouterr().out


def test_published_table_is_the_stored_run() -> None:
    """docs/benchmarks.md holds what benchmarks/results.json says, and no hand has edited it."""
    if not table.RESULTS.exists():
        pytest.skip("no stored run yet")
    page = table.PAGE.read_text()
    assert table.insert(page, table.markdown(json.loads(table.RESULTS.read_text()))) == page


def test_grids_and_curves_fit_the_network() -> None:
    model, _ = viz.load_model("compact", "random")
    part = curves.convolution_part(model)
    assert [name for name, _ in part.named_children()][-1] == "relu5b"
    for layer in viz.LAYERS[:8]:
        field = viz.receptive_field(model, layer)
        middle = floor.centre(model, layer).at
        assert middle == tuple(n // s // 2 for n, s in zip((16, 112, 112), field.step, strict=True))
    x = torch.zeros(1, 3, 16, 112, 112)
    assert curves._resized(x, "frames", 8).shape == (1, 3, 8, 112, 112)
    assert curves._resized(x, "resolution", 56).shape == (1, 3, 16, 56, 56)
    assert curves.centre_units(part, x, "conv5b")[8] == viz.Unit("relu5b", 8, (1, 3, 3))


def _made_up_run() -> dict[str, object]:
    spread = {"median": 2.0, "low": 1.0, "high": 3.0}
    comparison = compare.report(
        compare.Comparison("conv5b", "9 units of conv5b", [], {"captum": 2.0, "bf16": 4.0}),
        {compare.OURS: [1.0, 1.0], compare.PREVIEW: [0.5, 0.5], "captum": [3.0, 5.0]},
        {
            compare.OURS: {"flop": 9e10, "conv_seconds": 0.5},
            compare.PREVIEW: {"flop": 9e10},
            "captum": {"flop": 2e11},
        },
        {"float32": 200.0, "bf16": 400.0},
    )
    comparison["arithmetic_alone"] = {"forward each": 2.02, "forward once": 1.1}
    tool = {"peak_mb": 900.0, "work_mb": 200.0, "process_mb": 600.0, "loaded_mb": 400.0}
    return {
        "machine": {
            "cpu": "a processor",
            "cores": 2,
            "threads": 2,
            "memory_gb": 24.0,
            "system": "Linux",
            "python": "3.11",
            "torch": "2.13",
            "device": "cpu",
            "commit": "abc",
            "uncommitted_changes": False,
        },
        "limits": {"float32": 200.0, "bf16": 400.0},
        "clip": "a clip",
        "minutes": 9.6,
        "agreement": {
            "layers": 8,
            "bound": 1e-4,
            "relative_error": {"captum": 2e-6, "other": 2e-3},
            "names": {"captum": "captum (captum 0.9)"},
            "preview_cosine": {"median": 0.998, "lowest": 0.995},
        },
        "missing": {"tool": "ImportError: x"},
        "comparisons": {"conv5b": comparison},
        "tracing": {"ratio": {"median": 1.02, "low": 0.99, "high": 1.2}, "reached": True},
        "memory": [
            {
                "work": "all_conv",
                "tools": {
                    "c3d_viz": tool,
                    "captum": {**tool, "ours_as_share_of_work_mb": spread},
                },
            }
        ],
        "help": {"seconds": spread, "reached": False},
        "export": [
            {
                "model": "c3d",
                "wall_seconds": 20.0,
                "arithmetic_seconds": 16.0,
                "everything_else_share": 0.2,
                "files": 100,
                "megabytes": 80.0,
                "kinds": {"back-projection": 17.0},
                "peak_mb": 1500.0,
                "targets": {"everything_else_share": 0.25, "peak_mb": 2500.0},
            }
        ],
        "networks": [
            {
                "key": "r3d_18/layer2",
                "units": 9,
                "threads": 2,
                "seconds": {"c3d_viz": spread, "captum": spread},
                "ratio": {"median": 7.0, "low": 6.0, "high": 8.0},
                "target": 6.0,
                "reached": True,
                "relative_error": 2e-6,
                "memory": {
                    "c3d_viz": tool,
                    "captum": {**tool, "work_mb": 300.0, "ours_as_share_of_work_mb": spread},
                },
            }
        ],
        "soak": {
            "exports": 1000,
            "seconds": 700.0,
            "warm_up": 100,
            "grown_mb": 3.25,
            "resident_mb": [400.0, 401.0],
        },
    }


def test_tables_say_what_was_measured() -> None:
    text = table.markdown(_made_up_run())
    for line in (
        "| captum (captum 0.9) | 2.0e-06 | yes |",
        "| other | 2.0e-03 | **no** |",
        "| tool | not run: ImportError: x | |",
        "| 9 units of conv5b | >= 2x captum | 4x (3x - 5x) | reached | 2.0x |",
        "| 9 units of conv5b, bf16 preview | >= 4x captum | 8x (6x - 10x) | reached | 2.0x |",
        "| tracing all layers over a bare forward | <= 10 % | 2 % (-1 % - 20 %) | reached | |",
        "| peak memory, 8 convolution layers | <= 0.6x captum | 2x (1x - 3x) | **missed** | |",
        "| `c3d-viz --help` | <= 0.5 s | 2 s (1 s - 3 s) | **missed** | |",
        "| export of all layers, c3d: peak memory | <= 2500 MB | 1500 MB | reached | |",
        "| 1000 exports in one process | grows < 50 MB | 3.2 MB | reached | |",
        "| c3d_viz | 1 (1 - 1) | 1 | 90 | 90, 45% | 180 GFLOP/s, 90% |",
        "| captum | 4 (3 - 5) | 4x (3x - 5x) | 200 | 50, 25% |  |",
        "| back-projection | 17.00 s |",
        "| 9 units of r3d_18 layer2 | >= 6x captum | 7x (6x - 8x) | reached | |",
        "| peak memory, r3d_18 layer2 | <= 0.8x captum | 2x (1x - 3x) | **missed** | |",
        "| r3d_18 layer2 | 2 | 2 s (1 s - 3 s) | 2 s (1 s - 3 s) | 2.0e-06 | 200 MB / 300 MB |",
    ):
        assert line in text.splitlines()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert not any("nan" in row.lower() for row in rows)
