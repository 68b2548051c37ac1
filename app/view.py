"""What a page shows, as plain data, and its form in the address.

A copied link restores clip (samples only), window, network, layer, feature map, position and
method. Whatever a link says is checked here: unknown values fall back to the default, with a note.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

DEFAULT_CLIP = "bikes"
UPLOADED = "upload"
STRIDES = (1, 2, 4)
LOOKS = ("magnitude", "signed")


@dataclass(frozen=True)
class View:
    """The state of the page.

    Attributes:
        clip: key of a sample, or ``upload-`` and a digest for a file of this session's own.
        start: first frame of the window; None is the liveliest window.
        stride: every ``stride``-th frame of the video is taken.
        net: key of a network: a shipped one, or ``upload``.
        layer: a layer of the network.
        channel: feature map; None is the strongest.
        at: position in the layer's grid; None is the strongest.
        method: key of ``c3d_viz.METHODS``.
        look: "magnitude" or "signed" colours.
        versus: what the Compare page sets beside it, ``kind:key``; None is its default.
    """

    clip: str = DEFAULT_CLIP
    start: int | None = None
    stride: int = 1
    net: str = "compact"
    layer: str = "conv5b"
    channel: int | None = None
    at: tuple[int, ...] | None = None
    method: str = "deconvnet"
    look: str = "magnitude"
    versus: str | None = None

    def with_clip(self, clip: str) -> View:
        """Another clip: its own window and its own strongest feature map."""
        return replace(self, clip=clip, start=None, channel=None, at=None)

    def with_window(self, start: int | None, stride: int) -> View:
        """Another window. Layer and feature map stay, the position is found again."""
        return replace(self, start=start, stride=stride, at=None)

    def with_net(self, net: str, layer: str) -> View:
        """Another network: its feature maps have nothing to do with the last one's."""
        return replace(self, net=net, layer=layer, channel=None, at=None)

    def with_layer(self, layer: str) -> View:
        """Another layer, its strongest feature map."""
        return replace(self, layer=layer, channel=None, at=None)

    def with_channel(self, channel: int) -> View:
        """Another feature map at its strongest position."""
        return replace(self, channel=channel, at=None)


def to_query(view: View) -> dict[str, str]:
    """The address' query: everything that differs from the default, and the layer and method."""
    query = {"clip": view.clip}
    if view.start is not None:
        query["start"] = str(view.start)
    if view.stride != 1:
        query["stride"] = str(view.stride)
    if view.net != "compact":
        query["net"] = view.net
    query["layer"] = view.layer
    if view.channel is not None:
        query["map"] = str(view.channel)
    if view.at is not None:
        query["at"] = "-".join(map(str, view.at))
    query["method"] = view.method
    if view.look != "magnitude":
        query["look"] = view.look
    if view.versus is not None:
        query["versus"] = view.versus
    return query


def from_query(
    query: Mapping[str, str],
    *,
    clips: tuple[str, ...],
    nets: tuple[str, ...],
    layers: Callable[[str], tuple[tuple[str, ...], str]],
    methods: tuple[str, ...],
) -> tuple[View, list[str]]:
    """The view that a link asks for, and one note for each thing in it that cannot be shown.

    ``layers`` tells a network's layers, and the one to begin with.
    """
    view, notes = View(clip=DEFAULT_CLIP if DEFAULT_CLIP in clips else clips[0]), []

    def choose(name: str, allowed: tuple[str, ...], default: str) -> str:
        given = query.get(name, default)
        if given in allowed:
            return given
        if given.split("-")[0] == UPLOADED:
            kind = "clip" if name == "clip" else "set of weights"
            notes.append(
                f"The link was made with an uploaded {kind}. It stays with the person who uploaded "
                f"it, for as long as the page is open. Showing {default} instead."
            )
        else:
            notes.append(
                f"The link asks for {name} “{_short(given)}”, which is not here. "
                f"Showing {default} instead."
            )
        return default

    view = replace(
        view,
        clip=choose("clip", clips, view.clip),
        net=choose("net", nets, view.net if view.net in nets else nets[0]),
        method=choose("method", methods, view.method),
        look=choose("look", LOOKS, view.look),
    )
    names, first = layers(view.net)
    view = replace(view, layer=choose("layer", names, first))
    stride = _number(query.get("stride"))
    if stride in STRIDES:
        view = replace(view, stride=stride)
    view = replace(view, start=_number(query.get("start")), channel=_number(query.get("map")))
    kind, _, other = query.get("versus", "").partition(":")
    allowed = {"method": methods, "layer": names, "clip": clips, "net": nets}
    if other in allowed.get(kind, ()):
        view = replace(view, versus=f"{kind}:{other}")
    if (
        re.fullmatch(r"[0-9]{1,4}(-[0-9]{1,4}){2}", query.get("at", ""))
        and view.channel is not None
    ):
        view = replace(view, at=tuple(int(i) for i in query["at"].split("-")))
    return view, notes


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,7}", text) else None


def _short(text: str) -> str:
    return re.sub(r"[^\w .:-]", "", text)[:40]
