"""Back-projection against other tools: seconds, ratios, and shares of the machine's limit."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import c3d_viz as viz

from . import floor
from .counting import Counter
from .peers import Peer
from .timing import Case, Spread, alternate, part, ratios
from .work import Work, cosine, relative_error

OURS, PREVIEW = "c3d_viz", "c3d_viz bf16 preview"
EQUAL = 1e-4  # largest relative difference of two float32 maps that count as the same


@dataclass(frozen=True)
class Comparison:
    """A row group of the table.

    Attributes:
        key: name in results.json.
        title: what is done, for people.
        units: all of it.
        targets: least ratio aimed at, per peer's key; "best other" is the fastest that is not
            captum; "bf16" is the preview against captum.
        rounds: how often the cases run in turn.
    """

    key: str
    title: str
    units: Sequence[viz.Unit]
    targets: dict[str, float]
    rounds: int = 3
    preview: bool = False


def comparisons(work: Work) -> list[Comparison]:
    """The four pieces of work of the table."""
    return [
        Comparison(
            "one_conv5b",
            "1 unit of conv5b, nothing cached",
            work.units["conv5b"][:1],
            {"captum": 1.3},
            rounds=5,
        ),
        Comparison("conv3b", "9 units of conv3b", work.units["conv3b"], {"captum": 8.0}),
        Comparison(
            "conv5b",
            "9 units of conv5b",
            work.units["conv5b"],
            {"captum": 2.0, "bf16": 4.0},
            preview=True,
        ),
        Comparison(
            "all_conv",
            "8 convolution layers x 9 units",
            work.layers(),
            {"captum": 5.0, "best other": 4.0},
        ),
    ]


def ours(work: Work, units: Sequence[viz.Unit], precision: str = "float32") -> list[Tensor]:
    """What a user calls; every map is asked for."""
    maps = viz.attribute_many(work.model, work.x, units, "deconvnet", precision=precision)
    return [torch.from_numpy(a.values) for a in maps]


def agreement(work: Work, peers: dict[str, Peer]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Whether everybody computes the same, on the first unit of each layer; everybody is warm then.

    Returns:
        The largest relative difference of each peer's maps from ours, and the preview's cosine
        with float32 on conv5b's units, for the table; and FLOP per peer and layer of one unit.
    """
    found: dict[str, Any] = {"layers": len(work.units), "bound": EQUAL}
    errors = dict.fromkeys(peers, 0.0)
    flop: dict[str, Any] = {key: {} for key in peers}
    for layer, units in work.units.items():
        mine = ours(work, units[:1])[0]
        for key, peer in peers.items():
            with Counter() as counter:
                theirs = peer.run(work.model, work.x, units[:1])[0].cpu()
            errors[key] = max(errors[key], relative_error(mine, theirs))
            flop[key][layer] = counter.flop
    with Counter() as counter, torch.no_grad():
        work.model(work.x)
    flop["forward"] = counter.flop
    conv5b = work.units["conv5b"]
    exact, quick = ours(work, conv5b), ours(work, conv5b, "bf16")
    cosines = [cosine(a, b) for a, b in zip(quick, exact, strict=True)]
    found["relative_error"] = errors
    found["preview_cosine"] = {"lowest": min(cosines), "median": statistics.median(cosines)}
    return found, flop


def peer_flop(units: Sequence[viz.Unit], peer: Peer, per_layer: dict[str, int], once: int) -> int:
    """FLOP of a peer's work on ``units``; ``once`` is its forward pass, shared or not."""
    total = sum(per_layer[unit.layer] for unit in units)
    return total - (len(units) - 1) * once if peer.shares else total


def compare(
    work: Work,
    what: Comparison,
    peers: dict[str, Peer],
    limits: dict[str, float],
    flop: dict[str, Any],
    synchronise: Callable[[], None],
    *,
    rounds: int | None = None,
) -> dict[str, Any]:
    """Run one comparison and say everything the table needs, as plain data."""
    rounds = rounds or what.rounds
    units = list(what.units)
    parts = rounds if len(units) > rounds else 1
    cases = {OURS: Case(lambda _: ours(work, units))}
    if what.preview:
        cases[PREVIEW] = Case(lambda _: ours(work, units, "bf16"))
    for key, peer in peers.items():
        if peer.shares or parts == 1:
            cases[key] = Case(lambda _, p=peer: p.run(work.model, work.x, units))
        else:  # a slice through all layers, so that the rounds weigh the same
            cases[key] = Case(
                lambda n, p=peer: p.run(work.model, work.x, part(units, n, parts)), 1 / parts
            )
    seconds = alternate(cases, rounds, synchronise)
    counted = {key: _count(case) for key, case in cases.items() if key in (OURS, PREVIEW)}
    for key, peer in peers.items():
        counted[key] = {"flop": peer_flop(units, peer, flop[key], flop["forward"])}
    found = report(what, seconds, counted, limits)
    found["arithmetic_alone"] = floor.times(work.model, units)
    return found


def _count(case: Case) -> dict[str, float]:
    with Counter() as counter:
        case.run(0)
    return {"flop": counter.flop, "conv_seconds": counter.seconds}


def report(
    what: Comparison,
    seconds: dict[str, list[float]],
    flop: dict[str, dict[str, float]],
    limits: dict[str, float],
) -> dict[str, Any]:
    """Plain data from the measured seconds; no measuring in here."""
    rows = {}
    for key, values in seconds.items():
        row: dict[str, Any] = {"seconds": vars(Spread.of(values))}
        if key != OURS:
            row["times_ours"] = vars(ratios(seconds, key, OURS))
        limit = limits["bf16" if key == PREVIEW else "float32"]
        row["gflop"] = flop[key]["flop"] / 1e9
        row["share_of_limit"] = row["gflop"] / row["seconds"]["median"] / limit
        if flop[key].get("conv_seconds"):
            row["conv_gflop_per_s"] = row["gflop"] / flop[key]["conv_seconds"]
            row["conv_share_of_limit"] = row["conv_gflop_per_s"] / limit
        rows[key] = row
    return {
        "title": what.title,
        "units": len(what.units),
        "rounds": len(next(iter(seconds.values()))),
        "rows": rows,
        "targets": _targets(what, seconds),
    }


def _targets(what: Comparison, seconds: dict[str, list[float]]) -> list[dict[str, Any]]:
    found = []
    for name, least in what.targets.items():
        if name == "bf16":
            against, side = "captum", PREVIEW
        elif name == "best other":
            others = [key for key in seconds if key not in (OURS, PREVIEW, "captum")]
            if not others:
                continue
            against = min(others, key=lambda key: statistics.median(seconds[key]))
            side = OURS
        else:
            against, side = name, OURS
        if against not in seconds:
            continue
        spread = ratios(seconds, against, side)
        found.append(
            {
                "against": against,
                "of": side,
                "as": name,
                "target": least,
                "ratio": vars(spread),
                "reached": spread.median >= least,
            }
        )
    return found
