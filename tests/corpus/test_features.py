"""Descriptors of many videos as one file: every row, what is skipped, and the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_net import SMALL_NET
from video_files import GOP, colour_noise, folder_of

from c3d_viz.corpus import Cluster, FeatureReport, FeatureSettings, describe, write_features
from c3d_viz.errors import ClipError, ExportError, VizError
from c3d_viz.weights import NetworkChoice

CONV = FeatureSettings(SMALL_NET, layer="conv2a", overlap=4)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Three videos and what else a folder may hold. 30, 45 and 20 frames."""
    folder = tmp_path_factory.mktemp("videos")
    make_video(folder / "b10.mp4", colour_noise(30, 32, 48, seed=1), options=GOP)
    make_video(folder / "b9 — größer 日本.mp4", colour_noise(45, 32, 48, seed=2), options=GOP)
    folder_of(folder / "a", [f"{i}.png" for i in range(20)])
    (folder / "notes.txt").write_text("no video")
    return folder


@pytest.fixture(scope="module")
def made(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "f.parquet"
    report = write_features([videos], out, CONV)
    assert report == FeatureReport(3, 3, (), None)
    return out


def rows(path: Path) -> list[dict]:
    return pq.read_table(path).to_pylist()


def test_a_row_for_each_video(videos: Path, made: Path) -> None:
    model, spec = SMALL_NET.load()
    table = rows(made)
    assert [Path(r["path"]).name for r in table] == ["a", "b9 — größer 日本.mp4", "b10.mp4"]
    assert [(r["frames"], r["windows"]) for r in table] == [(20, 1), (45, 3), (30, 2)]
    for row in table:
        path = Path(row["path"])
        if path.is_file():
            assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        alone = describe(model, path, "conv2a", 4, spec=spec)
        assert np.float32(row["vector"]).tobytes() == alone.vector.tobytes()
        assert row["notes"] == ""
    about = json.loads(pq.read_schema(made).metadata[b"c3d_viz"])
    assert (about["layer"], about["overlap"], about["weights"]) == ("conv2a", 4, spec.weights)
    assert sorted(p.name for p in made.parent.iterdir()) == ["f.parquet"]


def test_a_row_for_each_window(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("c3d_viz.corpus.shards.ROWS", 3)  # row groups lie across videos
    settings = FeatureSettings(CONV.network, "conv2a", 12, windows=True, batch=3)
    report = write_features([videos], tmp_path / "w.parquet", settings)
    assert (report.videos, report.rows) == (3, 2 + 8 + 4)
    table = rows(tmp_path / "w.parquet")
    assert [r["start"] for r in table] == [0, 4, *range(0, 29, 4), *range(0, 13, 4)]
    model, spec = SMALL_NET.load()
    alone = describe(model, table[2]["path"], "conv2a", 12, spec=spec, batch=3)
    vectors = np.float32([r["vector"] for r in table[2:10]])
    assert vectors.tobytes() == alone.windows.tobytes()
    assert {r["path"] for r in table[2:10]} == {str(videos / "b9 — größer 日本.mp4")}
    assert {r["frames"] for r in table[2:10]} == {45}
    with pq.ParquetFile(tmp_path / "w.parquet") as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sizes == [3, 3, 3, 3, 2]


def test_equal_input_gives_equal_bytes_in_any_order(
    videos: Path, made: Path, tmp_path: Path
) -> None:
    one_by_one = [p for p in sorted(videos.iterdir(), reverse=True) if p.suffix != ".txt"]
    twice = [*one_by_one, videos, f"{videos}/../{videos.name}/b10.mp4"]
    (tmp_path / "link.mp4").symlink_to(videos / "b10.mp4")
    report = write_features([*twice, tmp_path / "link.mp4"], tmp_path / "f.parquet", CONV)
    assert report.videos == 3  # a file under several names is one video
    assert (tmp_path / "f.parquet").read_bytes() == made.read_bytes()


def test_equal_files_are_computed_once_and_listed_twice(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from c3d_viz.corpus.descriptors import Describer

    computed: list[str] = []
    whole = Describer.vectors
    monkeypatch.setattr(
        Describer, "vectors", lambda self, s: (computed.append(s.label), whole(self, s))[1]
    )
    for name in ("x.mp4", "y.mp4"):
        shutil.copy(videos / "b10.mp4", tmp_path / name)
    write_features([tmp_path], tmp_path / "f.parquet", CONV)
    x, y = rows(tmp_path / "f.parquet")
    assert (x.pop("path"), y.pop("path")) == (str(tmp_path / "x.mp4"), str(tmp_path / "y.mp4"))
    assert x == y
    assert computed == [str(tmp_path / "x.mp4")]


def test_bad_videos_are_listed_and_left_out(videos: Path, made: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(videos / "b10.mp4", tmp_path / "in" / "good.mp4")
    (tmp_path / "in" / "empty.mp4").touch()
    (tmp_path / "in" / "text.mp4").write_text("no video at all\n" * 100)
    folder_of(tmp_path / "in" / "short", ["1.png", "2.png"])
    told: list[tuple[int, int, str]] = []
    report = write_features(
        [tmp_path / "in", tmp_path / "gone.mp4"],
        tmp_path / "f.parquet",
        CONV,
        progress=lambda *step: told.append(step),
    )
    assert (report.videos, report.rows, len(report.failed)) == (1, 1, 4)
    assert [r["vector"] for r in rows(tmp_path / "f.parquet")] == [rows(made)[2]["vector"]]
    assert report.errors == tmp_path / "f.parquet.errors.jsonl"
    listed = [json.loads(line) for line in report.errors.read_text().splitlines()]
    assert [(e["path"], e["error"]) for e in listed] == list(report.failed)
    why = {Path(e["path"]).name: e["error"] for e in listed}
    assert "does not exist" in why["gone.mp4"]
    assert "is empty" in why["empty.mp4"]
    assert "short has 2 frames; a window of 16" in why["short"]
    assert "text.mp4" in why["text.mp4"]
    assert [step[:2] for step in told] == [*((n, 5) for n in range(1, 6)), (2, 2)]
    assert told[0][2] == f"videos looked at: {tmp_path / 'gone.mp4'}"
    assert told[-1][2] == f"windows of 1 videos: {tmp_path / 'in' / 'good.mp4'}"
    # when they are gone, so is their list
    write_features([videos], tmp_path / "f.parquet", CONV, overwrite=True)
    assert not report.errors.exists()


def test_a_video_that_fails_half_way(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from c3d_viz.clips.folder import FrameFolder

    def cut(self, numbers):
        yield from whole(self, numbers[:17])

    whole = FrameFolder.frames
    monkeypatch.setattr(FrameFolder, "frames", cut)
    settings = FeatureSettings(CONV.network, "conv2a", 15, windows=True, batch=1)
    told: list[tuple[int, ...]] = []
    report = write_features(
        [videos / "a", videos / "b10.mp4"],
        tmp_path / "f.parquet",
        settings,
        progress=lambda done, total, _: told.append((done, total)),
    )
    assert [(p, "ends before frame 17" in e) for p, e in report.failed] == [
        (str(videos / "a"), True)
    ]
    assert {r["path"] for r in rows(tmp_path / "f.parquet")} == {str(videos / "b10.mp4")}
    assert told[-1] == (20, 20)


def test_nothing_usable_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    told: list[tuple[int, int, str]] = []
    with pytest.raises(ClipError, match=r"^\S*empty.mp4 is empty"):
        write_features(
            [tmp_path / "empty.mp4"],
            tmp_path / "sub" / "deep" / "f.parquet",
            CONV,
            progress=lambda *step: told.append(step),
        )
    assert told == []
    assert [path.name for path in tmp_path.iterdir()] == ["empty.mp4"]
    (tmp_path / "none").mkdir()
    with pytest.raises(ClipError, match="none holds no videos"):
        write_features([tmp_path / "none"], tmp_path / "g.parquet", CONV)
    with pytest.raises(ClipError, match="no clips given"):
        write_features([], tmp_path / "g.parquet", CONV)


def test_nothing_usable_of_several_is_listed(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    folder_of(tmp_path / "short", ["1.png", "2.png"])
    out, errors = tmp_path / "f.parquet", tmp_path / "f.parquet.errors.jsonl"
    with pytest.raises(ClipError) as none:
        write_features([tmp_path], out, CONV)
    listed = [json.loads(line)["error"] for line in errors.read_text().splitlines()]
    assert len(listed) == 2
    assert "is empty" in listed[0]
    assert "has 2 frames" in listed[1]
    assert str(none.value) == (
        f"none of 2 videos can be used; the first: {listed[0]}; all: {errors}"
    )
    write_features([videos / "b10.mp4"], out, CONV)
    assert not errors.exists()


def test_arguments_of_the_wrong_kind(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NetworkChoice, "load", lambda self: pytest.fail("a network was loaded"))
    with pytest.raises(VizError, match="videos must be a list"):
        write_features(str(videos), tmp_path / "f.parquet")
    with pytest.raises(VizError, match="FeatureSettings: overlap must be a 64-bit whole number"):
        FeatureSettings(overlap="8")  # type: ignore[arg-type]
    with pytest.raises(VizError, match="Cluster: address must be a string or None"):
        Cluster(3)  # type: ignore[arg-type]
    with pytest.raises(ClipError, match=r"a\\x00b cannot be read: embedded null"):
        write_features(["a\0b"], tmp_path / "g.parquet")
    (tmp_path / "none").mkdir()
    with pytest.raises(ClipError, match="none holds no videos"):
        write_features([tmp_path / "none"], tmp_path / "g.parquet")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("there.parquet", "exists already; replace it with --overwrite"),
        ("folder.parquet", "is a folder"),
        ("f.csv", "written as .parquet"),
        ("", "written as .parquet"),
        ("/dev/null/f.parquet", "cannot write /dev/null"),
        ("x" * 300 + ".parquet", "cannot write .*name too long"),
        ("x" * 244 + ".parquet", "cannot write .*name too long"),  # only the list's name is
    ],
)
def test_the_output_in_the_way(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(NetworkChoice, "load", lambda self: pytest.fail("work was begun"))
    Path("there.parquet").write_text("mine")
    Path("folder.parquet").mkdir()
    with pytest.raises(ExportError, match=said):
        write_features([videos], name, CONV)
    assert Path("there.parquet").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_in_the_place_of_the_parts(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "f.parquet.parts").write_text("mine")
    with pytest.raises(ExportError, match=r"cannot write .*f\.parquet\.parts"):
        write_features([videos], tmp_path / "f.parquet", CONV)
    assert (tmp_path / "f.parquet.parts").read_text() == "mine"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (FeatureSettings(CONV.network, "conv9"), "conv9"),
        (FeatureSettings(CONV.network, overlap=16), "overlap"),
        (FeatureSettings(CONV.network, batch=0), "batch"),
        (FeatureSettings(CONV.network, device="cpu:3"), "no device"),
        (FeatureSettings(NetworkChoice("c4d")), "c4d"),
    ],
)
def test_wrong_settings_end_before_any_video(
    videos: Path, tmp_path: Path, settings: FeatureSettings, said: str
) -> None:
    with pytest.raises(VizError, match=said):
        write_features([videos], tmp_path / "f.parquet", settings)
    assert list(tmp_path.iterdir()) == []


def test_windows_share_half_by_default(videos: Path, tmp_path: Path) -> None:
    """A network of short windows too; what it comes to is written down, for who looks clips up."""
    factory, out = tmp_path / "short.py", tmp_path / "f.parquet"
    factory.write_text(
        "from torch import nn\nimport c3d_viz as viz\ndef make():\n"
        "    net = nn.Sequential(nn.Conv3d(3, 2, 3), nn.ReLU()).eval()\n"
        "    return net, viz.InputSpec('RGB', (0.0,) * 3, 1 / 255, (16, 16), (16, 16), 8)\n"
    )
    settings = FeatureSettings(NetworkChoice(f"{factory}:make"), "0")
    assert write_features([videos], out, settings).rows == 3
    assert json.loads(pq.read_schema(out).metadata[b"c3d_viz"])["overlap"] == 4
    assert [row["windows"] for row in rows(out)] == [4, 10, 6]  # every 4 frames


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_a_name_that_is_no_utf8(videos: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff\n.mp4")
    shutil.copy(videos / "b10.mp4", odd)
    report = write_features([odd], tmp_path / "f.parquet", CONV)
    assert [r["path"] for r in rows(tmp_path / "f.parquet")] == [f"{tmp_path}/odd\\xff\n.mp4"]
    assert report.failed == ()
