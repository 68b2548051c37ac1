"""What the page of an export points at: the right file of the right unit, of the right kind."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import av
import numpy as np
from exported import links, manifest_of

KINDS = {"mp4": b"ftyp", "png": b"PNG", "npz": b"PK"}


def kind_of(file: Path) -> str:
    """By its first bytes, whatever its name says."""
    head = file.read_bytes()[:12]
    return next(kind for kind, mark in KINDS.items() if mark in head)


class Figures(HTMLParser):
    """Per <figure>: its video, its links by their text, and its caption."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, Any]] = []
        self._link = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "figure":
            self.found.append({"video": None, "says": None, "links": {}, "text": ""})
        elif tag == "video" and self.found:
            self.found[-1]["video"] = unquote(values["src"] or "")
            self.found[-1]["says"] = values["aria-label"]
        elif tag == "a":
            self._link = unquote(values["href"] or "")

    def handle_data(self, data: str) -> None:
        if not self.found:
            return
        if self._link:
            self.found[-1]["links"][data] = self._link
            self._link = ""
        self.found[-1]["text"] += data


def figures(page: Path) -> list[dict[str, Any]]:
    reader = Figures()
    reader.feed(re.sub(r"<details>.*?</details>", "", page.read_text(encoding="utf-8")))
    return reader.found


def test_every_video_is_a_video_and_every_picture_a_picture(tree: Path) -> None:
    _, elements = links(tree / "index.html")
    seen = {"video": 0, "img": 0}
    for element in elements:
        if element[""] in seen:
            seen[str(element[""])] += 1
            kind = "mp4" if element[""] == "video" else "png"
            assert kind_of(tree / unquote(str(element["src"]))) == kind
    assert seen == {"video": 13, "img": 3 * 2 + 2}  # sheets of each method, activations but fc8's


def test_the_first_video_is_the_clip_itself(tree: Path) -> None:
    _, elements = links(tree / "index.html")
    first = next(e for e in elements if e[""] == "video")
    assert first["src"] == manifest_of(tree)["windows"][0]["input"]
    with av.open(str(tree / str(first["src"]))) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert len(frames) == 16
    assert np.std(frames[0]) > 10


def test_a_units_figure_shows_and_links_its_own_files(tree: Path) -> None:
    (window,) = manifest_of(tree)["windows"]
    wanted = [
        (layer["layer"], unit["channel"], method, unit["files"][method])
        for layer in window["layers"]
        for method in ("deconvnet", "guided")
        for unit in layer["units"]
    ]
    found = figures(tree / "index.html")
    assert len(found) == len(wanted) == 12
    for figure, (layer, channel, method, files) in zip(found, wanted, strict=True):
        assert figure["video"] == files["overlay"]
        assert figure["links"]["frame by frame"] == files["filmstrip"]
        assert figure["links"]["map.npz"] == files["map"]
        assert f"{layer} channel {channel}" in figure["says"]
        assert f"channel {channel}" in figure["text"]
        assert Path(files["overlay"]).parent == Path(f"{layer}/{method}/ch{channel:04d}")
        assert [kind_of(tree / files[key]) for key in ("overlay", "filmstrip", "map")] == [
            "mp4",
            "png",
            "npz",
        ]
        with np.load(tree / files["map"]) as stored:
            assert (str(stored["layer"]), int(stored["channel"])) == (layer, channel)
            assert str(stored["method"]) == method


def frames_in(file: Path) -> np.ndarray:
    with av.open(str(file)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def test_what_a_unit_of_a_shallow_layer_sees_is_enlarged_in_its_video(tree: Path) -> None:
    """Above the patch and what is sent back, below the clip and the map on it, with the outline."""
    (window,) = manifest_of(tree)["windows"]
    by_layer = {layer["layer"]: layer["units"] for layer in window["layers"]}
    assert not any("enlarged" in unit for name in ("conv5b", "fc8") for unit in by_layer[name])
    given = frames_in(tree / window["input"])[:, 1::3, 1::3].astype(int)  # three times as large
    said = {f["video"]: (f["says"], f["text"]) for f in figures(tree / "index.html")}
    for unit in by_layer["conv1a"]:
        assert unit["enlarged"] is True
        path = unit["files"]["deconvnet"]["overlay"]
        assert "enlarged" in said[path][0]
        assert "sent back (grey is zero)" in said[path][1]
        video = frames_in(tree / path).astype(int)
        assert video.shape == (16, 452, 452, 3)
        t, y, x = unit["at"]
        seen = range(max(0, t - 1), min(16, t + 2))  # a kernel of 3 frames and pixels, padded
        clip = video[:, 229:452:2, 1:224:2]
        assert np.abs(clip - given).mean() < 6
        assert clip[t, max(0, y - 3), x].min() > 200  # the outline
        for number in {0, t, 15}:
            patch, back = video[number, 80:144, 80:144], video[number, 80:144, 308:372]
            if number in seen:
                assert np.abs(patch.mean((0, 1)) - given[number, y, x]).max() < 40
            else:
                assert np.abs(back - 128).max() < 8
                assert patch.mean() < 0.45 * given[number, y, x].mean() + 8


def test_pictures_of_a_layer_are_its_own(tree: Path) -> None:
    (window,) = manifest_of(tree)["windows"]
    _, elements = links(tree / "index.html")
    shown = [unquote(str(e["src"])) for e in elements if e[""] == "img"]
    wanted: list[str] = []
    for layer in window["layers"]:
        wanted += [layer["sheets"][method] for method in ("deconvnet", "guided")]
        wanted += [layer["activation_sheet"]] if layer["activation_sheet"] else []
    assert shown == wanted
