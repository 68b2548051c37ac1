"""Long videos in pieces: where they are cut, who does them, and the same rows as in one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_net import SMALL_NET
from video_files import GOP, colour_noise, folder_of

from c3d_viz.clips import WindowStream
from c3d_viz.corpus import FeatureSettings, describe, descriptors, write_features
from c3d_viz.corpus.descriptors import Describer, Sum
from c3d_viz.corpus.pieces import Piece, Video, pieces_of, scan_all, video_of
from c3d_viz.corpus.shards import Shard, notes_of
from c3d_viz.corpus.workers import Workers
from c3d_viz.errors import VizError

MEAN = FeatureSettings(SMALL_NET, "conv2a", overlap=12, batch=3)  # windows every 4 frames
WINDOWS = FeatureSettings(SMALL_NET, "conv2a", overlap=12, batch=3, windows=True)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """61 frames, 12 windows: a keyframe every 12 frames, one in all, a folder. And a short one."""
    folder = tmp_path_factory.mktemp("videos")
    noise = colour_noise(61, 32, 48, seed=1)
    make_video(folder / "often.mp4", noise, options={**GOP, "g": "12"})
    make_video(folder / "once.mp4", noise, options={**GOP, "g": "300"})
    folder_of(folder / "pictures", [f"{i}.png" for i in range(61)])
    make_video(folder / "short.mp4", noise[:20], options=GOP)
    return folder


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "LENGTH", 2)  # 3 windows: whole batches


@pytest.mark.parametrize(
    ("name", "cuts"),
    [("often.mp4", (0, 3, 6, 9)), ("once.mp4", (0,)), ("pictures", (0, 3, 6, 9))],
)
def test_a_piece_begins_where_a_reader_can(videos: Path, name: str, cuts: tuple[int, ...]) -> None:
    spec = SMALL_NET.load()[1].input
    stream = WindowStream(videos / name, spec, 4)
    assert stream.cuts(3) == cuts
    assert stream.cuts(12) == (0,)
    assert (stream.cuts(5) == (0, 5, 10)) == (name != "once.mp4")  # 8 and 4 frames behind one
    video = video_of(videos / name, stream, 3)
    assert [(p.first, p.end) for p in pieces_of(video)] == [
        *zip(cuts, (*cuts[1:], 12), strict=True)
    ]


def test_reading_a_piece_decodes_from_its_keyframe(videos: Path) -> None:
    """Half of what lies between two cuts is the most that is decoded for nothing."""
    spec = SMALL_NET.load()[1].input
    assert WindowStream(videos / "often.mp4", spec, 1).cuts(10) == (0, 40)  # keyframes 36, not 24
    assert WindowStream(videos / "often.mp4", spec, 1).cuts(30) == (0, 30)


def test_animations_are_not_cut(tmp_path: Path) -> None:
    from PIL import Image

    frames = [Image.fromarray(f) for f in colour_noise(24, 32, 48)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    stream = WindowStream(tmp_path / "a.webp", SMALL_NET.load()[1].input, 1)
    assert len(stream.starts) == 9
    assert stream.cuts(2) == (0,)


@pytest.mark.parametrize("settings", [MEAN, WINDOWS], ids=["mean", "windows"])
def test_pieces_give_the_bytes_of_the_whole(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: FeatureSettings
) -> None:
    write_features([videos], tmp_path / "whole.parquet", settings)
    monkeypatch.setattr(descriptors, "LENGTH", 2)
    read: list[tuple[str, int, int]] = []
    vectors = Describer.vectors
    monkeypatch.setattr(
        Describer,
        "vectors",
        lambda self, s: (
            read.append((Path(s.label).name, s.starts[0] // 4, len(s.starts))),
            vectors(self, s),
        )[1],
    )
    write_features([videos], tmp_path / "pieces.parquet", settings)
    assert (tmp_path / "pieces.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert read[0] == ("once.mp4", 0, 12)  # the longest first
    assert read[-1] == ("short.mp4", 0, 2)
    assert read[1:-1] == [(n, i, 3) for n in ("often.mp4", "pictures") for i in (0, 3, 6, 9)]
    row = pq.read_table(tmp_path / "pieces.parquet").to_pylist()[0]
    model, spec = SMALL_NET.load()
    alone = describe(model, row["path"], "conv2a", 12, spec=spec, batch=3)
    ours = np.float32(row["vector"]).tobytes()
    assert ours == (alone.windows[0] if settings.windows else alone.vector).tobytes()


def test_a_stopped_run_goes_on_within_a_video(
    videos: Path, tmp_path: Path, small_pieces: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int, what: str) -> None:
        if done == 6:
            assert total == 12
            assert what.startswith("windows of 1 videos: ")
            raise KeyboardInterrupt

    out, video = tmp_path / "f.parquet", videos / "often.mp4"
    with pytest.raises(KeyboardInterrupt):
        write_features([video], out, MEAN, progress=stop)
    names = sorted(p.name.split("-", 2)[2] for p in (tmp_path / "f.parquet.parts").iterdir())
    assert names == ["0-2.parquet", "3-5.parquet"]
    starts: list[int] = []
    vectors = Describer.vectors
    monkeypatch.setattr(
        Describer, "vectors", lambda self, s: (starts.append(s.starts[0]), vectors(self, s))[1]
    )
    write_features([video], out, MEAN)
    assert starts == [24, 36]
    assert [p.name for p in tmp_path.iterdir()] == ["f.parquet"]


def test_a_video_that_answers_zero_is_left_out(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = Describer.vectors
    monkeypatch.setattr(
        Describer,
        "vectors",
        lambda self, s: (v * ("short" not in s.label) for v in vectors(self, s)),
    )
    report = write_features(
        [videos / "often.mp4", videos / "short.mp4"], tmp_path / "f.parquet", MEAN
    )
    assert [(Path(p).name, "conv2a answers zero to every" in why) for p, why in report.failed] == [
        ("short.mp4", True)
    ]
    assert report.rows == 1


def test_one_bad_piece_leaves_its_video_out_under_every_name() -> None:
    found = [Path(name) for name in ("a", "b", "c")]
    videos = {p: Video(p, "same" if p.name != "b" else "b", 30, 4, (0, 1)) for p in found}

    def scan(_: object, piece: Piece) -> Shard:
        if piece.video.sha256 == "same" and piece.first == 1:
            raise VizError("not this one")
        return Shard(30, 4, 1)

    opened, told = [], []
    with Workers(dict, (), 1) as team:
        scanned = scan_all(
            team,
            lambda _, path: videos[path],
            scan,
            found,
            lambda path, seen: opened.append((path, seen)),
            lambda piece, windows, distinct: told.append((piece.first, windows, distinct)),
        )
    assert opened == [(path, seen) for seen, path in enumerate(found, 1)]
    assert told == [(1, 8, 2), (1, 8, 2), (0, 8, 2), (0, 8, 2)]  # three windows, then one
    assert scanned.wrong == {Path("a"): "not this one", Path("c"): "not this one"}
    assert scanned.videos == [videos[Path("b")]]
    assert list(scanned.pieces) == ["b"]
    assert [piece.first for piece in scanned.pieces["b"]] == [0, 1]


def test_what_is_known_of_frames_is_said_once() -> None:
    first = Shard(90, 9, 1, ("a note",), (("torn", 3, 9), ("odd", 10, 10)))
    second = Shard(90, 9, 1, ("a note",), (("odd", 8, 12), ("torn", 40, 41)))
    third = Shard(90, 9, 1, ("a note",), (("torn", 42, 42),))
    said = ("a note", "frames 3-9: torn", "frames 10-12: odd", "frames 40-42: torn")
    assert notes_of([first, second, third]) == said


def test_a_sum_has_the_same_bits_by_piece() -> None:
    rows = np.random.default_rng(0).normal(0, 1e4, (64, 5)).astype(np.float32)
    whole, parts = Sum(8), Sum(1)
    for i in range(0, 64, 4):
        whole.add(rows[i : i + 4])
    for i in range(0, 64, 8):
        part = Sum(8)
        part.add(rows[i : i + 4])
        part.add(rows[i + 4 : i + 8])
        parts.add(part.total[None])
    assert parts.total.tobytes() == whole.total.tobytes()
    assert whole.count == 64
