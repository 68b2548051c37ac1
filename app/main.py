"""The dashboard's frame: pages, what is chosen, and the line that no traceback crosses.

Started by ``c3d-viz app`` or ``make app``; options are in ``.streamlit/config.toml`` beside this
file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import streamlit as st

HERE = Path(__file__).parent
if str(HERE.parent) not in sys.path:  # Streamlit puts only this folder on the path
    sys.path.insert(0, str(HERE.parent))

from app.busy import wait_for  # noqa: E402


def load() -> SimpleNamespace:
    """The app's parts. They bring PyTorch along, which takes seconds the first time."""
    from app import chooser, state, ui
    from app.views import clip, compare, export, layers, motion

    return SimpleNamespace(
        chooser=chooser, state=state, ui=ui,
        clip=clip, layers=layers, motion=motion, compare=compare, export=export,
    )  # fmt: skip


def main() -> None:
    st.set_page_config("c3d_viz", HERE / "assets" / "icon.svg", layout="wide")
    st.html(HERE / "assets" / "style.css")
    st.logo(HERE / "assets" / "logo.svg", size="large")
    app = wait_for(load, "Starting")  # the first visitor of a new server sees that it goes on
    pages = {
        "clip": st.Page(app.clip.page, title="Clip", url_path="clip", default=True),
        "layers": st.Page(app.layers.page, title="Layers", url_path="layers"),
        "motion": st.Page(app.motion.page, title="Appearance then motion", url_path="motion"),
        "compare": st.Page(app.compare.page, title="Compare", url_path="compare"),
        "export": st.Page(app.export.page, title="Export", url_path="export"),
    }
    st.session_state["pages"] = pages  # for links from page to page
    page = st.navigation(list(pages.values()), position="top")
    app.ui.guarded(draw)(app, page)


def draw(app: SimpleNamespace, page: st.Page) -> None:
    app.state.view()
    app.state.write_address()
    tell = app.chooser.bar()
    page.run()
    tell(app.state.network())


main()
