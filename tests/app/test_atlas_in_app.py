"""The atlas in the dashboard: the yardstick, a map's windows, and what is another network's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_pages import of, settled

import c3d_viz as viz
from app import atlas, components, samples, sessions, work
from c3d_viz.cli import STARTED
from c3d_viz.corpus import Atlas, AtlasSettings, film_strips, write_atlas
from c3d_viz.errors import ClipError
from c3d_viz.files import sha256


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, clips: list[Path]) -> Path:
    """An atlas of conv1a over two clips, which lie beside it."""
    folder = tmp_path_factory.mktemp("made")
    for number in (0, 1):
        shutil.copy(clips[number], folder / f"clip {number}{clips[number].suffix}")
    videos = sorted(folder.glob("clip *"))
    write_atlas(videos, folder / "atlas", AtlasSettings(layers=("conv1a",), top=2, stride=16))
    return folder / "atlas"


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What the page's tiles were given, by key; ``picked`` chooses one."""
    seen: dict[str, dict[str, Any]] = {}

    def keep(
        key: str, label: str, items: Any, selected: Any, picked: Callable[[str], None], **_: Any
    ) -> None:
        seen[key] = {"items": items, "picked": picked}

    monkeypatch.setattr(components, "tiles", keep)
    return seen


def asked(layer: str, channel: int, activation: float) -> work.Spot:
    return work.Spot(layer, channel, (0, 0, 0), activation)


def test_the_shipped_atlas_is_of_the_shipped_network_and_clips(
    net: work.Net, tmp_path: Path
) -> None:
    known = atlas.known()
    assert not atlas.given()
    assert atlas.differs(net) == ""
    assert atlas.differs(work.network("untrained")) == "weights"
    assert sum(layer.channels for layer in known.layers) == 688
    assert set(atlas.keys()) >= {"shapes", "still-then-moving"}
    top = next(
        top
        for channel in known.order("conv2a")
        for top in known.top("conv2a", channel)
        if atlas.key_of(top).startswith(atlas.MARK)
    )
    clip = atlas.source(atlas.key_of(top), tmp_path)
    assert clip is not None
    assert clip.label.startswith("Synthetic, ")
    x = viz.preprocess(viz.read_clip(clip.path, top.start), net.spec.input)
    answers = viz.trace(net.model, x, ["conv2a"]).activations["conv2a"][top.channel]
    assert float(answers.max()) == pytest.approx(top.value, rel=1e-3)
    assert tuple(np.unravel_index(int(answers.argmax()), answers.shape)) == top.at


def test_an_answer_is_held_against_the_windows_of_the_atlas(net: work.Net) -> None:
    known = atlas.known()
    values = known.map("conv5b", 3).quantiles
    windows = f"{known.about['windows']} windows in the atlas"
    middle = float(values[100])
    shown = f"{known.percentile('conv5b', 3, middle):.1f} % of {windows}"
    assert atlas.said(net, asked("conv5b", 3, middle)) == f"above {shown}"
    assert 45 < known.percentile("conv5b", 3, middle) < 56
    high = float(values[-1])
    assert atlas.said(net, asked("conv5b", 3, 2 * high)) == f"above all of {windows}"
    assert atlas.said(net, asked("conv5b", 3, -1)) == f"above none of {windows}"
    assert atlas.said(net, asked("fc6", 3, high)) == ""
    other = atlas.said(work.network("untrained"), asked("conv5b", 3, high))
    assert other == "the atlas at hand is of another network (other weights)"


def test_the_page_of_a_unit_says_it_and_shows_its_windows(tiles: dict[str, Any]) -> None:
    test = settled(of("layers", clip="shapes", layer="conv2a", map="4"))
    (told,) = [e.proto.body for e in test.get("html") if "windows" in e.proto.body]
    assert "Answers" in told
    tops = atlas.known().top("conv2a", 4)
    assert len(tops) > 1
    items = tiles["atlas-windows"]["items"]
    assert [item["title"] for item in items] == [f"answers {top.value:.3g}" for top in tops]
    assert all(item["src"].startswith("data:image/jpeg") for item in items)
    test = settled(of("layers", clip="shapes", layer="conv2a", map="4", net="untrained"))
    (told,) = [
        e.proto.body
        for e in test.get("html")
        if "the atlas at hand is of another network" in e.proto.body
    ]
    assert "windows" not in told


def test_a_map_by_number_along_the_order_and_by_likeness(tiles: dict[str, Any]) -> None:
    test = settled(of("atlas", clip="shapes", layer="conv2a", map="4"))
    assert not test.error
    assert "conv2a, map 4: its strongest windows in the atlas" in [s.value for s in test.subheader]
    assert any("The window on the first page answers" in e.proto.body for e in test.get("html"))
    near = atlas.known().map("conv2a", 4).alike
    assert [item["id"] for item in tiles["atlas-alike"]["items"]] == [str(c) for c, _ in near]
    test.number_input[0].set_value(7).run()
    assert test.session_state["view"].channel == 7
    order = test.select_slider[0]
    assert [int(c) for c in order.options] == atlas.known().order("conv2a")
    order.set_value(9).run()
    assert test.session_state["view"].channel == 9
    {s.label: s for s in test.selectbox}["Layer"].set_value("conv3b").run()
    assert test.session_state["view"].layer == "conv3b"
    assert test.session_state["view"].channel == atlas.known().order("conv3b")[0]
    assert not test.error


def test_another_network_is_said_and_gets_no_percentile(tiles: dict[str, Any]) -> None:
    test = settled(of("atlas", clip="shapes", layer="conv5b", map="4", net="untrained"))
    assert "This atlas is of another network (other weights)" in test.info[0].value
    assert not any("first page answers" in e.proto.body for e in test.get("html"))
    before = test.session_state["view"]
    test.number_input[0].set_value(7).run()
    assert test.session_state["view"] == before  # whose maps have nothing to do with the atlas's
    assert "conv5b, map 7: its strongest windows in the atlas" in [s.value for s in test.subheader]


def test_a_given_atlas_shows_its_films_and_opens_its_clips(
    made: Path, monkeypatch: pytest.MonkeyPatch, tiles: dict[str, Any], tmp_path: Path
) -> None:
    monkeypatch.setenv(STARTED["atlas"], str(made))
    known = atlas.known()
    channel = next(c for c in known.order("conv1a") if len(known.top("conv1a", c)) == 2)
    monkeypatch.setattr(atlas, "draw_window", lambda *_: pytest.fail("there are films"))
    test = settled(of("atlas", clip="shapes", layer="conv1a", map=str(channel)))
    films = film_strips(known, "conv1a", channel)
    items = tiles["atlas-windows"]["items"]
    assert [(i["src"], i["frames"]) for i in items] == [atlas._sprite(film) for film in films]
    assert films[0].shape[1:] == (96, 288, 3)
    assert items[0]["note"].startswith("clip ")

    top = known.top("conv1a", channel)[1]
    key = atlas.key_of(top)
    assert key == f"atlas-{sha256(top.path)[:16]}"
    test = settled(of("clip", clip=key, start=str(top.start), layer="conv1a", map=str(channel)))
    assert not test.error
    assert (test.session_state["view"].clip, test.session_state["view"].start) == (key, top.start)
    assert any(Path(top.path).name in radio.options for radio in test.radio)

    shutil.copytree(made, tmp_path / "atlas")
    shutil.copy(top.path, tmp_path / "other.mp4")
    monkeypatch.setenv(STARTED["atlas"], str(tmp_path / "atlas"))
    assert atlas.source(key, tmp_path) is not None
    monkeypatch.setattr(atlas, "_digest", lambda *_: "0" * 64)  # another file by now
    assert atlas.source(key, tmp_path) is None
    sessions.sessions().of("test session id").notes = []
    test = settled(of("clip", clip=key))
    assert "is another file" in test.info[0].value
    assert test.session_state["view"].clip == next(iter(samples.samples()))


def test_a_window_that_is_another_clip_here_is_left_out_and_said(
    made: Path, net: work.Net, monkeypatch: pytest.MonkeyPatch, tiles: dict[str, Any]
) -> None:
    known = Atlas.open(made)
    top = known.top("conv1a", 3)[0]
    assert len(atlas.draw_window(known, net.model, net.spec, top, top.path)) == 3
    other = replace(top, value=1.1 * top.value)
    with pytest.raises(ClipError, match=r"in the atlas .*: it is another clip; give the file"):
        atlas.draw_window(known, net.model, net.spec, other, top.path)

    monkeypatch.setattr(atlas, "_window", lambda *of: ("" if of[2].rank == 1 else "data:,x", 1))
    test = settled(of("atlas", clip="shapes", layer="conv2a", map="9"))
    tops = atlas.known().top("conv2a", 9)
    assert [(i["id"], i["title"]) for i in tiles["atlas-windows"]["items"]] == [
        (str(top.rank), f"answers {top.value:.3g}") for top in tops if top.rank != 1
    ]
    (line,) = [e.proto.body for e in test.get("html") if "are left out" in e.proto.body]
    assert f"1 of {len(tops)} are left out: their clips are not installed" in line


def test_a_window_is_drawn_once_and_another_network_leaves_nothing_behind(
    made: Path, net: work.Net, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(made, tmp_path / "atlas", ignore=shutil.ignore_patterns("media"))
    monkeypatch.setenv(STARTED["atlas"], str(tmp_path / "atlas"))
    known, drawn, draw = atlas.known(), [], atlas.draw_window
    channel = next(c for c in known.order("conv1a") if len(known.top("conv1a", c)) == 2)
    monkeypatch.setattr(atlas, "draw_window", lambda *of: drawn.append(of[3].rank) or draw(*of))

    def strips(of: work.Net, most: int) -> list[tuple[str, int]]:
        return atlas.strips(of, "conv1a", channel, tmp_path, most)

    assert strips(work.network("untrained"), 2) == [("", 1), ("", 1)]
    (first,) = strips(net, 1)
    assert first[0].startswith("data:image/jpeg")
    assert strips(net, 2)[0] == first
    assert drawn == [0, 1]
