"""The folder of a concepts run: tables, the figure along the layers, what the control says."""

from __future__ import annotations

import copy
import csv
import dataclasses
import io
import math
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
from ...synthetic import chosen_library
from ...weights import NetworkChoice
from ...work import Arrays, Piece
from ..folder import check_new, folder_names, result_folder
from ..pieces import Told, kept_beside, network_facts, packed, unpacked
from ..tuning import Comparison, compare, untrained
from ..tuning.pictures import CONTROL, INK, TRAINED, png
from ..tuning.run import layers_to_measure, plain
from .clips import LEVELS, REPORT, ConceptClips, concept_names, library_digest
from .overlap import Concepts, concepts_of

_MOST = 100
_CLIPS = (4, 1000)


@dataclass(frozen=True)
class ConceptSettings:
    """What a run asks for.

    Attributes:
        network: which. layers: names; empty is every convolution of a C3D.
        controls: re-initialised networks, 2 or more, or 0.
        clips: labelled clips for the choices, and as many to report.
        library: folder with cut-outs and backgrounds; None draws procedural shapes.
        device: "cpu" or "cuda[:N]".
    """

    network: NetworkChoice
    layers: tuple[str, ...] = ()
    controls: int = 5
    clips: int = REPORT
    library: str | None = None
    device: str = "cpu"


def write_concepts(
    out: str | os.PathLike[str], settings: ConceptSettings, progress: Progress | None = None
) -> dict[str, tuple[Concepts, Comparison]]:
    """Measure which concepts channels overlap with and write it to the new folder ``out``.

    ``layers.png`` (where there are untrained networks to compare with), ``concepts.json``, a table
    ``LAYER.csv`` for each layer, ``manifest.json``.

    Returns:
        Layer -> its channels' concepts, and how their scores compare with untrained networks.

    Raises:
        ExportError: ``out`` is in the way. LayerError, VizError, ClipError: what cannot be had.
    """
    folder = check_new(out)
    if not (settings.controls == 0 or 2 <= settings.controls <= _MOST):
        raise VizError(f"controls must be 0 or 2 to {_MOST} networks, got {settings.controls}")
    if not _CLIPS[0] <= settings.clips <= _CLIPS[1]:
        raise VizError(f"clips must be {_CLIPS[0]} to {_CLIPS[1]}, got {settings.clips}")
    device = device_named(settings.device)
    seed = settings.network.seed
    model, spec = settings.network.load()
    library = chosen_library(settings.library, seed)
    layers = layers_to_measure(model, settings.layers)
    networks: list[tuple[str, int | None]] = [("this network", None)]
    networks += [(f"untrained {k}", 1000 + k + 100_000 * seed) for k in range(settings.controls)]
    few = ConceptClips.drawn(library, spec.input, seed, (1, 1, 1))
    concepts_of(model, spec.input, few, layers)  # layers that do not fit are refused now
    if settings.controls:
        untrained(model, 0)
    sizes = (min(LEVELS, settings.clips), settings.clips, settings.clips)
    told = Told(progress)
    asked = "concepts", library_digest(library), seed, sizes, layers, settings.device
    facts = (*network_facts(model, spec), *asked)
    drawn = cache(lambda: ConceptClips.drawn(library, spec.input, seed, sizes, progress))

    def run(name: str, start: int | None) -> Arrays:
        clips = drawn()
        net = model if start is None else untrained(model, start)
        if device.type != "cpu":
            net = copy.deepcopy(net).to(device)
        found = concepts_of(net, spec.input, clips, layers, told.part(sum(sizes)), name)
        return packed([found[layer] for layer in layers])

    pieces = [
        Piece(name, name, sum(sizes), (*facts, start), partial(run, name, start))
        for name, start in networks
    ]
    with kept_beside(folder) as keep:
        told.expect(pieces, keep)
        found = [
            dict(zip(layers, unpacked(keep(piece), Concepts, len(layers)), strict=True))
            for piece in pieces
        ]
        return _write(folder, settings, spec, found, concept_names(library))


def _write(
    folder: Path,
    settings: ConceptSettings,
    spec: ModelSpec,
    found: Sequence[Mapping[str, Concepts]],
    names: Sequence[str],
) -> dict[str, tuple[Concepts, Comparison]]:
    layers = list(found[0])
    own, controls = found[0], found[1:]
    compared = {
        layer: compare(own[layer].score, [c[layer].score for c in controls]) for layer in layers
    }
    parameters = {**dataclasses.asdict(settings), "network": settings.network.to_json()}
    with result_folder(folder, _words(settings), settings.network, spec, parameters) as (place, _):
        summary = {layer: _summary(own, controls, compared, layer, names) for layer in layers}
        write_json(place / "concepts.json", {"concepts": names, "layers": summary})
        if any(summary[layer]["beyond"] for layer in layers):
            figure = layers_figure(summary, names, spec.weights)
            write_bytes(place / "layers.png", png(figure))
        for layer, name in zip(layers, folder_names(layers), strict=True):
            table = _table(own[layer], compared[layer].threshold, names)
            write_text(place / f"{name}.csv", table)
    return {layer: (own[layer], compared[layer]) for layer in layers}


def _summary(
    own: Mapping[str, Concepts],
    controls: Sequence[Mapping[str, Concepts]],
    compared: Mapping[str, Comparison],
    layer: str,
    names: Sequence[str],
) -> dict[str, Any]:
    """The comparison, and the share of channels beyond the control by concept; None without one."""
    limit = compared[layer].threshold
    if math.isnan(limit):
        return {"score": plain(compared[layer]), "beyond": None, "beyond_untrained": None}

    def shares(found: Concepts) -> dict[str, float]:
        beyond = found.score > limit
        return {name: float((beyond & (found.best == k)).mean()) for k, name in enumerate(names)}

    untrained_shares = [shares(c[layer]) for c in controls]
    means = {n: float(np.mean([s[n] for s in untrained_shares])) for n in names}
    return {
        "score": plain(compared[layer]),
        "beyond": shares(own[layer]),
        "beyond_untrained": means,
    }


def layers_figure(summary: Mapping[str, Any], names: Sequence[str], weights: str) -> Any:
    """Share of channels beyond the control by concept and layer; untrained networks beside."""
    from matplotlib.figure import Figure

    layers = list(summary)
    figure = Figure(figsize=(11, 0.34 * len(names) + 2.2), facecolor="white", layout="constrained")
    title = "Concepts: channels beyond the untrained networks' 95 %, by layer"
    figure.suptitle(f"{title}\n{weights}", fontsize=12, color=INK, ha="left", x=0.01)
    axes = figure.subplots(1, 2, sharey=True)
    tables = [
        np.array(
            [[(summary[layer][key] or {}).get(name, 0.0) for layer in layers] for name in names]
        )
        for key in ("beyond", "beyond_untrained")
    ]
    top = max(0.05, *(float(table.max()) for table in tables))
    heads = (("this network", TRAINED), ("untrained networks, mean", CONTROL))
    for axis, table, (head, colour) in zip(axes, tables, heads, strict=True):
        axis.imshow(table, aspect="auto", cmap="Blues", vmin=0, vmax=top)
        for (row, column), value in np.ndenumerate(table):
            if value >= 0.005:
                ink = "white" if value > 0.6 * top else INK
                axis.text(
                    column, row, f"{value:.0%}", ha="center", va="center", fontsize=8, color=ink
                )
        axis.set_xticks(range(len(layers)), layers, rotation=40, ha="right", fontsize=9)
        axis.set_yticks(range(len(names)), names, fontsize=9)
        axis.set_title(head, fontsize=11, color=colour)
    return figure


def _table(found: Concepts, limit: float, names: Sequence[str]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    heads = ["channel", "concept", "score", "iou", "chance", "share_above", "beyond_untrained"]
    writer.writerow([*heads, *(f"iou {name}" for name in names)])
    for channel, best in enumerate(found.best):
        numbers = (found.score[channel], found.iou[channel, best], found.chance[channel, best])
        cells = [f"{v:z.6g}" for v in (*numbers, found.above[channel])]
        silent = math.isnan(found.score[channel])
        beyond = "" if silent or math.isnan(limit) else int(found.score[channel] > limit)
        rest = [f"{v:.6g}" for v in found.iou[channel]]
        writer.writerow([channel, "" if silent else names[best], *cells, beyond, *rest])
    return buffer.getvalue()


def _words(settings: ConceptSettings) -> list[str]:
    words = ["units", "concepts"]
    for layer in settings.layers:
        words += ["--layer", layer]
    words += ["--controls", str(settings.controls), "--clips", str(settings.clips)]
    words += [] if settings.library is None else ["--library", settings.library]
    return [*words, "--device", settings.device]
