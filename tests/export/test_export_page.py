"""The page of an export."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from exported import LINE, files, links, manifest_of

from c3d_viz import clips
from c3d_viz.errors import ExportError, VizError
from c3d_viz.export import run
from c3d_viz.export.run import export_clip
from c3d_viz.nets import fingerprint
from c3d_viz.nets.spec import COMPACT_INPUT, ModelSpec
from c3d_viz.trust import facts


def test_the_page_opens_from_disk(tree: Path) -> None:
    targets, elements = links(tree / "index.html")
    assert set(targets) <= set(files(tree))
    text = (tree / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:)?//", text)
    assert "@import" not in text
    videos = [e for e in elements if e[""] == "video"]
    assert len(videos) == 1 + 3 * 2 * 2
    assert all(v["aria-label"] for v in videos)
    assert all(e.get("alt") for e in elements if e[""] == "img")
    ids = [e["id"] for e in elements if e.get("id")]
    assert len(ids) == len(set(ids))
    layers = [i for i in ids if str(i).startswith("w8-")]
    assert layers == ["w8-conv1a", "w8-conv5b", "w8-fc8"]


def test_the_page_names_the_weights_and_warns(tree: Path) -> None:
    text = (tree / "index.html").read_text(encoding="utf-8")
    assert LINE in text
    assert "This network is untrained" in text
    assert "mövie &amp; more" in text  # names are text, never markup


def test_trained_weights_are_not_warned_about(clip: Path, tiny_c3d: Any, tmp_path: Path) -> None:
    names = ("<b>run</b>", "jump", "fall", "turn", "stay")
    spec = ModelSpec("compact", "compact: trained", True, COMPACT_INPUT, 5, classes=names)
    export_clip(clip, tmp_path / "out", layers="fc8", top=2, loaded=(tiny_c3d, spec))
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "untrained" not in text
    assert "Likeliest classes" in text
    assert "<b>run" not in text
    assert "&lt;b&gt;run" in text
    window = manifest_of(tmp_path / "out")["windows"][0]
    chances = [p["probability"] for p in window["predictions"]]
    assert sum(chances) == pytest.approx(1, abs=1e-4)
    assert chances == sorted(chances, reverse=True)
    units = window["layers"][0]["units"]
    assert [u["name"] for u in units] == [names[u["channel"]] for u in units]


def test_what_is_doubtful_about_the_frames_is_said(
    clip: Path, tiny_c3d: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_clips(*args: Any, **options: Any) -> Any:
        for read in clips.read_clips(*args, **options):
            yield replace(read, notes=("frames 3-5: <doubtful>",))

    monkeypatch.setattr(run, "clips", SimpleNamespace(**{**vars(clips), "read_clips": read_clips}))
    spec = ModelSpec("compact", LINE, False, COMPACT_INPUT, 5)
    export_clip(clip, tmp_path / "out", layers="fc8", top=1, loaded=(tiny_c3d, spec))
    manifest = manifest_of(tmp_path / "out")
    assert manifest["clip"]["notes"] == []
    assert manifest["windows"][0]["notes"] == ["frames 3-5: <doubtful>"]
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert text.count('<p class="note">frames 3-5: &lt;doubtful&gt;</p>') == 1


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_in_a_browser(tree: Path, browser: Any, width: int) -> None:
    """Opened from disk: fits the screen, asks no network, and the videos on screen play."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto((tree / "index.html").as_uri())
    page.wait_for_function(
        "() => { const v = document.querySelector('video'); "
        "return v.currentTime > 0.05 && v.videoWidth === 336; }",
        timeout=60_000,
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.click("#play")
    assert page.text_content("#play") == "Play videos"
    assert page.evaluate("[...document.querySelectorAll('video')].every(v => v.paused)")
    context.close()
    assert wrong == []
    assert all(url.startswith("file:") for url in asked)


def test_what_was_measured_stands_beside_the_maps(
    clip: Path, tiny_c3d: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The facts of a check, for this network alone: those that ship, or those that are given."""
    spec = ModelSpec("own", "own weights", True, COMPACT_INPUT, 5)
    of_check = {
        "schema": 1,
        "model": "own",
        "valid": True,
        "fingerprint": fingerprint(tiny_c3d),
        "lines": {"fc8": {"guided": ["no <better> than a frame difference"]}},
        "short": {"fc8": {"guided": "no better"}},
    }
    given = tmp_path / "own.json"
    given.write_text(json.dumps(of_check))
    common: dict[str, Any] = {"layers": "fc8", "top": 1, "methods": ("guided", "deconvnet")}
    bare, told, shipped = (tmp_path / name for name in ("bare", "told", "shipped"))
    export_clip(clip, bare, loaded=(tiny_c3d, spec), **common)
    assert "Measured" not in (bare / "index.html").read_text(encoding="utf-8")
    export_clip(clip, told, loaded=(tiny_c3d, spec), facts=given, **common)
    assert f"--facts {given}" in manifest_of(told)["command"]
    monkeypatch.setattr(facts, "SHIPPED", tmp_path)
    facts.shipped_facts.cache_clear()
    export_clip(clip, shipped, loaded=(tiny_c3d, spec), **common)
    facts.shipped_facts.cache_clear()
    for out in (told, shipped):
        assert manifest_of(out)["trust"] == {
            "fc8": {"guided": ["no <better> than a frame difference"]}
        }
        text = (out / "index.html").read_text(encoding="utf-8")
        assert text.count("May it be believed? Measured: no &lt;better&gt; than") == 1

    # other facts would be half of each
    of_check["lines"] = {"fc8": {"guided": ["something else"]}}
    given.write_text(json.dumps(of_check))
    with pytest.raises(ExportError, match="another set of facts"):
        export_clip(clip, told, loaded=(tiny_c3d, spec), facts=given, resume=True, **common)
    other = type(tiny_c3d)(5, width=2, fc=16).eval()
    with pytest.raises(VizError, match="of another network"):
        export_clip(clip, tmp_path / "out", loaded=(other, spec), facts=given, **common)
    assert not (tmp_path / "out").exists()
