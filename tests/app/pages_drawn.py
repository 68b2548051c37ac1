"""Pages drawn by themselves, and the window that they open with."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from app import samples, windows, work


def drawn(page: str, **query: str) -> AppTest:
    """One page, drawn by itself."""

    def script(page: str) -> None:
        import importlib

        import streamlit as st

        from app import state

        st.session_state["pages"] = {"layers": st.Page(lambda: None, url_path="layers")}
        st.navigation([st.session_state["pages"]["layers"]], position="hidden")
        state.view()
        importlib.import_module(f"app.views.{page}").page()

    test = AppTest.from_function(script, default_timeout=120, args=(page,))
    for name, value in query.items():
        test.query_params[name] = value
    test.run()
    assert not test.exception
    return test


def window_of_bikes(net: work.Net) -> windows.Prepared:
    """The window that a page of the first sample opens with."""
    of = samples.sample_source("bikes", Path())
    assert of.start is not None
    return windows.window(of, net, of.start, 1)
