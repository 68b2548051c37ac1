"""Whether a map may be believed, as far as that was measured: one line, and what it means."""

from __future__ import annotations

import shlex

import streamlit as st

from c3d_viz.trust import Facts, facts_for, read_facts

from . import pages, ui, work

MEANING = (
    "Measured by `c3d-viz check` against answers that are known, one unit of each clip. "
    "*Changes little when the weights are random*: a network that has learned nothing has nearly "
    "the same map, so where it lies says little about what was learned. *No better than a frame "
    "difference*: what moves is found as well without any network. *The pixels it marks matter*: "
    "the answer goes when they are taken away, sooner than with random ones."
)


def caption(net: work.Net, layer: str, method: str, whose: str = "") -> None:
    """The line under a picture; where several stand together it begins with whose it is."""
    said, meaning = line(net, layer, method)
    st.caption(ui.plain(f"{whose}: {said}" if whose else said), help=meaning)


def line(net: work.Net, layer: str, method: str) -> tuple[str, str]:
    """What was found of a network's maps, plain text, and the help to it, in markdown."""
    facts = _facts(net)
    said = facts.briefly(layer, method) if facts is not None else ""
    if said:
        return f"Measured: {said}.", MEANING
    what = "network" if facts is None else "method"
    return f"May it be believed? Not measured for this {what}: c3d-viz check.", ui.plain(
        f"{_command(net, layer, method)} measures it; c3d-viz app --facts DIR/facts.json then says "
        "it here."
    )


def file_for(net: work.Net) -> str | None:
    """The facts.json the server was started with, if it is of this network."""
    given = pages.started("facts")
    return given if given and _read(net, given) else None


def _facts(net: work.Net) -> Facts | None:
    """Those the server was started with, or that ship, if they are of these very weights."""
    given = file_for(net)
    if given is not None:
        return _read(net, given)
    return work.kept(("facts", net.key), lambda: facts_for(net.model, net.spec.name))


def _read(net: work.Net, path: str) -> Facts | None:
    return work.kept(("facts", net.key, path), lambda: read_facts(path).of(net.model))


def _command(net: work.Net, layer: str, method: str) -> str:
    words = ["c3d-viz", "check", "CLIPS...", "-o", "DIR", "--layer", layer, "--method", method]
    return shlex.join([*words, *net.choice.options()])
