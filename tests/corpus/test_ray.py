"""On a Ray cluster: the same bytes, also where a process, a machine or the command dies."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from atlases import SMALL, tree
from command_line import call, killed_command
from slow_net import SLOW_NET
from small_net import SMALL_NET
from video_files import GOP, colour_noise

from c3d_viz.corpus import Cluster, FeatureSettings, ray_engine, write_atlas, write_features
from c3d_viz.errors import VizError

pytestmark = pytest.mark.filterwarnings(  # Ray's own files and processes
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
SLOW = FeatureSettings(SLOW_NET, "conv", overlap=15, batch=1)


def test_without_ray_it_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "v.mp4").touch()
    words = ["features", str(tmp_path / "v.mp4"), "-o", str(tmp_path / "f.parquet")]
    words += ["--layer", "conv1a", *SMALL_NET.options()]
    monkeypatch.setattr(ray_engine.importlib.util, "find_spec", lambda name: None)
    for more, why in (
        (["--engine", "ray"], 'needs Ray, which is missing; run: pip install "c3d-viz[ray]"'),
        (["--engine", "spark"], "no engine 'spark'; choose from local, ray"),
        (["--address", "auto"], "give it with --engine ray"),
        (["--engine", "ray", "--jobs", "0"], "must be at least 1 process, got 0"),
    ):
        status, said, error = call(capsys, *words, *more)
        assert (status, said, error.count("\n")) == (2, "", 1)
        assert why in error
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_where_no_cluster_answers_it_is_one_line(videos: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install c3d-viz[ray]")
    for address in ("127.0.0.1:9", "ray://127.0.0.1:9", "nowhere", "127.0.0.1:99999"):
        with pytest.raises(VizError, match=f"no Ray cluster answers at {address} "):
            write_features([videos], tmp_path / "f.parquet", SLOW, cluster=Cluster(address))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def machines() -> Iterator[Any]:
    """Two machines of one processor each, as Ray's own tests make them; this process connected."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install c3d-viz[ray]")
    from ray.cluster_utils import Cluster as Machines

    os.environ.update(ray_engine.SETTINGS)
    each = {"num_cpus": 1, "object_store_memory": 80 << 20}
    head = {**each, "include_dashboard": False}
    made = Machines(initialize_head=True, connect=True, head_node_args=head)
    made.add_node(**each)
    made.wait_for_nodes()
    yield made
    ray.shutdown()
    made.shutdown()
    gc.collect()  # so that no other test hears of what Ray leaves open


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(8):
        make_video(folder / f"{number}.mp4", colour_noise(26, 32, 48, number), options=GOP)
    return folder


@pytest.fixture(scope="module")
def undisturbed(videos: Path) -> bytes:
    file = videos.parent / "undisturbed.parquet"
    write_features([videos], file, SLOW)
    return file.read_bytes()


def once(act: Callable[[], None]) -> Callable[[float, int, str], None]:
    """A progress that acts when the first video is done."""
    calls: list[int] = []

    def progress(done: float, total: int, what: str) -> None:
        calls.append(1)
        if len(calls) == 1:
            act()

    return progress


@pytest.mark.slow
def test_row_for_row_the_same(
    machines: Any, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(machines.address)
    monkeypatch.chdir(videos.parent)  # relative names mean the same on every machine
    (videos / "bad.mp4").touch()
    settings = FeatureSettings(SMALL_NET, "conv1a", windows=True)
    local = write_features([videos.name], tmp_path / "local.parquet", settings)
    there = write_features(
        [videos.name], tmp_path / "ray.parquet", settings, jobs=0, cluster=cluster
    )
    (videos / "bad.mp4").unlink()
    assert (there.videos, there.rows, there.failed) == (local.videos, local.rows, local.failed)
    assert [Path(path).name for path, _ in there.failed] == ["bad.mp4"]
    assert (tmp_path / "ray.parquet").read_bytes() == (tmp_path / "local.parquet").read_bytes()
    for name, where in (("local", None), ("ray", cluster)):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        write_atlas([videos / "0.mp4", videos / "1.mp4"], "atlas", SMALL, cluster=where)
    assert tree(tmp_path / "ray") == tree(tmp_path / "local")


@pytest.mark.slow
def test_a_killed_command_goes_on(
    machines: Any, videos: Path, tmp_path: Path, undisturbed: bytes
) -> None:
    out, parts = tmp_path / "f.parquet", tmp_path / "f.parquet.parts"
    words = ["features", str(videos), "-o", str(out), "--engine", "ray"]
    words += ["--address", machines.address]
    words += ["--layer", "conv", "--overlap", "15", "--batch", "1", *SLOW_NET.options()]
    killed_command(words, parts, "[!.]*.parquet")
    assert not out.exists()
    assert len(list(parts.glob("[!.]*.parquet"))) < 8
    write_features([videos], out, SLOW)
    assert out.read_bytes() == undisturbed


@pytest.mark.slow
def test_a_killed_process_a_deadly_video_and_a_killed_machine(
    machines: Any,
    videos: Path,
    tmp_path: Path,
    undisturbed: bytes,
    make_video: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster, killed = Cluster(machines.address), []

    def kill_a_process() -> None:
        nodes = machines.list_all_nodes()
        raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
            for place in Path("/proc").glob("[0-9]*"):
                try:
                    title = (place / "cmdline").read_bytes()
                    parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                except (OSError, ValueError):
                    continue
                if title.startswith(b"ray::_do") and parent in raylets and not killed:
                    os.kill(int(place.name), signal.SIGKILL)
                    killed.append(int(place.name))

    monkeypatch.setattr(ray_engine, "RETRIES", 1)
    black = make_video(tmp_path / "black.mp4", np.zeros((16, 32, 48, 3), np.uint8), options=GOP)
    report = write_features(
        [videos, black], tmp_path / "a.parquet", SLOW, jobs=0, cluster=cluster,
        progress=once(kill_a_process),
    )  # fmt: skip
    assert len(killed) == 1
    ((path, why),) = report.failed
    assert path == str(black)
    assert "was ended from outside, 2 times" in why
    assert (tmp_path / "a.parquet").read_bytes() == undisturbed
    (second,) = machines.worker_nodes
    report = write_features(
        [videos], tmp_path / "b.parquet", SLOW, jobs=0, cluster=cluster,
        progress=once(lambda: machines.remove_node(second, allow_graceful=False)),
    )  # fmt: skip
    assert report.failed == ()
    assert (tmp_path / "b.parquet").read_bytes() == undisturbed
