"""The dashboard's export: the command's files, and nothing when it is stopped."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asked import right, source

from app import exporting, work
from app.exporting import Wanted
from app.state import Shown


def test_the_zip_holds_the_commands_files(
    net: work.Net, videos: list[Path], tmp_path: Path
) -> None:
    of = source(videos[3], "zip")
    shown = Shown(of, net, work.window(of, net, 2, 1))
    wanted = Wanted(("conv4b",), ("guided",), 1, None, None, "magnitude")
    steps: list[Any] = []
    path, count = exporting.make(shown, wanted, tmp_path, lambda *step: steps.append(step))
    expected = right(net, videos[3], 2, "conv4b", "guided")
    folder = f"conv4b/guided/ch{expected.unit.channel:04d}"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        values = np.load(io.BytesIO(archive.read(f"{folder}/map.npz")))["values"]
        manifest = json.loads(archive.read("manifest.json"))
    np.testing.assert_array_equal(values, expected.values)
    assert len(names) == count
    assert {f"{folder}/overlay.mp4", f"{folder}/filmstrip.png", "index.html"} <= set(names)
    assert manifest["parameters"]["start"] == 2
    assert steps[-1][0] <= steps[-1][1]
    words = exporting.command(shown, wanted, ())
    assert words is not None
    assert words[:4] == ["c3d-viz", "export", "3.mp4", "-o"]


def test_a_stopped_export_leaves_nothing(net: work.Net, videos: list[Path], tmp_path: Path) -> None:
    of = source(videos[3], "zip")
    shown = Shown(of, net, work.window(of, net, 2, 1))

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exporting.make(
            shown, Wanted(("conv4b",), ("guided",), 1, None, None, "signed"), tmp_path, stop
        )
    assert list(tmp_path.iterdir()) == []


def test_the_figure_for_print(net: work.Net, bikes: Path, tmp_path: Path) -> None:
    if not net.spec.trained:
        pytest.skip("the package ships no weights yet")
    of = source(bikes, "figure")
    shown = Shown(of, net, work.window(of, net, 190, 1))
    made = dict(exporting.figure(shown, "conv3b", "guided", tmp_path, lambda *_: None))
    assert sorted(made) == [f"figure-conv3b-guided.{s}" for s in ("mp4", "pdf", "png")]
    assert made["figure-conv3b-guided.png"].startswith(b"\x89PNG")
    assert made["figure-conv3b-guided.pdf"].startswith(b"%PDF")
    assert list(tmp_path.iterdir()) == []
