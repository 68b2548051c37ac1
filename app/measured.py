"""Whether a map may be believed, as far as that was measured: one line, and what it means."""

from __future__ import annotations

import shlex

from c3d_viz.nets import fingerprint
from c3d_viz.trust import Facts, read_facts, shipped_facts

from . import pages, ui, work

MEANING = (
    "Measured by `c3d-viz check` against answers that are known, one unit of each clip. "
    "*Changes little when the weights are random*: a network that has learned nothing has nearly "
    "the same map, so where it lies says little about what was learned. *No better than a frame "
    "difference*: what moves is found as well without any network. *The pixels it marks matter*: "
    "the answer goes when they are taken away, sooner than with random ones."
)


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


def _facts(net: work.Net) -> Facts | None:
    """Those the server was started with, or that ship, if they are of these very weights."""
    given = pages.started("facts")
    known = [work.kept(("facts", given), lambda: read_facts(given))] if given else []
    known += [facts for facts in [shipped_facts(net.spec.name)] if facts is not None]
    if not known:
        return None
    mark = work.kept(("fingerprint", net.key), lambda: fingerprint(net.model))
    return next((facts for facts in known if facts.fingerprint == mark), None)


def _command(net: work.Net, layer: str, method: str) -> str:
    words = ["c3d-viz", "check", "CLIPS...", "-o", "DIR", "--layer", layer, "--method", method]
    return shlex.join([*words, *net.choice.options()])
