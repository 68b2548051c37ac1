"""The pages as Streamlit runs them, without a browser."""

from __future__ import annotations

import gc
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import c3d_viz as viz
from app import components, memory, pages, samples, sessions, state, work
from c3d_viz.cli import STARTED
from c3d_viz.errors import ClipError
from c3d_viz.weights import NetworkChoice

ROOT = Path(__file__).parents[2]
PAGES = tuple(pages.PAGES)


def of(page: str, **query: str) -> AppTest:
    """One page, drawn by itself."""

    def script(page: str, query: dict[str, str]) -> None:
        import importlib

        import streamlit as st

        from app import chooser, state, ui

        st.session_state["pages"] = {"layers": st.Page(lambda: None, url_path="layers")}
        st.navigation([st.session_state["pages"]["layers"]], position="hidden")

        def draw() -> None:
            state.read_address()
            state.write_address()
            chooser.bar()
            importlib.import_module(f"app.views.{page}").page()
            state.session().notes.clear()

        ui.guarded(draw)()

    made = AppTest.from_function(script, default_timeout=120, args=(page, query))
    for name, value in query.items():
        made.query_params[name] = value
    return made


def settled(test: AppTest) -> AppTest:
    test.run()
    assert not test.exception
    return test


@pytest.fixture(autouse=True)
def _clean() -> Any:
    yield
    sessions.sessions().of("test session id").notes = []


def test_the_first_screen_has_a_clip_and_no_error() -> None:
    memory.pass_over_loaded.cache_clear()
    test = settled(AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=120))
    assert gc.get_freeze_count() > 100_000  # runs do not end with a look through all of PyTorch
    gc.unfreeze()
    assert [t.value for t in test.title] == ["What does a video network see?"]
    assert not test.error
    view = test.session_state["view"]
    assert (view.clip, view.layer) == (next(iter(samples.samples())), "conv5b")


@pytest.mark.parametrize("page", PAGES)
def test_every_page_draws_without_an_error(page: str) -> None:
    test = settled(of(page))
    assert len(test.title) == 1
    assert not test.error


def test_a_page_opens_with_the_network_the_server_was_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Prepared as was asked, apart from the same file as it prepares itself."""
    path = tmp_path / "mine.safetensors"
    shutil.copyfile(ROOT / "c3d_viz" / "weights" / "compact.safetensors", path)
    asked = NetworkChoice(weights=path, channel_order="BGR")
    monkeypatch.setenv(STARTED["network"], json.dumps(asked.to_json()))
    test = settled(of("export"))
    assert not test.error
    assert test.session_state["view"].net == "given"
    menu = next(choice for choice in test.radio if "mine.safetensors" in choice.options)
    assert menu.value == "given"
    command = next(block.value for block in test.code if "c3d-viz export" in block.value)
    assert f"--weights {path} --channel-order BGR" in command
    given, plain = state._network("given", None), work.network("compact")
    assert (given.spec.input.channel_order, plain.spec.input.channel_order) == ("BGR", "RGB")
    assert given.key != plain.key
    assert given.spec.sha256 == plain.spec.sha256


def test_a_link_restores_layer_map_method_and_window() -> None:
    test = settled(of("layers", layer="conv3b", map="7", method="guided", start="12"))
    view = test.session_state["view"]
    assert (view.layer, view.channel, view.method, view.start) == ("conv3b", 7, "guided", 12)
    assert "conv3b, map 7" in [s.value for s in test.subheader]
    assert test.query_params["map"] == "7"


def test_a_wrong_link_is_corrected_with_a_note() -> None:
    test = settled(of("layers", layer="conv9"))
    assert test.session_state["view"].layer == "conv5b"
    assert "conv9" in test.info[0].value


@pytest.mark.parametrize("page", ["clip", "layers", "compare"])
@pytest.mark.parametrize(
    ("asked", "says", "left"),
    [
        ({"map": "999"}, "map 999, and conv1a has maps 0-15", (None, None, None)),
        ({"map": "3", "at": "9-200-9"}, "cell 9-200-9, and conv1a has 16 × 112 × 112 cells",
         (3, None, None)),
        ({"start": "99999"}, "frame 99999; the last window of this clip begins at frame 24",
         (None, None, 24)),
    ],
)  # fmt: skip
def test_what_a_link_asks_in_vain_becomes_the_strongest_with_a_note(
    page: str, asked: dict[str, str], says: str, left: tuple[Any, ...]
) -> None:
    test = settled(of(page, clip="shapes", layer="conv1a", **asked))
    assert not test.error
    assert says in test.info[0].value.replace("\\", "")
    view = test.session_state["view"]
    assert (view.channel, view.at, view.start) == left
    assert ("map" in test.query_params, "at" in test.query_params) == (left[0] == 3, False)
    if page == "layers":
        assert any(s.value.startswith("conv1a, map ") for s in test.subheader)
    assert not settled(test).info  # said once


def test_another_method_and_colours_from_the_page() -> None:
    test = settled(of("layers", clip="shapes"))
    test.selectbox(key="method-deconvnet").set_value("guided").run()
    assert test.session_state["view"].method == "guided"
    {b.label: b for b in test.segmented_control}["Colours"].set_value("signed").run()
    assert test.session_state["view"].look == "signed"
    assert test.query_params["look"] == "signed"
    assert not test.exception


def test_any_feature_map_by_number() -> None:
    test = settled(of("layers"))
    test.number_input[0].set_value(5).run()
    assert test.session_state["view"].channel == 5
    assert "conv5b, map 5" in [s.value for s in test.subheader]


def test_another_clip_and_network_from_the_bar() -> None:
    test = settled(of("layers"))
    other = list(samples.samples())[-1]
    {r.label: r for r in test.radio}["Clip"].set_value(other).run()
    assert test.session_state["view"].clip == other
    {r.label: r for r in test.radio}["Network"].set_value("untrained").run()
    assert test.session_state["view"].net == "untrained"
    assert not test.exception
    assert not test.error


def test_every_nth_frame() -> None:
    test = settled(of("clip", clip="shapes"))
    control = {b.label: b for b in test.segmented_control}["The window takes"]
    control.set_value(2).run()
    assert test.session_state["view"].stride == 2
    assert test.query_params["stride"] == "2"


@pytest.mark.parametrize("kind", ["method", "layer", "clip", "net"])
def test_compare_sets_one_thing_beside_another(kind: str) -> None:
    test = settled(of("compare", clip="shapes"))
    {b.label: b for b in test.segmented_control}["What differs"].set_value(kind).run()
    assert not test.exception
    assert not test.error
    assert (test.session_state["view"].versus or "net:untrained").startswith(f"{kind}:")


def test_the_command_line_names_every_choice() -> None:
    test = settled(of("export", layer="conv4a", method="guided", start="3"))
    command = test.code[0].value
    assert re.fullmatch(
        r"c3d-viz export \S+ -o OUT --layer conv4a --method guided --top 4 "
        r"--start 3 --stride 1 --model \S+",
        command,
    )


def test_an_export_needs_a_layer_and_a_method() -> None:
    test = settled(of("export"))
    test.pills[0].set_value([]).run()
    assert not test.exception
    assert not test.button
    assert not test.code


def test_a_fault_is_logged_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a secret detail")

    monkeypatch.setattr(work, "spot", broken)
    test = settled(of("layers"))
    assert len(test.error) == 1
    assert "secret" not in test.error[0].value
    reference = re.search(r"under ([0-9a-f]{6})", test.error[0].value)
    assert reference is not None
    assert reference[1] in caplog.text
    assert "a secret detail" in caplog.text


def test_the_app_holds_no_tensor_code() -> None:
    for file in (ROOT / "app").rglob("*.py"):
        text = file.read_text()
        assert not re.search(r"^\s*(import|from) torch", text, re.M), file


def test_that_a_network_is_untrained_stands_before_the_page_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import importlib

    seen: list[str] = []
    made = st.popover
    monkeypatch.setattr(st, "popover", lambda name, **more: seen.append(name) or made(name, **more))
    monkeypatch.setattr(
        importlib.import_module("app.views.layers"), "page", lambda: seen.append("page") or 1 / 0
    )
    settled(of("layers", clip="shapes", net="untrained"))
    assert seen[:3] == ["Clip: Turning shape", "Untrained: C3D, compact", "page"]


@pytest.mark.parametrize(("readable", "start"), [(25, 5), (0, 10)])
def test_the_timeline_stays_where_a_window_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, readable: int, start: int
) -> None:
    real, timelines = viz.read_clip, []

    def read(path: Path, first: int = 0, frames: int = 16, stride: int = 1) -> Any:
        if first + frames > readable:
            raise ClipError(f"{path} ends before frame {readable}: copy it again")
        return real(path, first, frames, stride)

    monkeypatch.setattr(viz, "read_clip", read)
    monkeypatch.setattr(components, "timeline", lambda key, **more: timelines.append(more))
    work.CACHE.clear()
    test = settled(of("clip", clip="shapes", start="10"))
    work.CACHE.clear()
    assert [line["start"] for line in timelines] == [start]
    assert len(timelines[0]["energy"]) == 40
    (told,) = test.warning if readable else test.error
    assert f"ends before frame {readable}" in told.value
    assert ("at frame 5 instead" in told.value) == bool(readable)


def test_the_figure_for_print_says_when_it_cannot_be_made() -> None:
    test = settled(of("motion", clip="shapes", stride="2"))
    (button,) = [b for b in test.button if b.label == "Make the figure for print"]
    assert button.disabled
    assert any("neighbouring frames" in c.value for c in test.caption)


def test_the_motion_page_says_what_it_shows_and_of_which_network() -> None:
    test = settled(of("motion", clip="shapes", net="untrained", method="gradcam", layer="fc6"))
    (told,) = [i.value for i in test.info if "shown here" in i.value]
    assert "Grad" in told
    assert "Deconvolution is shown here" in told
    assert "fc6 has no frames; conv5b is shown here" in told
    of_test = next(c.value for c in test.caption if c.value.startswith("It tested"))
    assert "gradient: T = -0.025 [-0.077, +0.019]; guided: T = " in of_test.replace("\\", "")
    assert "Shown below is another network: random weights" in of_test
    assert any("no contrast: nothing moves" in c.value for c in test.caption)
    said = [e.value for e in test.main if hasattr(e, "value") and isinstance(e.value, str)]
    places = [
        next(i for i, s in enumerate(said) if part in s)
        for part in ("The full test", "This clip", "What the maps follow")
    ]
    assert places == sorted(places)  # the verdict first


def test_a_class_can_be_chosen_to_see_what_speaks_for_it() -> None:
    test = settled(of("clip", clip="shapes"))
    assert any("never seen a real video" in e.proto.body for e in test.get("html"))
    button = next(b for b in test.button if str(b.key).startswith("class-"))
    number = int(str(button.key).removeprefix("class-"))
    button.click().run()
    view = test.session_state["view"]
    assert (view.layer, view.channel) == ("fc8", number)
    assert not test.error
