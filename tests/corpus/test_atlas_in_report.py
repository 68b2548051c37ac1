"""A channel's report shows its strongest windows of an atlas, of the same network alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from atlases import SMALL
from command_line import call
from PIL import Image
from small_net import SMALL_NET
from video_files import colour_noise

from c3d_viz.corpus import Atlas, top_films, write_atlas
from c3d_viz.errors import ExportError
from c3d_viz.weights import NetworkChoice


def test_the_report_shows_the_windows_of_an_atlas(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    video = tmp_path / "noise" / "frames"  # known by the folder that holds it
    video.mkdir(parents=True)
    for number, frame in enumerate(colour_noise(24, 32, 48)):
        Image.fromarray(frame).save(video / f"{number:02d}.png")
    write_atlas([video], tmp_path / "atlas", SMALL)
    known = Atlas.open(tmp_path / "atlas")
    channel = next(c for c in range(6) if known.top("relu1a", c))
    films = top_films(tmp_path / "atlas", "relu1a", channel, *SMALL_NET.load(), most=2)
    tops = known.top("relu1a", channel)
    assert [text for text, _ in films] == [
        f"noise, frame {top.start}: answers {top.value:.3g}" for top in tops[:2]
    ]
    assert all(frames.ndim == 4 and frames.shape[3] == 3 for _, frames in films)
    words = ["units", "report", "--layer", "relu1a", "--channel", str(channel), "--steps", "1"]
    words += ["--controls", "1", *SMALL_NET.options(), "--atlas", str(tmp_path / "atlas")]
    status, _, error = call(capsys, *words, "-o", str(tmp_path / "out"))
    assert status == 0, error
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("<video") == 4 + len(tops)
    assert all(f"frame {top.start}: answers" in page for top in tops)
    command = json.loads((tmp_path / "out" / "manifest.json").read_text())["command"]
    assert f"--atlas {tmp_path / 'atlas'}" in command

    status, _, error = call(capsys, *words[:-1], str(tmp_path), "-o", str(tmp_path / "other"))
    assert (status, error.count("\n")) == (2, 1)
    assert "holds no atlas" in error
    with pytest.raises(ExportError, match="another network"):
        top_films(tmp_path / "atlas", "relu1a", channel, *NetworkChoice().load())
