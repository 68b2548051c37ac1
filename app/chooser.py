"""The line on every page: the pages, which clip and which network are shown, and other ones."""

from __future__ import annotations

import base64
import functools
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from c3d_viz.errors import VizError

from . import samples, state, ui, work
from .pages import PAGES
from .sessions import session
from .uploads import (
    CLIP_LIMIT_MB,
    WEIGHTS_LIMIT_MB,
    store_clip,
    store_weights,
)
from .view import UPLOADED


@functools.cache
def logo() -> str:
    """Our picture, as a data address."""
    data = (Path(__file__).parent / "assets" / "logo.svg").read_bytes()
    return f"data:image/svg+xml;base64,{base64.b64encode(data).decode()}"


def bar() -> None:
    """Pages, clip and network in one line; notes from a link that could not be followed."""
    of = state.source()
    with st.container(horizontal=True, key="bar", vertical_alignment="center", gap="small"):
        with st.container(key="logo", width="content"):
            st.html(f'<img src="{logo()}" alt="c3d_viz">')
        with st.container(horizontal=True, key="tabs", gap="small", width="content"):
            for name, page in st.session_state["pages"].items():
                st.page_link(page, icon=f":material/{PAGES[name].icon}:", width="content")
        with st.popover(f"Clip: {ui.plain(of.label)}", icon=":material/movie:"):
            clip_menu()
        label, icon = net_label(state.view().net)
        with st.popover(label, icon=icon):
            line = network_menu()
    with st.container(key="notes"):  # with none it is there too: what follows keeps its place
        for note in session().notes:
            st.info(ui.plain(note), icon=":material/info:")
        for message in session().refused:
            ui.refuse(message)
    net = state.network()  # before anything of it is on the page
    line.caption(ui.weights(net.spec.weights))


def net_name(key: str) -> str:
    """A network for people."""
    own = session().weights
    if key == UPLOADED and own is not None:
        return f"yours, {ui.plain(own.label)}"
    if key == state.GIVEN:
        return ui.plain(state.given_name())
    return work.SHIPPED.get(key, key)


def net_label(key: str) -> tuple[str, str]:
    """What the menu of networks is called, and its icon: that one is untrained comes first, as a
    long name is cut short."""
    name = net_name(key)
    if not state.is_random(key):
        return f"Network: {name}", ":material/hub:"
    short = name.removesuffix(", untrained").removesuffix(", random weights")
    return f"Untrained: {short}", ":material/shuffle:"


def clip_menu() -> None:
    """This session's own clips and the samples by name; and one that the atlas shows."""
    own, current = session().clips, state.view().clip
    keys = list(dict.fromkeys([*reversed(own), *samples.samples(), current]))

    def title(key: str) -> str:
        if known := samples.samples().get(key):
            return known.title
        return ui.plain((own.get(key) or state.source(key)).label)

    chosen = st.radio("Clip", keys, index=keys.index(current), format_func=title)
    if chosen != current:
        state.change(state.view().with_clip(chosen))
        st.rerun()
    st.caption("Upload further clips on the first page.")


def upload_clip() -> None:
    """The place for a clip of one's own."""
    owner = session()
    with st.container(key="upload-place"):
        given = st.file_uploader(
            f"Your own clip, up to {CLIP_LIMIT_MB} MB; it stays on this machine",
            max_upload_size=CLIP_LIMIT_MB,
            key=f"clip-upload-{owner.uploads}",
            label_visibility="collapsed",
        )
    if given is None:
        return
    name, data = given.name, given.getbuffer()
    try:
        stored = store_clip(owner.folder, name, data)
    except VizError as error:
        owner.refused.append(str(error))  # said on top, where it is seen
        stored = None
    finally:
        del data
    owner.uploads += 1
    if stored is not None:
        state.change(state.view().with_clip(owner.keep(stored)))
    st.rerun()


def network_menu() -> DeltaGenerator:
    """Networks to choose from, and the place for one's own weights. Returns a place for a line."""
    keys = list(state.nets())
    current = state.view().net
    index = keys.index(current) if current in keys else 0
    names = {key: net_name(key) for key in keys}
    chosen = st.radio("Network", keys, index=index, format_func=names.get)
    if chosen != current:
        state.change_net(chosen)
        st.rerun()
    line = st.empty()
    upload_weights()
    return line


def upload_weights() -> None:
    """The place for weights of one's own, in any format the library knows."""
    owner = session()
    given = st.file_uploader(
        f"Your own C3D weights, up to {WEIGHTS_LIMIT_MB} MB",
        max_upload_size=WEIGHTS_LIMIT_MB,
        key=f"weights-upload-{owner.uploads}",
        help="Sports-1M or fine-tuned C3D weights from Caffe, PyTorch, MMAction2, Keras or "
        "TensorFlow. The file is checked first; no code in it is ever run.",
    )
    if given is None:
        return
    try:
        stored = store_weights(owner.folder, given.name, given.getbuffer())
    except VizError as error:
        ui.refuse(str(error))
        return
    last, owner.weights = owner.weights, stored
    try:
        state.network(UPLOADED)
    except VizError as error:
        owner.weights = last
        stored.path.unlink(missing_ok=True)
        ui.refuse(str(error).replace(str(stored.path), stored.label))
        return
    if last is not None:
        last.path.unlink(missing_ok=True)
    owner.uploads += 1
    state.change_net(UPLOADED)
    st.rerun()
