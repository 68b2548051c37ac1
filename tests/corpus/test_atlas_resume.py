"""An atlas that was stopped, killed, or ran out of disk goes on, and ends with the same bytes."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from atlases import SMALL, tree
from command_line import COMMAND, killed_command
from small_net import SMALL_NET
from video_files import GOP, colour_noise

from c3d_viz.corpus import write_atlas
from c3d_viz.corpus.atlas import scan
from c3d_viz.corpus.listener import Listener
from c3d_viz.errors import ClipError, ExportError
from c3d_viz.weights import NetworkChoice

CONV = dataclasses.replace(SMALL, layers=("conv2a",), top=2)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(3):
        make_video(
            folder / f"{number}.mp4", colour_noise(40, 32, 48, number), options={**GOP, "g": "8"}
        )
    return folder


@pytest.fixture(scope="module")
def whole(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What an undisturbed run leaves: every file's hash."""
    patch = pytest.MonkeyPatch()
    patch.setattr(scan, "LENGTH", 2)  # two shards a video, of 4 windows
    out = tmp_path_factory.mktemp("whole") / "atlas"
    write_atlas([videos], out, CONV)
    patch.undo()
    return bytes_of(out)


def bytes_of(atlas: Path) -> dict[str, str]:
    """Without the two files that name the folder in the command."""
    return {k: v for k, v in tree(atlas).items() if k not in ("atlas.json", "index.html")}


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The shards that are computed, as they are: video and first window."""
    monkeypatch.setattr(scan, "LENGTH", 2)
    names: list[str] = []
    vectors = Listener.vectors
    monkeypatch.setattr(
        Listener,
        "vectors",
        lambda self, s: (names.append(f"{Path(s.label).name} {s.starts[0]}"), vectors(self, s))[1],
    )
    return names


def stop_at(what: str, after: int) -> Callable[[int, int, str], None]:
    seen: list[str] = []

    def progress(done: int, total: int, said: str) -> None:
        seen.append(said)
        if sum(what in s for s in seen) == after:
            raise KeyboardInterrupt

    return progress


def test_stopped_in_every_stage(
    videos: Path, tmp_path: Path, computed: list[str], whole: dict[str, str]
) -> None:
    out, parts = tmp_path / "atlas", tmp_path / "atlas.parts"
    with pytest.raises(KeyboardInterrupt):
        write_atlas([videos], out, CONV, progress=stop_at("1.mp4", 2))
    assert computed == ["0.mp4 0", "0.mp4 16", "1.mp4 0"]
    assert len(list(parts.glob("*.parquet"))) == 3
    (parts / "mine.txt").write_text("not theirs")
    computed.clear()
    with pytest.raises(KeyboardInterrupt):
        write_atlas([videos], out, CONV, progress=stop_at("drew", 1))
    assert computed == ["1.mp4 16", "2.mp4 0", "2.mp4 16"]
    strips = {path: path.stat().st_mtime_ns for path in parts.glob("*.npz")}
    assert strips
    computed.clear()
    with pytest.raises(KeyboardInterrupt):
        write_atlas([videos], out, CONV, progress=stop_at("film of", 2))
    assert computed == []
    assert strips.items() <= {p: p.stat().st_mtime_ns for p in parts.glob("*.npz")}.items()
    assert not out.exists()
    write_atlas([videos], out, CONV)
    assert computed == []
    assert bytes_of(out) == whole
    assert [p.name for p in parts.iterdir()] == ["mine.txt"]


def test_shares_are_put_together(
    videos: Path, tmp_path: Path, computed: list[str], whole: dict[str, str]
) -> None:
    for share in ((2, 2), (1, 2)):
        report = write_atlas([videos], tmp_path / "atlas", CONV, share=share)
        assert (report.page, report.videos) == (None, share[1] - share[0] + 1)
    assert [name[0] for name in computed] == ["1", "1", "0", "0", "2", "2"]
    computed.clear()
    write_atlas([videos], tmp_path / "atlas", CONV)
    assert computed == []
    assert bytes_of(tmp_path / "atlas") == whole


def test_work_of_other_settings_is_not_taken(
    videos: Path, tmp_path: Path, computed: list[str]
) -> None:
    write_atlas([videos], tmp_path / "atlas", CONV, share=(1, 3))
    for changes, again in (
        ({"top": 1, "method": "gradient", "per_video": 1}, 0),  # asked of the same peaks
        ({"stride": 9}, 2),
        ({"layers": ("relu1a",)}, 2),
        ({"batch": 1}, 2),
        ({"network": dataclasses.replace(SMALL_NET, seed=1)}, 2),
    ):
        computed.clear()
        settings = dataclasses.replace(CONV, **changes)
        write_atlas([videos], tmp_path / "atlas", settings, share=(1, 3))
        assert len(computed) == again, changes


@pytest.mark.parametrize("suffix", [".parquet", ".npz"])
def test_damaged_parts_are_made_again(
    videos: Path, tmp_path: Path, computed: list[str], whole: dict[str, str], suffix: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_atlas([videos], tmp_path / "atlas", CONV, progress=stop_at("film of", 1))
    part = sorted((tmp_path / "atlas.parts").glob(f"*{suffix}"))[0]
    data = bytearray(part.read_bytes())
    part.write_bytes(data[: len(data) // 2])
    write_atlas([videos], tmp_path / "atlas", CONV)
    assert bytes_of(tmp_path / "atlas") == whole


def test_a_full_disk_is_one_line_and_goes_on(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, str]
) -> None:
    monkeypatch.setattr(scan, "LENGTH", 2)
    write = pq.ParquetWriter.write_batch
    written: list[int] = []

    def full(self, batch, *rest):
        written.append(1)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        write(self, batch, *rest)

    monkeypatch.setattr(pq.ParquetWriter, "write_batch", full)
    with pytest.raises(ExportError, match="No space left on device; free space"):
        write_atlas([videos], tmp_path / "atlas", CONV)
    assert not (tmp_path / "atlas").exists()
    write_atlas([videos], tmp_path / "atlas", CONV)
    assert bytes_of(tmp_path / "atlas") == whole


def test_a_video_that_goes_before_it_is_drawn(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from c3d_viz.corpus.atlas import draw as module

    read = module.read_clips

    def gone(path: Path, *rest: object) -> object:
        if path.name == "1.mp4":
            raise ClipError(f"{path} does not exist")
        return read(path, *rest)

    monkeypatch.setattr(module, "read_clips", gone)
    report = write_atlas([videos], tmp_path / "atlas", CONV)
    assert [(Path(p).name, why[-14:]) for p, why in report.failed] == [("1.mp4", "does not exist")]
    monkeypatch.undo()
    without = [videos / "0.mp4", videos / "2.mp4"]
    write_atlas(without, tmp_path / "two", CONV)
    ours = bytes_of(tmp_path / "atlas")
    del ours["errors.jsonl"]
    assert ours == bytes_of(tmp_path / "two")


NET = """
import os, signal, sys
sys.path.insert(0, {folder!r})
from small_net import build as whole
from torch import nn

class Fatal(nn.Module):  # ends its process at the fourth batch of all, once
    def forward(self, x):
        with open({marks!r}, "a") as file:
            file.write("x")
        if os.path.getsize({marks!r}) == {at}:
            os.kill(os.getpid(), signal.SIGKILL)
        return x

def build():
    net, spec = whole()
    return nn.Sequential(Fatal(), net), spec
"""


@pytest.mark.slow
def test_a_killed_worker_does_not_end_the_run(videos: Path, tmp_path: Path) -> None:
    def net(name: str, at: int) -> NetworkChoice:
        text = NET.format(folder=str(Path(__file__).parent), marks=str(tmp_path / name), at=at)
        (tmp_path / "net.py").write_text(text)
        return NetworkChoice(f"{tmp_path / 'net.py'}:build")

    settings = dataclasses.replace(CONV, layers=("1.conv2a",))
    calm = dataclasses.replace(settings, network=net("calm", -1))
    write_atlas([videos], tmp_path / "calm-atlas", calm, jobs=1)
    fatal = dataclasses.replace(settings, network=net("fatal", 8))
    report = write_atlas([videos], tmp_path / "fatal-atlas", fatal, jobs=2)
    assert report.failed == ()
    assert (tmp_path / "fatal").stat().st_size > (tmp_path / "calm").stat().st_size
    ours, calm_tree = bytes_of(tmp_path / "fatal-atlas"), bytes_of(tmp_path / "calm-atlas")
    differ = {name for name in calm_tree if ours[name] != calm_tree[name]}
    assert differ <= {"windows.parquet"}  # its metadata has the hash of the network's code
    ours_rows, rows = (
        pq.read_table(tmp_path / name / "windows.parquet").to_pylist()
        for name in ("fatal-atlas", "calm-atlas")
    )
    assert ours_rows == rows


@pytest.mark.slow
def test_a_killed_command_leaves_no_processes_and_goes_on(
    videos: Path, tmp_path: Path, whole: dict[str, str]
) -> None:
    words = ["atlas", str(videos), "-o", str(tmp_path / "atlas"), "--layer", "conv2a", "--top", "2"]
    words += ["--jobs", "2", *SMALL_NET.options()]
    process = killed_command(words, tmp_path / "atlas.parts", "*.parquet", start_new_session=True)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail("workers outlive their parent")
    assert not (tmp_path / "atlas").exists()
    assert subprocess.run([*COMMAND, *words], check=False).returncode == 0
    assert bytes_of(tmp_path / "atlas") == whole


@pytest.mark.parametrize("name", [".", "/"])
def test_a_folder_without_a_name_is_one_line(videos: Path, name: str) -> None:
    with pytest.raises(ExportError, match="is no name for a new folder; choose another"):
        write_atlas([videos], name, CONV)
