"""Networks that are no chains against captum: torchvision's, with random weights.

    python -m benchmarks --only networks      measure, store, and write the table

Nine units of a layer, deconvolution, on the clip of the other comparisons. The plain loop of the
other tables has no place here: PyTorch refuses its hooks on the ReLUs of these networks, which
write in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

import c3d_viz as viz

from . import memory
from .peers import Peer, available
from .timing import Case, Spread, alternate, part, ratios
from .work import real_clip, relative_error


@dataclass(frozen=True)
class Network:
    """A comparison.

    Attributes:
        model, layer: whose units.
        target: least ratio of captum's time to ours.
    """

    model: str
    layer: str
    target: float

    @property
    def key(self) -> str:
        """Name in results.json, and of the work whose memory is measured."""
        return f"{self.model}/{self.layer}"


NETWORKS = (
    Network("r3d_18", "layer1", 10.0),
    Network("r3d_18", "layer2", 6.0),
    Network("r3d_18", "layer4", 1.7),
    Network("r2plus1d_18", "layer2", 5.0),
)
QUICK = ("r3d_18/layer2", "r2plus1d_18/layer2")  # of them, for benchmarks.check


def measure(threads: int, rounds: int = 3) -> list[dict[str, Any]]:
    """Seconds, ratio and peak memory of every comparison, as plain data."""
    found = []
    for network in NETWORKS:
        row = compare(network, rounds)
        both = memory.measure(["c3d_viz", "captum"], network.key, min(rounds, 2), threads)
        row |= {"memory": both["tools"], "threads": threads}
        found.append(row)
    return found


def compare(network: Network, rounds: int = 3, k: int = 9) -> dict[str, Any]:
    """Results first, then captum's time over ours.

    Raises:
        ValueError: the maps differ, so that their times say nothing.
        WeightsError: torchvision cannot be imported.
    """
    captum: Peer = available()[0]["captum"]
    model, spec = viz.load_model(network.model, "random")
    x, clip = real_clip(spec.input)
    units = viz.top_units(viz.trace(model, x, [network.layer]), network.layer, k)

    def ours() -> list[torch.Tensor]:
        maps = viz.attribute_many(model, x, units, "deconvnet")
        return [torch.from_numpy(a.values) for a in maps]

    error = relative_error(ours()[0], captum.run(model, x, units[:1])[0])  # warm-up, too
    if error > 1e-4:
        raise ValueError(f"{network.key}: the maps differ by {error:.1e}")
    parts = min(rounds, k)
    cases = {
        "c3d_viz": Case(lambda _: ours()),
        "captum": Case(lambda n: captum.run(model, x, part(units, n, parts)), 1 / parts),
    }
    seconds = alternate(cases, rounds)
    ratio = ratios(seconds, "captum", "c3d_viz")
    return {
        "key": network.key,
        "units": k,
        "rounds": rounds,
        "clip": clip,
        "relative_error": error,
        "seconds": {name: vars(Spread.of(values)) for name, values in seconds.items()},
        "ratio": vars(ratio),
        "target": network.target,
        "reached": ratio.median >= network.target,
    }


def quick(rounds: int = 3) -> dict[str, dict[str, float]]:
    """Captum's time over ours, for QUICK."""
    return {n.key: compare(n, rounds)["ratio"] for n in NETWORKS if n.key in QUICK}
