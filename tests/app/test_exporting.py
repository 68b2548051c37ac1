"""The dashboard's export: the command's files, and nothing when it is stopped."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asked import right, source
from command_line import run

import c3d_viz as viz
from app import exporting, windows, work
from app.samples import Source
from app.state import Shown
from c3d_viz.clips.clip import video_info
from c3d_viz.finding.show import figure
from c3d_viz.weights import NetworkChoice, save_model

ROOT = Path(__file__).parents[2]


def test_the_zip_holds_the_commands_files(
    net: work.Net, videos: list[Path], tmp_path: Path
) -> None:
    of = source(videos[3], "zip")
    shown = Shown(of, net, windows.window(of, net, 2, 1))
    wanted = exporting.settings(shown, layers=("conv4b",), methods=("guided",), top=1)
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
    command = "c3d-viz export 3.mp4 -o OUT --layer conv4b --method guided --top 1 --start 2"
    assert manifest["command"] == f"{command} --stride 1 --model compact"
    assert exporting.command(shown, wanted) == manifest["command"]


def test_a_stopped_export_leaves_nothing(net: work.Net, videos: list[Path], tmp_path: Path) -> None:
    of = source(videos[3], "zip")
    shown = Shown(of, net, windows.window(of, net, 2, 1))

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    wanted = exporting.settings(shown, layers=("conv4b",), methods=("guided",), top=1)
    with pytest.raises(KeyboardInterrupt):
        exporting.make(shown, wanted, tmp_path, stop)
    assert list(tmp_path.iterdir()) == []


def test_the_figure_for_print(net: work.Net, bikes: Path, tmp_path: Path) -> None:
    if not net.spec.trained:
        pytest.skip("the package ships no weights yet")
    of = source(bikes, "figure")
    shown = Shown(of, net, windows.window(of, net, 190, 1))
    made = dict(exporting.figure(shown, "conv3b", "guided", tmp_path, lambda *_: None))
    assert sorted(made) == [f"figure-conv3b-guided.{s}" for s in ("mp4", "pdf", "png")]
    assert made["figure-conv3b-guided.png"].startswith(b"\x89PNG")
    assert made["figure-conv3b-guided.pdf"].startswith(b"%PDF")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def overruled(tmp_path_factory: pytest.TempPathFactory) -> work.Net:
    """A network that the server was started with, prepared against its checkpoint."""
    path = tmp_path_factory.mktemp("served") / "mine.safetensors"
    model, spec = viz.load_model("compact", "random")
    save_model(path, model, spec)
    choice = NetworkChoice(weights=path, channel_order="BGR", mean=(1, 2, 3))
    return work.chosen(choice, "mine.safetensors")


def uploaded(folder: Path, video: Path) -> Source:
    """A clip as it lies in a session: under a name of the server's."""
    stored = folder / "5e8a0c.mp4"
    shutil.copyfile(video, stored)
    return Source("upload", stored, "My holiday.mp4", video_info(stored), "My holiday.mp4")


def test_the_figure_is_computed_as_the_page_is(
    overruled: work.Net, videos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Shown(
        source(videos[3], "f"), overruled, windows.window(source(videos[3], "f"), overruled, 2, 1)
    )
    maps: list[viz.Attribution] = []
    real = figure.attribute_many

    def watched(*given: Any, **more: Any) -> Any:
        maps.extend(real(*given, **more))
        return iter(maps)

    monkeypatch.setattr(figure, "attribute_many", watched)
    exporting.figure(shown, "conv2a", "guided", tmp_path, lambda *_: None)
    expected = right(overruled, videos[3], 2, "conv2a", "guided")
    np.testing.assert_array_equal(maps[0].values, expected.values)


def test_the_figure_names_the_persons_file(
    net: work.Net, videos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = uploaded(tmp_path, videos[3])
    shown = Shown(of, net, windows.window(of, net, 2, 1))
    clips: list[viz.Clip] = []
    real = figure.cropped_frames
    monkeypatch.setattr(figure, "cropped_frames", lambda c, s: (clips.append(c), real(c, s))[1])
    exporting.figure(shown, "conv2a", "guided", tmp_path, lambda *_: None)
    assert {clip.name for clip in clips} == {"My holiday"}


def test_the_zip_repeats_and_names_the_persons_file(
    overruled: work.Net, videos: list[Path], tmp_path: Path
) -> None:
    """The manifest's command, run where the person's clip lies, makes every file again."""
    of = uploaded(tmp_path, videos[3])
    shown = Shown(of, overruled, windows.window(of, overruled, 2, 1))
    wanted = exporting.settings(shown, layers=("conv4b",), methods=("guided",), top=1)
    path, _ = exporting.make(shown, wanted, tmp_path, lambda *_: None)
    with zipfile.ZipFile(path) as archive:
        made = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(made["manifest.json"])
    assert (manifest["clip"]["path"], manifest["clip"]["name"]) == ("My holiday.mp4", "My holiday")
    assert manifest["parameters"]["channel_order"] == "BGR"
    assert manifest["parameters"]["mean"] == [1, 2, 3]
    assert b"What compact sees in My holiday" in made["index.html"]
    for name in ("manifest.json", "index.html"):
        assert str(tmp_path).encode() not in made[name].replace(
            str(overruled.choice.weights).encode(), b""
        )

    home = tmp_path / "home"
    home.mkdir()
    shutil.copyfile(videos[3], home / "My holiday.mp4")
    words = shlex.split(manifest["command"])
    assert words[:5] == ["c3d-viz", "export", "My holiday.mp4", "-o", "OUT"]
    done = run(*words[1:], cwd=home, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    again = {
        p.relative_to(home / "OUT").as_posix(): p.read_bytes()
        for p in (home / "OUT").rglob("*")
        if p.is_file()
    }
    assert set(again) == set(made)
    for name, data in made.items():
        assert again[name] == data, name


def test_an_upload_of_weights_is_named_as_its_person_does(tmp_path: Path) -> None:
    model, spec = viz.load_model("compact", "random")
    stored = tmp_path / "77ab.safetensors"
    save_model(stored, model, spec)
    called = NetworkChoice("c3d", "holiday.safetensors")
    choice = NetworkChoice("c3d", stored)
    made = work.chosen(choice, "holiday.safetensors", digest="77ab", called=called)
    assert made.choice.options() == ["--model", "c3d", "--weights", "holiday.safetensors"]
    assert made.spec.source == "holiday.safetensors"
    assert "77ab" not in made.spec.weights
    assert "holiday.safetensors" in made.spec.weights


def test_the_untrained_network_has_a_command(videos: list[Path]) -> None:
    untrained = work.network(work.UNTRAINED)
    of = source(videos[3], "untrained")
    shown = Shown(of, untrained, windows.window(of, untrained, 2, 1))
    wanted = exporting.settings(shown, layers=("conv4b",), methods=("guided",), top=1)
    assert exporting.command(shown, wanted).endswith("--weights random --seed 1")
    made = work.reinitialised(work.network("compact"), 1)  # what the page shows beside it
    for ours, theirs in zip(made.model.parameters(), untrained.model.parameters(), strict=True):
        assert bool((ours == theirs).all())
