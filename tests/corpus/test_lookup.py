"""A clip looked up in a table of features and in an atlas, by the command and in Python."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from atlases import SMALL
from command_line import call
from PIL import Image
from small_net import SMALL_NET
from video_files import GOP, colour_noise

from c3d_viz.clips import Clip, read_clip
from c3d_viz.corpus import FeatureSettings, look_up, write_atlas, write_features
from c3d_viz.errors import ExportError, VizError
from c3d_viz.weights import NetworkChoice

FIRST = "  from frame 0, as the clip from frame 0\n"


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
    [("videos.parquet", 3, ""), ("windows.parquet", 12, FIRST), ("atlas", 12, FIRST)],
)
def test_the_command_names_the_video_first(
    capsys: pytest.CaptureFixture[str], corpus: Path, name: str, rows: int, start: str
) -> None:
    words = ["search", str(corpus / "1.mp4"), "--in", str(corpus / name), "--k", "50"]
    status, said, told = call(capsys, *words, *SMALL_NET.options())
    assert told == f"search: 4 of 4, {corpus / '1.mp4'}\n"
    lines = said.splitlines()
    assert (status, len(lines)) == (0, rows)
    assert said.startswith(f"1.0000  {corpus / '1.mp4'}{start}")
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
    deep = table.replace_schema_metadata({"c3d_viz": "[" * 100_000})
    pq.write_table(deep, tmp_path / "deep.parquet")
    with pytest.raises(ExportError, match="does not say how it was made"):
        look_up(corpus / "1.mp4", tmp_path / "deep.parquet", SMALL_NET)


@pytest.mark.parametrize("name", ["windows.parquet", "atlas"])
@pytest.mark.parametrize("of", ["clip", "folder"])
def test_the_clip_is_cut_as_the_corpus_was(
    corpus: Path, tmp_path: Path, name: str, of: str
) -> None:
    """Frames 8 to 23 of it are a window of the corpus: no cut end to end would meet them."""
    known = read_clip(corpus / "1.mp4", 16)
    clip = Clip(np.concatenate([colour_noise(8, 32, 48, 9), known.frames]), 25, "q", 100)
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(clip.frames):
        Image.fromarray(frame).save(tmp_path / "frames" / f"{number:02d}.png")
    query = clip if of == "clip" else tmp_path
    first = look_up(query, corpus / name, SMALL_NET, 1)[0]
    assert (Path(first.path).name, first.start, first.query) == ("1.mp4", 16, 1)
    assert first.asked == (108 if of == "clip" else 8)
    assert first.cosine == pytest.approx(1, abs=1e-4)


def test_the_cut_of_every_second_frame(corpus: Path, tmp_path: Path) -> None:
    other = dataclasses.replace(SMALL_NET, frame_stride=2)
    settings = dataclasses.replace(SMALL, network=other, stride=4)
    write_atlas([corpus / "0.mp4", corpus / "1.mp4"], tmp_path / "atlas", settings)
    clip = read_clip(corpus / "1.mp4", 0, 20, 2)  # its windows begin at 0, 4, 8 in the video
    for query in (clip, corpus / "1.mp4"):
        found = look_up(query, tmp_path / "atlas", other, 3)
        assert sorted((n.start, n.query) for n in found) == [(0, 0), (4, 1), (8, 2)]
        assert min(n.cosine for n in found) > 0.9999


def test_what_is_wrong_is_said_before_a_network_is_loaded(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NetworkChoice, "load", lambda self: pytest.fail("it was loaded"))
    clip, table, atlas = corpus / "1.mp4", corpus / "videos.parquet", corpus / "atlas"
    (tmp_path / "other.parquet").write_text("a,b")
    for words, more, said in (
        ((tmp_path / "no.mp4", table), {}, "does not exist"),
        (("", table), {}, "the clip's name is empty"),
        ((corpus, table), {}, "3 videos are in that folder; look up one of them"),
        ((clip, tmp_path / "other.parquet"), {}, "is no Parquet file"),
        ((clip, tmp_path), {}, "holds no atlas"),
        ((clip, table, None, 0), {}, "k must be 1 to"),
        ((clip, table, None, 2.5), {}, "k must be a 64-bit whole number"),
        ((clip, atlas), {"layer": "conv9"}, "no layer 'conv9'"),
        ((5, table), {}, "clip must be"),
    ):
        with pytest.raises(VizError, match=said):
            look_up(*words, **more)  # type: ignore[arg-type]
