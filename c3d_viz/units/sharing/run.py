"""The folder of a run: each channel's kind, shares by layer, and untrained networks beside."""

from __future__ import annotations

import copy
import csv
import dataclasses
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ...engine import device_named
from ...errors import VizError
from ...files import write_bytes, write_json, write_text
from ...nets import ModelSpec
from ...progress import Progress
from ...weights import NetworkChoice
from ...work import Arrays, Piece
from ..folder import check_new, folder_names, result_folder
from ..pieces import Told, kept_beside, network_facts
from ..tuning import untrained
from ..tuning.pictures import CONTROL, INK, TRAINED, png
from ..tuning.run import layers_to_measure
from .pairs import KINDS, ROLES, answers, correlations, kinds, of_layer, paired_clips, shares, told

PAIRS = (4, 1000)
RESAMPLES = 500
_MOST = 100
_COLOURS = {"dynamic": "#d55e00", "static": "#0072b2", "joint": "#cc79a7", "none": "#9aa0a8"}


@dataclass(frozen=True)
class SharingSettings:
    """What a run asks for.

    Attributes:
        network: which. layers: names; empty is every convolution of a C3D.
        pairs: of clips with one factor in common, for each factor.
        controls: re-initialised networks, 0 or more.
        device: "cpu" or "cuda[:N]".
    """

    network: NetworkChoice
    layers: tuple[str, ...] = ()
    pairs: int = 40
    controls: int = 3
    device: str = "cpu"


@dataclass(frozen=True)
class Shares:
    """Of one layer, by kind: the share of its channels, its 95 % interval over the pairs of clips,
    and the share in each untrained network."""

    share: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    untrained: dict[str, tuple[float, ...]]


def write_sharing(
    out: str | os.PathLike[str], settings: SharingSettings, progress: Progress | None = None
) -> dict[str, Shares]:
    """Tell static from dynamic channels and write it to the new folder ``out``.

    ``layers.png``, ``dynamic.json``, a table ``LAYER.csv`` for each layer, ``manifest.json``.

    Returns:
        Layer -> shares.

    Raises:
        ExportError: ``out`` is in the way. LayerError, VizError: what cannot be had.
    """
    folder = check_new(out)
    for name, value, (low, high) in (
        ("pairs", settings.pairs, PAIRS), ("controls", settings.controls, (0, _MOST))
    ):  # fmt: skip
        if not low <= value <= high:
            raise VizError(f"{name} must be {low} to {high}, got {value}")
    device = device_named(settings.device)
    seed = settings.network.seed
    model, spec = settings.network.load()
    layers = layers_to_measure(model, settings.layers)
    size, frames = max(spec.input.crop), spec.input.frames
    few = paired_clips(2, seed, size, frames)
    answers(model, spec.input, {"base": few["base"][:1]}, layers)  # what does not fit, now
    networks: list[int | None] = [
        None,
        *(1000 + k + 100_000 * seed for k in range(settings.controls)),
    ]
    told = Told(progress)
    cost = len(ROLES) * settings.pairs
    facts = (*network_facts(model, spec), "dynamic", settings.pairs, layers, settings.device)
    drawn = cache(lambda: paired_clips(settings.pairs, 7 + seed, size, frames))

    def run(name: str, start: int | None) -> Arrays:
        net = model if start is None else untrained(model, start)
        if device.type != "cpu":
            net = copy.deepcopy(net).to(device)
        return answers(net, spec.input, drawn(), layers, told.part(cost), name)

    pieces = []
    for number, start in enumerate(networks):
        name = "this network" if start is None else f"untrained {number - 1}"
        pieces.append(Piece(name, name, cost, (*facts, seed, start), partial(run, name, start)))
    with kept_beside(folder) as keep:
        told.expect(pieces, keep)
        return _write(folder, settings, spec, [keep(piece) for piece in pieces], layers)


def _write(
    folder: Path,
    settings: SharingSettings,
    spec: ModelSpec,
    measured: Sequence[Arrays],
    layers: Sequence[str],
) -> dict[str, Shares]:
    seed = settings.network.seed
    found = {layer: _shares(measured, layer, seed) for layer in layers}
    unrelated = max(row["unrelated"] for row in shares(measured[0], layers).values())
    parameters = {**dataclasses.asdict(settings), "network": settings.network.to_json()}
    with result_folder(folder, _words(settings), settings.network, spec, parameters) as (place, _):
        summary = {layer: dataclasses.asdict(row) for layer, row in found.items()}
        write_json(place / "dynamic.json", {"layers": summary, "unrelated_at_most": unrelated})
        write_bytes(place / "layers.png", png(layers_figure(found, spec.weights, unrelated)))
        for layer, called in zip(layers, folder_names(layers), strict=True):
            write_text(place / f"{called}.csv", _table(measured[0], layer))
    return found


def _shares(measured: Sequence[Arrays], layer: str, seed: int) -> Shares:
    own = of_layer(measured[0], layer)
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(RESAMPLES):
        picked = generator.integers(0, len(own[0]), len(own[0]))
        rows.append(told(*(values[picked] for values in own)))
    low, high = ({k: float(np.quantile([r[k] for r in rows], q)) for k in KINDS}
                 for q in (0.025, 0.975))  # fmt: skip
    fresh = [told(*of_layer(other, layer)) for other in measured[1:]]
    return Shares(told(*own), low, high, {k: tuple(r[k] for r in fresh) for k in KINDS})


def layers_figure(found: Mapping[str, Shares], weights: str, unrelated: float) -> Any:
    """Shares of the kinds by layer, of this network and (mean) of the untrained ones."""
    from matplotlib.figure import Figure

    layers = list(found)
    panels = [("this network", TRAINED, {n: row.share for n, row in found.items()})]
    count = len(next(iter(found.values())).untrained["none"])
    if count:
        means = {
            name: {kind: float(np.mean(row.untrained[kind])) for kind in KINDS}
            for name, row in found.items()
        }
        panels.append((f"{count} untrained networks, mean", CONTROL, means))
    figure = Figure(figsize=(5.4 * len(panels) + 0.6, 4.2), facecolor="white", layout="constrained")
    title = "Static or dynamic: what channels share over pairs of clips"
    figure.suptitle(f"{title}\n{weights}", fontsize=12, color=INK, ha="left", x=0.01)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (head, colour, table) in zip(axes, panels, strict=True):
        bottom = np.zeros(len(layers))
        for kind in KINDS:
            part = np.array([table[layer][kind] for layer in layers])
            axis.bar(layers, part, bottom=bottom, color=_COLOURS[kind], label=kind)
            for x, (low, size) in enumerate(zip(bottom, part, strict=True)):
                if size > 0.06:
                    ink = INK if kind == "none" else "white"
                    axis.text(
                        x, low + size / 2, f"{size:.0%}", ha="center", va="center", fontsize=8,
                        color=ink,
                    )  # fmt: skip
            bottom += part
        axis.set_title(head, fontsize=11, color=colour)
        axis.set_xticks(range(len(layers)), layers, rotation=40, ha="right", fontsize=9)
    axes[0].set_ylabel("share of channels")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), frameon=False,
        title=f"of unrelated pairs at most {unrelated:.0%} of the channels are above 0.5",
        title_fontsize=9,
    )  # fmt: skip
    return figure


def _table(measured: Arrays, layer: str) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["channel", "kind", "r_dynamic", "r_static"])
    r_dynamic, r_static = correlations(*of_layer(measured, layer))
    for channel, kind in enumerate(kinds(r_dynamic, r_static)):
        writer.writerow([channel, kind, f"{r_dynamic[channel]:z.4f}", f"{r_static[channel]:z.4f}"])
    return buffer.getvalue()


def _words(settings: SharingSettings) -> list[str]:
    words = ["units", "dynamic"]
    for layer in settings.layers:
        words += ["--layer", layer]
    words += ["--pairs", str(settings.pairs), "--controls", str(settings.controls)]
    return [*words, "--device", settings.device]
