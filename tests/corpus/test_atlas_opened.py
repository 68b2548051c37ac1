"""Folders that say they are an atlas and are not: refused in one line when they are opened."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from atlases import SMALL
from video_files import GOP, colour_noise

from c3d_viz.corpus import Atlas, draw_window, film_strips, top_films, write_atlas
from c3d_viz.errors import ExportError, LayerError, VizError


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("atlas")
    video = make_video(folder / "v.mp4", colour_noise(24, 32, 48), options=GOP)
    write_atlas([video], folder / "atlas", SMALL)
    return folder / "atlas"


@pytest.fixture
def atlas(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "atlas"))


def change(atlas: Path, **values: Any) -> None:
    about = json.loads((atlas / "atlas.json").read_text())
    (atlas / "atlas.json").write_text(json.dumps({**about, **values}))


def change_layer(atlas: Path, **values: Any) -> None:
    about = json.loads((atlas / "atlas.json").read_text())
    about["layers"][0].update(values)
    (atlas / "atlas.json").write_text(json.dumps(about))


def change_rows(file: Path, make: Callable[[list[dict]], list[dict]]) -> None:
    table = pq.read_table(file)
    pq.write_table(pa.Table.from_pylist(make(table.to_pylist()), schema=table.schema), file)


def first(rows: list[dict], **values: Any) -> list[dict]:
    return [{**rows[0], **values}, *rows[1:]]


HOSTILE: dict[str, Callable[[Path], object]] = {
    "nothing": lambda a: (a / "atlas.json").unlink(),
    "a list": lambda a: (a / "atlas.json").write_text("[]"),
    "deep": lambda a: (a / "atlas.json").write_text("[" * 10**6),
    "another edition": lambda a: change(a, schema=1),
    "no fingerprint": lambda a: change(a, fingerprint=None),
    "a method": lambda a: change(a, method=["deconvnet"]),
    "no layers": lambda a: change(a, layers={}),
    "a stride": lambda a: change(a, stride=0),
    "a long stride": lambda a: change(a, stride=2**52),
    "no stride": lambda a: change(a, stride="8"),
    "numbers": lambda a: change(a, windows="many"),
    "a layer's name": lambda a: change_layer(a, layer="x\x1b[31m"),
    "channels": lambda a: change_layer(a, channels=10**9),
    "too few channels": lambda a: change_layer(a, channels=5),
    "a field": lambda a: change_layer(a, field=[1, 2]),
    "tiles": lambda a: change_layer(a, tiles=10**6),
    "no index": lambda a: (a / "index.parquet").unlink(),
    "a linked index": lambda a: (
        shutil.move(a / "index.parquet", a / "x"),
        (a / "index.parquet").symlink_to(a / "x"),
    ),
    "a pipe": lambda a: ((a / "maps.parquet").unlink(), os.mkfifo(a / "maps.parquet")),
    "no Parquet": lambda a: (a / "maps.parquet").write_bytes(b"PAR1" * 100),
    "cut": lambda a: (a / "maps.parquet").write_bytes((a / "maps.parquet").read_bytes()[:-50]),
    "columns": lambda a: pq.write_table(pa.table({"layer": ["conv1a"]}), a / "index.parquet"),
    "rows": lambda a: change_rows(a / "maps.parquet", lambda rows: rows * 2),
    "a channel": lambda a: change_rows(a / "index.parquet", lambda r: first(r, channel=99)),
    "a rank": lambda a: change_rows(a / "index.parquet", lambda r: first(r, rank=3)),
    "a value": lambda a: change_rows(a / "index.parquet", lambda r: first(r, value=float("nan"))),
    "a start": lambda a: change_rows(a / "index.parquet", lambda r: first(r, start=-1)),
    "an order": lambda a: change_rows(a / "maps.parquet", lambda r: first(r, place=2**40)),
    "quantiles": lambda a: change_rows(
        a / "maps.parquet", lambda r: first(r, quantiles=list(range(201, 0, -1)))
    ),
    "likeness": lambda a: change_rows(a / "maps.parquet", lambda r: first(r, alike=[77])),
    "nulls": lambda a: change_rows(a / "maps.parquet", lambda r: first(r, alike=None)),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_folder_is_refused(atlas: Path, how: str) -> None:
    Atlas.open(atlas)
    HOSTILE[how](atlas)
    with pytest.raises(ExportError) as refused:
        Atlas.open(atlas)
    assert str(atlas) in str(refused.value)
    assert len(str(refused.value)) < 400


def test_a_linked_film_is_not_given(atlas: Path) -> None:
    opened = Atlas.open(atlas)
    layer, channel = next(
        (x.name, c) for x in opened.layers for c in range(x.channels) if opened.top(x.name, c)
    )
    film = opened.video(layer, channel)
    assert film is not None
    film.unlink()
    assert opened.video(layer, channel) is None
    film.symlink_to("/etc/passwd")
    with pytest.raises(ExportError, match="is a link"):
        opened.video(layer, channel)


def test_layers_and_channels_that_are_not_there(atlas: Path) -> None:
    opened = Atlas.open(atlas)
    with pytest.raises(LayerError, match="the atlas has no layer 'conv9'; it has relu1a, conv2a"):
        opened.top("conv9", 0)
    with pytest.raises(LayerError, match="relu1a has channels 0-5, got 6"):
        opened.percentile("relu1a", 6, 1.0)


@pytest.mark.parametrize(
    ("ask", "error", "said"),
    [
        (lambda a: a.percentile("conv2a", 1, float("nan")), VizError, "a finite number, got nan"),
        (lambda a: a.percentile("conv2a", 1, float("inf")), VizError, "a finite number, got inf"),
        (lambda a: a.percentile("conv2a", 1, "2"), VizError, "value must be a finite number"),
        (lambda a: a.map("conv2a", "x"), LayerError, "channel must be a 64-bit whole number"),
        (lambda a: a.map("conv2a", True), LayerError, "channel must be a 64-bit whole number"),
        (lambda a: a.top("conv2a", 1.5), LayerError, "channel must be a 64-bit whole number"),
        (lambda a: a.top(["conv2a"], 1), LayerError, "layer must be a string, got"),
        (lambda a: a.order(None), LayerError, "name must be|layer must be a string"),
        (lambda a: a.layer(3), LayerError, "name must be a string, got 3"),
        (lambda a: a.video("conv2a", "x"), LayerError, "channel must be a 64-bit whole number"),
        (lambda a: a.search(None, "clip.mp4", spec=None), VizError, "model must be a Module"),
        (lambda a: a.differs(None, None), VizError, "model must be a Module"),
        (lambda a: Atlas.open(None), ExportError, "path must be"),
        (lambda a: film_strips(None, "conv2a", 1), LayerError, "atlas must be a Atlas"),
        (lambda a: top_films(a.path, "conv2a", 1, None, None), LayerError, "model must be"),
        (lambda a: draw_window(a, None, None, None, "a.mp4"), VizError, "model must be"),
    ],
)
def test_arguments_of_the_wrong_kind(
    whole: Path, ask: Callable[[Atlas], object], error: type, said: str
) -> None:
    with pytest.raises(error, match=said):
        ask(Atlas.open(whole))


def test_search_refuses_before_the_clip_is_read(whole: Path) -> None:
    model, spec = SMALL.network.load()
    with pytest.raises(VizError, match="k must be 1 to 10000 neighbours, got 0"):
        Atlas.open(whole).search(model, "gone.mp4", k=0, spec=spec)


def test_percentiles_of_very_large_values(whole: Path) -> None:
    opened = Atlas.open(whole)
    assert opened.percentile("conv2a", 1, 1e300) == 100
    assert opened.percentile("conv2a", 1, -1e300) == 0
    assert "array" not in repr(opened.map("conv2a", 1))  # 201 numbers
