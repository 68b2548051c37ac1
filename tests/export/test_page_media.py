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


def test_pictures_of_a_layer_are_its_own(tree: Path) -> None:
    (window,) = manifest_of(tree)["windows"]
    _, elements = links(tree / "index.html")
    shown = [unquote(str(e["src"])) for e in elements if e[""] == "img"]
    wanted: list[str] = []
    for layer in window["layers"]:
        wanted += [layer["sheets"][method] for method in ("deconvnet", "guided")]
        wanted += [layer["activation_sheet"]] if layer["activation_sheet"] else []
    assert shown == wanted
