"""The address: what a link holds, and what it may not do."""

from __future__ import annotations

import pytest

from app.view import View, from_query, to_query

ALLOWED = {
    "clips": ("bikes", "face"),
    "nets": ("compact", "untrained"),
    "layers": lambda net: (("conv1a", "conv5b"), "conv5b"),
    "methods": ("deconvnet", "guided"),
}


@pytest.mark.parametrize(
    "view",
    [
        View(),
        View("face", 40, 2, "untrained", "conv1a", 12, (3, 0, 111), "guided", "signed"),
        View(channel=0, versus="layer:conv1a"),
        View(start=0, versus="net:untrained"),
    ],
)
def test_a_link_restores_the_view(view: View) -> None:
    assert from_query(to_query(view), **ALLOWED) == (view, [])


def test_the_default_is_short() -> None:
    assert to_query(View()) == {"clip": "bikes", "layer": "conv5b", "method": "deconvnet"}


def test_unknown_values_fall_back_and_say_so() -> None:
    query = {"clip": "x<script>", "layer": "conv9", "method": "guided", "map": "-3", "at": "1-2"}
    view, notes = from_query(query, **ALLOWED)
    assert view == View(method="guided")
    assert len(notes) == 2
    assert "“conv9”" in notes[1]
    assert "<" not in notes[0]


def test_an_upload_stays_with_its_owner() -> None:
    view, notes = from_query({"clip": "upload", "net": "upload"}, **ALLOWED)
    assert (view.clip, view.net) == ("bikes", "compact")
    assert [n.count("stays with the person") for n in notes] == [1, 1]


@pytest.mark.parametrize("start", ["-1", "1e3", "99999999999", "٣", "0x10", ""])
def test_odd_numbers_are_ignored(start: str) -> None:
    assert from_query({"start": start}, **ALLOWED)[0].start is None


def test_a_position_needs_its_feature_map() -> None:
    assert from_query({"at": "1-2-3"}, **ALLOWED)[0].at is None
    assert from_query({"at": "1-2-3", "map": "4"}, **ALLOWED)[0].at == (1, 2, 3)


def test_without_the_default_sample_the_first_is_shown() -> None:
    assert from_query({}, **{**ALLOWED, "clips": ("shapes",)})[0].clip == "shapes"


def test_changing_a_thing_forgets_what_depended_on_it() -> None:
    view = View(start=5, channel=3, at=(0, 1, 2))
    assert view.with_layer("conv1a") == View(start=5, layer="conv1a")
    assert view.with_channel(9) == View(start=5, channel=9)
    assert view.with_window(7, 2) == View(start=7, stride=2, channel=3)
    assert view.with_clip("face") == View(clip="face")
    assert view.with_net("untrained", "layer4") == View(start=5, net="untrained", layer="layer4")
