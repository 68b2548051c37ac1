"""A clip looked up in a table of features and in an atlas, by the command and in Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from atlases import SMALL
from command_line import call
from small_net import SMALL_NET
from video_files import GOP, colour_noise

from c3d_viz.corpus import FeatureSettings, look_up, write_atlas, write_features
from c3d_viz.errors import ExportError, VizError
from c3d_viz.weights import NetworkChoice


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Three videos of 40 frames; two tables and an atlas of them."""
    folder = tmp_path_factory.mktemp("corpus")
    videos = []
    for number in range(3):
        frames = colour_noise(40, 32, 48, number) // (number + 1)
        videos.append(make_video(folder / f"{number}.mp4", frames, options=GOP))
    for name, windows in (("videos", False), ("windows", True)):
        settings = FeatureSettings(SMALL_NET, "conv2a", windows=windows)
        write_features(videos, folder / f"{name}.parquet", settings)
    write_atlas(videos, folder / "atlas", SMALL)
    return folder


@pytest.mark.parametrize(
    ("name", "rows", "start"),
    [("videos.parquet", 3, ""), ("windows.parquet", 12, "  from "), ("atlas", 12, "  from ")],
)
def test_the_command_names_the_video_first(
    capsys: pytest.CaptureFixture[str], corpus: Path, name: str, rows: int, start: str
) -> None:
    words = ["search", str(corpus / "1.mp4"), "--in", str(corpus / name), "--k", "50"]
    status, said, _ = call(capsys, *words, *SMALL_NET.options())
    lines = said.splitlines()
    assert (status, len(lines)) == (0, rows)
    assert lines[0].startswith(f"1.0000  {corpus / '1.mp4'}{start}")
    cosines = [float(line.split()[0]) for line in lines]
    assert cosines == sorted(cosines, reverse=True)
    assert cosines[-1] < 0.9999


def test_a_layer_of_an_atlas(corpus: Path) -> None:
    last = look_up(corpus / "2.mp4", corpus / "atlas", SMALL_NET, 12)
    first = look_up(corpus / "2.mp4", corpus / "atlas", SMALL_NET, 12, layer="relu1a")
    assert [n.cosine for n in first] != [n.cosine for n in last]
    assert {Path(n.path).name for n in first[:2]} == {"2.mp4"}
    with pytest.raises(VizError, match="--layer is for an atlas"):
        look_up(corpus / "2.mp4", corpus / "videos.parquet", SMALL_NET, layer="relu1a")


def test_another_network_is_refused(corpus: Path, tmp_path: Path) -> None:
    others = [
        NetworkChoice(SMALL_NET.model, seed=0, mean=(1, 2, 3)),
        NetworkChoice("compact"),
    ]
    for other in others:
        for name in ("videos.parquet", "atlas"):
            with pytest.raises(ExportError, match="was made with another network"):
                look_up(corpus / "1.mp4", corpus / name, other)
    table = pq.read_table(corpus / "videos.parquet").replace_schema_metadata({})
    pq.write_table(table, tmp_path / "bare.parquet")
    with pytest.raises(ExportError, match="does not say how it was made"):
        look_up(corpus / "1.mp4", tmp_path / "bare.parquet", SMALL_NET)
    deep = pa.table({"path": ["a"]}).replace_schema_metadata({"c3d_viz": "[" * 100_000})
    pq.write_table(deep, tmp_path / "deep.parquet")
    with pytest.raises(ExportError, match="does not say how it was made"):
        look_up(corpus / "1.mp4", tmp_path / "deep.parquet", SMALL_NET)
