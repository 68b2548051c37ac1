"""What is chosen above a map: a layer within the block, the method, the colours."""

from __future__ import annotations

import streamlit as st

from c3d_viz.methods import METHODS

from .. import state, ui


def inner(layer: str) -> bool:
    """A layer within the block that is chosen above; whether there is any."""
    tree = state.tree()
    group = tree.group(layer)
    names = tree.inside(group)
    if len(names) < 2:
        return False
    key = f"inner-{layer}"
    st.selectbox(
        f"Layer of {group}",
        names,
        names.index(layer),
        key=key,
        label_visibility="collapsed",
        on_change=lambda: state.change(state.view().with_layer(st.session_state[key])),
    )
    return True


def method() -> None:
    """The method that all maps of the page are made with."""
    chosen = state.view().method
    key = f"method-{chosen}"  # another one for another value: Back changes it too
    st.selectbox(
        "Method",
        list(METHODS),
        list(METHODS).index(chosen),
        format_func=lambda m: METHODS[m].title,
        key=key,
        label_visibility="collapsed",
        on_change=lambda: state.changed(method=st.session_state[key]),  # before the page is drawn
    )


def look() -> None:
    """Strength or signed colours."""
    view = state.view()
    chosen = st.segmented_control(
        "Colours",
        list(ui.LOOKS),
        default=view.look,
        format_func=ui.LOOKS.get,
        required=True,
        label_visibility="collapsed",
    )
    if chosen != view.look:
        state.changed(look=chosen)
        st.rerun()
