"""What lies in an export's folder and is no file of ours to replace or to wait for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from exported import Loaded

from c3d_viz.errors import ExportError
from c3d_viz.export.run import export_clip


def test_the_clip_in_the_folder_is_not_replaced(tree: Path, loaded: Loaded, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(tree, out)
    before = (out / "input.mp4").read_bytes()
    with pytest.raises(ExportError, match="lies in"):
        export_clip(out / "input.mp4", out, layers="fc8", loaded=loaded, overwrite=True)
    assert (out / "input.mp4").read_bytes() == before
    assert (out / "manifest.json").is_file()


@pytest.mark.parametrize("name", ["manifest.json", "unfinished.json"])
def test_a_pipe_is_not_waited_for(clip: Path, loaded: Loaded, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    os.mkfifo(out / name)
    with pytest.raises(ExportError, match="no ordinary file"):
        export_clip(clip, out, layers="fc8", loaded=loaded, resume=True)
