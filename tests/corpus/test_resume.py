"""A run that is killed loses the videos in work and no more, and ends with the same bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command_line import call, killed_command, run
from small_net import SMALL_NET
from video_files import GOP, colour_noise

from c3d_viz.corpus import FeatureSettings, write_features
from c3d_viz.corpus.descriptors import Describer
from c3d_viz.errors import ExportError

CONV = FeatureSettings(SMALL_NET, "conv1a", batch=1)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(4):
        make_video(folder / f"{number}.mp4", colour_noise(24, 32, 48, number), options=GOP)
    return folder


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the videos that are computed, as they are."""
    names: list[str] = []
    whole = Describer.vectors
    monkeypatch.setattr(
        Describer, "vectors", lambda self, s: (names.append(Path(s.label).name), whole(self, s))[1]
    )
    return names


def stopped_at(windows: int) -> Callable[[int, int, str], None]:
    def progress(done: int, total: int, what: str) -> None:
        if done == windows and what.startswith("windows of"):
            raise KeyboardInterrupt

    return progress


def test_a_stopped_run_goes_on(videos: Path, tmp_path: Path, computed: list[str]) -> None:
    out, parts = tmp_path / "f.parquet", tmp_path / "f.parquet.parts"
    with pytest.raises(KeyboardInterrupt):
        write_features([videos], out, CONV, progress=stopped_at(4))  # 2 windows each
    assert not out.exists()
    assert len(list(parts.iterdir())) == 2
    assert computed == ["0.mp4", "1.mp4"]
    computed.clear()
    (parts / "mine.txt").write_text("not theirs")
    (parts / f".x-{'0' * 32}.part").write_text("left by a process that was killed")
    write_features([videos], out, CONV)
    assert computed == ["2.mp4", "3.mp4"]
    assert [p.name for p in parts.iterdir()] == ["mine.txt"]
    write_features([videos], tmp_path / "at-once.parquet", CONV)
    assert out.read_bytes() == (tmp_path / "at-once.parquet").read_bytes()


@pytest.mark.parametrize(
    "other",
    [
        FeatureSettings(dataclasses.replace(SMALL_NET, seed=1), "conv1a", batch=1),
        FeatureSettings(CONV.network, "relu1a", batch=1),
        FeatureSettings(CONV.network, "conv1a", overlap=9, batch=1),
        FeatureSettings(CONV.network, "conv1a", windows=True, batch=1),
        FeatureSettings(CONV.network, "conv1a", batch=2),
        FeatureSettings(dataclasses.replace(SMALL_NET, mean=(1, 2, 3)), "conv1a", batch=1),
    ],
    ids=["weights", "layer", "overlap", "windows", "batch", "input"],
)
def test_work_of_other_settings_is_not_taken(
    videos: Path, tmp_path: Path, computed: list[str], other: FeatureSettings
) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_features([videos], tmp_path / "f.parquet", CONV, progress=stopped_at(6))
    computed.clear()
    write_features([videos], tmp_path / "f.parquet", other)
    assert len(computed) == 4


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other size"])
def test_a_damaged_part_is_made_again(
    videos: Path, tmp_path: Path, computed: list[str], damage: str
) -> None:
    out = tmp_path / "f.parquet"
    with pytest.raises(KeyboardInterrupt):
        write_features([videos], out, CONV, progress=stopped_at(2))
    (part,) = (tmp_path / "f.parquet.parts").iterdir()
    whole = part.read_bytes()
    if damage == "other size":
        with pq.ParquetFile(part) as file:
            about = {b"c3d_viz": file.metadata.metadata[b"c3d_viz"]}
        import pyarrow as pa

        columns = {
            "start": pa.array([0]),
            "vector": pa.array([[0.0] * 5], pa.list_(pa.float32(), 5)),
        }
        pq.write_table(pa.table(columns).replace_schema_metadata(about), part)
    else:
        part.write_bytes({"cut": whole[:-20], "empty": b"", "text": b"PAR1 no table"}[damage])
    computed.clear()
    write_features([videos], out, CONV)
    assert len(computed) == 4
    assert len(pq.read_table(out)) == 4


def test_a_full_disk_is_one_line_and_goes_on(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, computed: list[str]
) -> None:
    write = pq.ParquetWriter.write_batch
    written: list[int] = []

    def full(self, batch, *rest):
        written.append(1)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        write(self, batch, *rest)

    monkeypatch.setattr(pq.ParquetWriter, "write_batch", full)
    out = tmp_path / "f.parquet"
    with pytest.raises(ExportError, match="No space left on device; free space"):
        write_features([videos], out, CONV)
    assert not out.exists()
    assert len(list((tmp_path / "f.parquet.parts").iterdir())) == 2
    computed.clear()
    write_features([videos], out, CONV)
    assert computed == ["2.mp4", "3.mp4"]


def test_the_command(
    capsys: pytest.CaptureFixture[str], videos: Path, tmp_path: Path, make_video: object
) -> None:
    out = tmp_path / "new" / "f.parquet"
    words = ["features", str(videos), "-o", str(out), "--layer", "conv1a", *SMALL_NET.options()]
    status, said, err = call(capsys, *words, "--overlap", "12", "--windows", "--batch", "3")
    assert (status, said) == (0, f"{out}: 12 rows of 4 videos\n")
    assert "features: 12 of 12" in err
    assert [r["start"] for r in pq.read_table(out).to_pylist()] == [0, 4, 8] * 4
    status, said, err = call(capsys, *words)
    assert (status, said) == (2, "")
    assert "exists already; replace it with --overwrite" in err
    (tmp_path / "bad.mp4").touch()
    status, said, err = call(capsys, *words, str(tmp_path / "bad.mp4"), "--overwrite")
    assert (status, said) == (3, f"{out}: 4 rows of 4 videos\n")
    assert err.endswith(f"1 of 5 videos could not be used: {out}.errors.jsonl says why\n")


@pytest.mark.slow
def test_any_number_of_processes_writes_the_same_bytes(videos: Path, tmp_path: Path) -> None:
    write_features([videos], tmp_path / "one.parquet", CONV)
    (videos / "bad.mp4").touch()
    report = write_features([videos], tmp_path / "two.parquet", CONV, jobs=2)
    (videos / "bad.mp4").unlink()
    assert [Path(path).name for path, _ in report.failed] == ["bad.mp4"]
    assert (tmp_path / "two.parquet").read_bytes() == (tmp_path / "one.parquet").read_bytes()


@pytest.mark.slow
def test_a_killed_command_goes_on(videos: Path, tmp_path: Path) -> None:
    words = ["features", str(videos), "--layer", "conv5b", "--overlap", "15", "-o"]
    parts = tmp_path / "f.parquet.parts"
    killed_command([*words, str(tmp_path / "f.parquet")], parts, "*.parquet")
    before = {p: p.stat().st_mtime_ns for p in parts.glob("[!.]*.parquet")}
    assert 0 < len(before) < 4
    assert not (tmp_path / "f.parquet").exists()
    done = run(*words, str(tmp_path / "f.parquet"))
    assert done.returncode == 0, done.stderr
    assert run(*words, str(tmp_path / "at-once.parquet")).returncode == 0
    assert (tmp_path / "f.parquet").read_bytes() == (tmp_path / "at-once.parquet").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["at-once.parquet", "f.parquet"]
