"""What this session's page shows: its view, and the clip, network and window that go with it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

import c3d_viz as viz
from c3d_viz.clips import motion_energy, span_of
from c3d_viz.errors import ClipError
from c3d_viz.weights import RANDOM, NetworkChoice

from . import atlas, blocks, components, samples, ui, windows, work
from .pages import started
from .samples import Source
from .sessions import in_own_names, session, sessions
from .uploads import Stored
from .view import UPLOADED, View, from_query, to_query
from .waiting import wait_for

GIVEN = "given"  # key of the network that the server was started with


@dataclass(frozen=True)
class Shown:
    """Everything a page draws from."""

    source: Source
    net: work.Net
    window: windows.Prepared
    why: str = ""  # where an earlier window is shown: what is wrong with the one asked for


def nets() -> tuple[str, ...]:
    """Keys of the networks this session may choose from, the default first."""
    own = (UPLOADED,) if session().weights is not None else ()
    asked = (GIVEN,) if given() else ()
    return (*asked, *work.SHIPPED, *own)


def given() -> NetworkChoice | None:
    """The network the server was started with, if with one."""
    text = started("network")
    return None if text is None else NetworkChoice.from_json(json.loads(text))


def given_name() -> str:
    """The network the server was started with, for people."""
    asked = given() or NetworkChoice("")
    if asked.weights in (RANDOM, "default"):
        return f"{Path(asked.model).name}, {asked.weights} weights"
    return Path(asked.weights or asked.model).name


def is_random(net: str) -> bool:
    """Whether a network has random weights, as far as is known before it is loaded."""
    choice = given() if net == GIVEN else work.NETWORKS.get(net, ("", None))[1]
    if choice is None:
        return False
    return choice.weights == RANDOM or (choice.model == "c3d" and choice.weights is None)


def layers(net: str) -> tuple[tuple[str, ...], str]:
    """A network's layers by name, and the one to begin with."""
    made = tree(net)
    return tuple(made.layers), made.first


def tree(net: str | None = None) -> blocks.Tree:
    """The layers of a network by key, of the chosen one by default. Waits for them politely."""
    loaded = network(net)
    return wait_for(lambda: blocks.tree(loaded), "Looking at the network's layers")


def change_net(net: str) -> None:
    """Show another network from the next run on, at a layer of the same name if it has one."""
    names, first = layers(net)
    layer = view().layer
    change(view().with_net(net, layer if layer in names else first))


def view() -> View:
    """The session's view; at its first run, what the address asks for."""
    if "view" not in st.session_state:
        read_address()
    return cast(View, st.session_state["view"])


def read_address() -> None:
    """Take the view from the address: at the first run, and when a person goes back or forward.

    At any other run the address follows the view. An empty one is that of a page just gone to.
    """
    # at every run, and over the page: what follows keeps its place on it
    place = st.container(key="moved-address")
    query = st.query_params.to_dict()
    first = "view" not in st.session_state
    if not first and not (query and went_back() and query != to_query(view())):
        return
    query.setdefault("net", nets()[0])
    with place:  # another network may have to be loaded for its layers
        st.session_state["view"], notes = from_query(
            query,
            clips=(*samples.samples(), *session().clips, *atlas.keys()),
            nets=nets(),
            layers=layers,
            methods=tuple(viz.METHODS),
        )
    session().notes += notes


def went_back() -> bool:
    """Whether this run was begun by the browser's Back or Forward."""
    return bool(getattr(get_script_run_ctx(), "is_history_navigation", False))


def change(new: View) -> None:
    """Show something else from the next run on."""
    st.session_state["view"] = new


def changed(**fields: Any) -> None:
    """Show the same with some fields changed."""
    change(replace(view(), **fields))


def changed_by_part(**fields: Any) -> None:
    """The same in a callback of a fragment, after which the whole page is drawn anew."""
    changed(**fields)
    st.rerun()


def drag(new: View, parts: list[str]) -> None:
    """In a callback: the window is being dragged. Only these fragments are drawn anew.

    The address, and with it a step of Back, follows when the page is drawn again.
    """
    change(new)
    st.session_state["dragged"] = True
    st.rerun(parts)


def dragged() -> bool:
    """Whether what is drawn now is drawn because the window is being dragged."""
    return bool(st.session_state.get("dragged"))


def write_address() -> None:
    """Put the view into the address, so that a copied link brings somebody else here.

    Each change is a step that Back undoes. Where there was nothing in the address (a page just
    opened) it is filled in without a step.
    """
    query, there = to_query(view()), st.query_params.to_dict()
    st.session_state["dragged"] = False
    if there and there != query:
        st.query_params.from_dict(query)
    components.address(urlencode(query) if not there else "")


def source(key: str | None = None) -> Source:
    """A clip by key, the chosen one by default."""
    key = key or view().clip
    stored = session().clips.get(key)
    if stored is not None and stored.info is not None:
        return Source(stored.digest, stored.path, stored.label, stored.info, stored.label)
    if key.startswith(atlas.MARK):
        of = atlas.source(key, sessions().storage.root)
        if of is not None:
            return of
        session().notes.append("The atlas's clip is not there any more, or is another file.")
    known = samples.samples()
    if key not in known:  # an upload that was taken away
        key = next(iter(known))
        change(view().with_clip(key))
    return samples.sample_source(key, sessions().storage.root)


def energy(of: Source) -> work.Floats:
    """How much moves along a clip."""
    return work.kept(("energy", of.key), lambda: motion_energy(of.path))


def stills(of: Source) -> list[tuple[int, str]]:
    """Stills along a clip, for the timeline."""
    return work.kept(("stills", of.key), lambda: samples.stills(of))


def thumb(of: Source) -> str:
    """A clip's first window as a moving thumbnail."""
    start = window_start(of, 16, 1, None)
    return work.kept(("thumb", of.key), lambda: samples.thumb(of, start))


def network(key: str | None = None) -> work.Net:
    """A network by key, the chosen one by default. Waits for it politely."""
    key, own = key or view().net, session().weights
    return wait_for(lambda: _network(key, own), "Loading the network")


def shown(clip: str | None = None, net: str | None = None) -> Shown:
    """What is chosen (or another clip or network in its place), read and prepared."""
    of, own, current = source(clip), session().weights, view()
    net = net or current.net
    same = clip is None or clip == current.clip
    spec = network(net).spec.input
    stride = fitting_stride(of, spec.frames, current.stride * spec.stride)

    def make() -> Shown:
        chosen = current.start if same else None
        loaded = _network(net, own)
        begin = window_start(of, spec.frames, stride, chosen)
        return Shown(of, loaded, *windows.readable(of, loaded, begin, stride))

    last = max(0, of.info.frames - span_of(stride, spec.frames))
    if same and (current.start or 0) > last:
        session().notes.append(
            f"The link asks for frame {current.start}; the last window of this clip begins at "
            f"frame {last}. Showing that one."
        )
        changed(start=last)
        st.rerun()
    made = wait_for(make, "Looking through the clip")
    place = st.empty()
    if made.why:
        place.warning(
            ui.plain(in_own_names(made.why, session())) + f". Showing the window at frame "
            f"{made.window.start} instead.",
            icon=":material/warning:",
        )
    return made


def unit(shown: Shown) -> work.Spot:
    """The unit that is chosen, the strongest where none is. What the network does not have (a link
    may ask for anything) becomes the strongest, with a note."""
    current, net, win = view(), shown.net, shown.window
    layer, channel, at = current.layer, current.channel, current.at
    count, *places = wait_for(
        lambda: work.grid(net, win, layer), f"Running the network up to {layer}"
    )
    wrong = ""
    if channel is not None and channel >= count:
        wrong, channel, at = f"map {channel}, and {layer} has maps 0-{count - 1}", None, None
    elif at is not None and not (
        len(at) == len(places) and all(i < n for i, n in zip(at, places, strict=True))
    ):
        cells = " × ".join(map(str, places)) or "no"
        wrong, at = f"cell {'-'.join(map(str, at))}, and {layer} has {cells} cells", None
    if wrong:
        session().notes.append(f"The link asks for {wrong}. Showing the strongest instead.")
        changed(channel=channel, at=at)
        st.rerun()
    return work.spot(net, win, layer, channel, at)


def fitting_stride(of: Source, frames: int, stride: int) -> int:
    """``stride``, or the largest half of it that the clip is long enough for."""
    while stride > 1 and span_of(stride, frames) > of.info.frames:
        stride //= 2
    return stride


def window_start(of: Source, frames: int, stride: int, chosen: int | None) -> int:
    """First frame of the window: the one chosen, kept inside the clip, or the liveliest."""
    span = span_of(stride, frames)
    chosen = of.start if chosen is None else chosen
    if chosen is not None:
        return min(chosen, max(0, of.info.frames - span))
    try:
        return samples.liveliest(energy(of), of.info.frames, span)
    except ClipError:  # not all of it can be read; the beginning, perhaps
        return 0


def _network(key: str, own: Stored | None) -> work.Net:
    if key == UPLOADED and own is not None:
        called = NetworkChoice("c3d", own.label)
        choice = NetworkChoice("c3d", own.path)
        return work.chosen(choice, own.label, digest=own.digest, called=called)
    if key == GIVEN and (asked := given()):
        return work.chosen(asked, given_name())
    return work.network(key if key in work.SHIPPED else "compact")
