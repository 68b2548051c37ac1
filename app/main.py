"""The dashboard's frame: pages, what is chosen, and the line that no traceback crosses.

Started by ``c3d-viz app`` or ``make app``; options are in ``.streamlit/config.toml`` beside this
file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent
if str(HERE.parent) not in sys.path:  # Streamlit puts only this folder on the path
    sys.path.insert(0, str(HERE.parent))

from app import chooser, state, ui  # noqa: E402
from app.views import clip, compare, export, layers, motion  # noqa: E402


def main() -> None:
    st.set_page_config("c3d_viz", HERE / "assets" / "icon.svg", layout="wide")
    st.html(HERE / "assets" / "style.css")
    st.logo(HERE / "assets" / "logo.svg", size="large")
    pages = {
        "clip": st.Page(clip.page, title="Clip", url_path="clip", default=True),
        "layers": st.Page(layers.page, title="Layers", url_path="layers"),
        "motion": st.Page(motion.page, title="Appearance then motion", url_path="motion"),
        "compare": st.Page(compare.page, title="Compare", url_path="compare"),
        "export": st.Page(export.page, title="Export", url_path="export"),
    }
    st.session_state["pages"] = pages  # for links from page to page
    page = st.navigation(list(pages.values()), position="top")
    ui.guarded(draw)(page)


def draw(page: st.Page) -> None:
    state.view()
    state.write_address()
    tell = chooser.bar()
    page.run()
    tell(state.network())


main()
