"""An atlas from videos to page: every number against a computation written anew."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from atlases import LAYERS, SMALL, activations, tree
from command_line import call
from small_net import SMALL_INPUT, SMALL_NET
from video_files import GOP, colour_noise, folder_of

import c3d_viz as viz
from c3d_viz.corpus import AtlasReport, AtlasSettings, write_atlas
from c3d_viz.corpus.atlas.run import Run
from c3d_viz.errors import ClipError, ExportError, LayerError, VizError

STARTS = {"a": [0], "b9.mp4": [0, 8, 16, 24], "b10.mp4": [0, 8]}  # in counting order


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    make_video(folder / "b10.mp4", colour_noise(30, 32, 48, seed=1), options=GOP)
    make_video(folder / "b9.mp4", colour_noise(45, 32, 48, seed=2), options=GOP)
    folder_of(folder / "a", [f"{10 * i}.png" for i in range(20)])
    shutil.copy(folder / "b10.mp4", folder / "c, the same.mp4")
    (folder / "short.mp4").touch()
    return folder


@pytest.fixture(scope="module")
def made(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "atlas"
    told: list[tuple[int, int, str]] = []
    report = write_atlas([videos], out, SMALL, progress=lambda *step: told.append(step))
    assert report.failed[0][0].endswith("short.mp4")
    assert report == AtlasReport(out / "index.html", 3, 7, report.failed)
    assert [path.name for path in out.parent.iterdir()] == ["atlas"]
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1][0] == told[-1][1]
    return out


@pytest.fixture(scope="module")
def by_hand(videos: Path) -> dict[str, list[tuple[str, int, np.ndarray]]]:
    """(video, start, activation) of every window, by layer."""
    made: dict[str, list[tuple[str, int, np.ndarray]]] = {layer: [] for layer in LAYERS}
    for name, starts in STARTS.items():
        for layer, values in activations(videos / name, starts).items():
            made[layer] += [(name, s, v) for s, v in zip(starts, values, strict=True)]
    return made


def test_the_windows_that_win(
    made: Path, by_hand: dict[str, list[tuple[str, int, np.ndarray]]]
) -> None:
    atlas = viz.Atlas.open(made)
    assert [(layer.name, layer.channels) for layer in atlas.layers] == list(LAYERS.items())
    compared = 0
    for layer, channels in LAYERS.items():
        for channel in range(channels):
            best: dict[str, tuple[float, int, np.ndarray]] = {}
            for name, start, values in by_hand[layer]:
                peak = float(values[channel].max())
                if peak > 0 and peak > best.get(name, (0.0, 0, values))[0]:
                    best[name] = (peak, start, values[channel])
            wanted = sorted(best.items(), key=lambda item: -item[1][0])
            tops = atlas.top(layer, channel)
            assert [t.rank for t in tops] == list(range(len(wanted)))
            for top, (name, (peak, start, values)) in zip(tops, wanted, strict=True):
                assert (top.layer, top.channel) == (layer, channel)
                assert (Path(top.path).name, top.start) == (name, start)
                assert top.value == pytest.approx(peak, rel=1e-5)
                assert values[top.at] == values.max()
                compared += 1
    assert compared > 15


def test_what_a_unit_sees(made: Path) -> None:
    atlas = viz.Atlas.open(made)
    assert [layer.field for layer in atlas.layers] == [(3, 3, 3), (5, 5, 5)]
    for layer, channels in LAYERS.items():
        for top in (top for channel in range(channels) for top in atlas.top(layer, channel)):
            for (first, last), i, n in zip(
                (top.frames, top.rows, top.columns), top.at, (16, 20, 20), strict=True
            ):
                low, high = (i - 1, i + 1) if layer == "relu1a" else (2 * i - 1, 2 * i + 3)
                assert (first, last) == (max(0, low), min(n - 1, high))


def test_the_yardstick(made: Path, by_hand: dict[str, list[tuple[str, int, np.ndarray]]]) -> None:
    atlas = viz.Atlas.open(made)
    for layer in LAYERS:
        peaks = np.stack([values.max(axis=(1, 2, 3)) for _, _, values in by_hand[layer]])
        for channel, column in enumerate(peaks.T):
            known = atlas.map(layer, channel).quantiles
            exact = np.quantile(column, np.linspace(0, 1, 201), method="inverted_cdf")
            np.testing.assert_allclose(known, exact, rtol=3e-3)
            assert (known[0], known[-1]) == pytest.approx((column.min(), column.max()), rel=1e-5)
            assert atlas.percentile(layer, channel, float(known[-1])) == 100
            assert atlas.percentile(layer, channel, float(known[0]) - 1) == 0
            middle = np.sort(column)[3] * 1.004 + 1e-9
            below = 100 * (column <= middle).mean()
            assert abs(atlas.percentile(layer, channel, middle) - below) < 100 / 7 + 0.6


def test_like_maps_are_neighbours(
    made: Path, by_hand: dict[str, list[tuple[str, int, np.ndarray]]]
) -> None:
    atlas = viz.Atlas.open(made)
    for layer, channels in LAYERS.items():
        peaks = np.stack([values.max(axis=(1, 2, 3)) for _, _, values in by_hand[layer]])
        like = np.corrcoef(peaks.T)
        assert sorted(atlas.order(layer)) == list(range(channels))
        pairs = [(r, a, c) for a in range(channels) for c, r in atlas.map(layer, a).alike]
        for r, a, c in pairs:
            assert r == pytest.approx(like[a, c], abs=1e-4)
        best = max(pairs)
        order = atlas.order(layer)
        assert abs(order.index(best[1]) - order.index(best[2])) == 1
        np.fill_diagonal(like, -2)
        assert best[0] == pytest.approx(like.max(), abs=1e-4)


def test_the_films(made: Path, videos: Path) -> None:
    atlas = viz.Atlas.open(made)
    top = atlas.top("conv2a", 2)
    path = atlas.video("conv2a", 2)
    assert path is not None
    with av.open(str(path)) as container:
        film = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
    assert film.shape == (5, 96 * len(top), 3 * 96, 3)  # frames of its field; frame, part, way back
    for row, window in enumerate(top):
        clip = viz.read_clip(videos / Path(window.path).name, window.start)
        frames = viz.cropped_frames(clip, SMALL_INPUT)
        first = window.frames[0]
        y, x = (slice(a, b + 1) for a, b in (window.rows, window.columns))
        tile = film[0, 96 * row : 96 * row + 96].astype(float)
        part = frames[first, y, x].mean(axis=(0, 1))
        edge = (96 - round(96 * min(1, (x.stop - x.start) / (y.stop - y.start)))) // 2
        assert abs(tile[20:76, 96 + edge + 8 : 192 - edge - 8].mean() - part.mean()) < 40
        whole = frames[first].astype(float).mean()
        assert abs(tile[:, :96].mean() - whole) < 25
        assert tile[:, 192:].std() > 5  # the way back is no plain grey
    silent = [c for c in range(5) if not atlas.top("conv2a", c)]
    assert all(atlas.video("conv2a", c) is None for c in silent)


def test_the_files(made: Path, videos: Path) -> None:
    about = json.loads((made / "atlas.json").read_text())
    assert (about["videos"], about["windows"], about["left_out"], about["repeated"]) == (3, 7, 1, 1)
    assert about["command"].startswith(f"c3d-viz atlas {videos} -o {made} --layer relu1a --layer c")
    table = pq.read_table(made / "windows.parquet").to_pylist()
    assert [(Path(r["path"]).name, r["start"]) for r in table] == [
        (name, start) for name, starts in STARTS.items() for start in starts
    ]
    assert "short.mp4" in (made / "errors.jsonl").read_text()
    page = (made / "index.html").read_text()
    films = [p.relative_to(made).as_posix() for p in made.rglob("*.mp4")]
    assert len(films) > 6
    assert all(page.count(f'data-src="{film}"') == 1 for film in films)
    assert page.count("data-src=") == len(films)
    assert "http" not in page


def test_more_than_one_of_a_video_and_another_layer_order(videos: Path, tmp_path: Path) -> None:
    settings = dataclasses.replace(SMALL, layers=("conv2a",), per_video=2, method="gradient")
    write_atlas([videos / "b9.mp4", videos / "b10.mp4"], tmp_path / "atlas", settings)
    atlas = viz.Atlas.open(tmp_path / "atlas")
    tops = [top for c in range(5) for top in atlas.top("conv2a", c)]
    per_video = [[Path(t.path).name for t in atlas.top("conv2a", c)] for c in range(5)]
    assert max(names.count("b9.mp4") for names in per_video) == 2
    assert all(len(names) <= 3 for names in per_video)
    assert [t.value for t in atlas.top("conv2a", 0)] == sorted(
        (t.value for t in tops if t.channel == 0), reverse=True
    )


def test_search_finds_the_window_itself(made: Path, videos: Path) -> None:
    atlas = viz.Atlas.open(made)
    model, spec = SMALL_NET.load()
    clip = viz.read_clip(videos / "b9.mp4", 16)
    for layer in (None, "relu1a"):
        found = atlas.search(model, clip, layer, 3, spec=spec)
        assert (Path(found[0].path).name, found[0].start) == ("b9.mp4", 16)
        assert found[0].cosine == pytest.approx(1, abs=1e-5)
        assert [n.cosine for n in found] == sorted((n.cosine for n in found), reverse=True)
        assert found[1].cosine < 0.99999
    with pytest.raises(LayerError, match="no layer 'conv9'; it has relu1a, conv2a"):
        atlas.search(model, clip, "conv9", spec=spec)


def test_the_command(capsys: pytest.CaptureFixture[str], made: Path, videos: Path) -> None:
    out = made.parent / "by command"
    words = ["atlas", str(videos), "-o", str(out), "--layer", "relu1a", "--layer", "conv2a"]
    words += ["--top", "3", "--jobs", "1", *SMALL_NET.options()]
    status, said, err = call(capsys, *words, "--share", "2/2")
    assert (status, said) == (0, "6 windows of 2 videos\n")
    assert not out.exists()
    status, said, err = call(capsys, *words)
    assert (status, said) == (3, f"7 windows of 3 videos\nopen {out}/index.html\n")
    assert err.endswith(f"1 of 4 videos could not be used: {out}/errors.jsonl says why\n")
    ours, first = tree(out), tree(made)
    differ = {name for name in first if ours[name] != first[name]}
    assert differ == {"atlas.json", "index.html"}  # the command in them names another folder
    status, _, err = call(capsys, *words)
    assert status == 2
    assert "exists already; replace it with --overwrite" in err
    status, _, err = call(capsys, *words, "--share", "3/2")
    assert (status, err) == (2, "c3d-viz: a share is K/N with K from 1 to N, as in 2/8, got 3/2\n")


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"layers": ("conv9",)}, LayerError, "conv9"),
        ({"layers": ("conv1a",)}, VizError, "no ReLU lies between conv1a and the clip"),
        ({"method": "gradcam"}, VizError, "no convolutional layer lies below relu1a"),
        (
            {"layers": ("conv1a",), "method": "guided_gradcam"},
            VizError,
            "no convolutional layer lies below conv1a",
        ),
    ],
)
def test_one_line_for_what_is_wrong(
    videos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict,
    error: type,
    said: str,
) -> None:
    monkeypatch.setattr(Run, "scan", lambda *_: pytest.fail("work was begun"))
    with pytest.raises(error, match=said):
        write_atlas([videos], tmp_path / "atlas", dataclasses.replace(SMALL, **changes))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"top": 0}, "top must be 1 to 100"),
        ({"per_video": 10}, "per_video must be 1 to top"),
        ({"stride": 0}, "stride must be 1 to 1,000,000,000 frames, got 0"),
        ({"stride": 2**62}, "stride must be 1 to 1,000,000,000 frames, got 46"),
        ({"method": "magic"}, "no method 'magic'"),
        ({"top": "9"}, "AtlasSettings: top must be a 64-bit whole number, got '9'"),
        ({"layers": "conv"}, "AtlasSettings: layers must be a list of string"),
    ],
)
def test_settings_out_of_range(changes: dict, said: str) -> None:
    with pytest.raises(VizError, match=said):
        AtlasSettings(**changes)


def test_a_folder_that_is_no_atlas_is_left_alone(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "atlas").mkdir()
    (tmp_path / "atlas" / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match="exists already"):
        write_atlas([videos], tmp_path / "atlas", SMALL)
    with pytest.raises(ExportError, match="holds other things than an atlas"):
        write_atlas([videos], tmp_path / "atlas", SMALL, overwrite=True)
    assert (tmp_path / "atlas" / "mine.txt").read_text() == "mine"
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="is a file"):
        write_atlas([videos], tmp_path / "file", SMALL)


def test_videos_are_a_list(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(VizError, match="write_atlas: videos must be a list"):
        write_atlas(str(videos), tmp_path / "atlas", SMALL)


def test_nothing_that_can_be_used(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=r"^\S*short.mp4 is empty"):
        write_atlas([videos / "short.mp4"], tmp_path / "sub" / "atlas", SMALL)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "text.mp4").write_text("no video")
    errors = tmp_path / "atlas.errors.jsonl"
    with pytest.raises(ClipError, match=f"none of 2 videos can be used; .*; all: {errors}$"):
        write_atlas([videos / "short.mp4", tmp_path / "text.mp4"], tmp_path / "atlas", SMALL)
    assert errors.read_text().count("\n") == 2
    assert "short.mp4 is empty" in errors.read_text()
    one = dataclasses.replace(SMALL, layers=("relu1a",), top=1)
    write_atlas([videos / "b9.mp4"], tmp_path / "atlas", one)
    assert not errors.exists()
