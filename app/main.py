"""The dashboard's frame: pages, what is chosen, and the line that no traceback crosses.

Started by ``c3d-viz app`` or ``make app``; options are in ``.streamlit/config.toml`` beside this
file.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import streamlit as st

HERE = Path(__file__).parent
# PyTorch's threads sleep between two computations: turning round until there is work again, they
# take the cores from whoever has some (a map took five times the processor time on a busy machine).
# It is asked for when PyTorch is loaded, which ``load`` does.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
PACKAGE = "c3d_viz._app" if HERE.name == "_app" else "app"  # installed, or in a checkout
if PACKAGE == "app" and str(HERE.parent) not in sys.path:  # Streamlit puts only HERE on the path
    sys.path.insert(0, str(HERE.parent))


def part(name: str) -> Any:
    """A module of the app. Streamlit runs this file by itself, outside of its package."""
    return importlib.import_module(f"{PACKAGE}.{name}")


def load() -> SimpleNamespace:
    """The app's parts. They bring PyTorch along, which takes seconds the first time."""
    names = ("chooser", "state", "ui", *(f"views.{name}" for name in part("pages").PAGES))
    loaded = {name.removeprefix("views."): part(name) for name in names}
    part("memory").pass_over_loaded()
    return SimpleNamespace(**loaded)


def main() -> None:
    st.set_page_config("c3d_viz", HERE / "assets" / "icon.svg", layout="wide")
    st.html(HERE / "assets" / "style.css")
    wait_for = part("waiting").wait_for
    app = wait_for(load, "Starting")  # the first visitor of a new server sees that it goes on
    pages = {
        name: st.Page(
            getattr(app, name).page, title=page.title, url_path=name, default=name == "clip"
        )
        for name, page in part("pages").PAGES.items()
    }
    st.session_state["pages"] = pages  # for links from page to page
    page = st.navigation(list(pages.values()), position="hidden")  # the bar has links of our own
    app.ui.guarded(draw)(app, page)


def draw(app: SimpleNamespace, page: st.Page) -> None:
    app.state.read_address()
    app.state.write_address()
    app.chooser.bar()
    page.run()
    of = app.state.session()
    for said in (of.notes, of.refused):  # once they stood on a page that was drawn to its end
        said.clear()


main()
