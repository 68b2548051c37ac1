"""The folder of a tuning run: tables, arrays, pictures, and what the control says."""

from __future__ import annotations

import copy
import csv
import dataclasses
import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ...engine import device_named
from ...errors import LayerError, VizError
from ...files import make_folder, write_bytes, write_json, write_npz, write_text
from ...nets import C3D, CONV_LAYERS, ModelSpec
from ...progress import Progress
from ...trust import permuted
from ...weights import NetworkChoice
from ...work import Arrays, Piece
from ..folder import check_new, folder_names, result_folder
from ..pieces import Told, kept_beside, network_facts, packed, unpacked
from ..reach import Reach
from .compare import Comparison, compare
from .measures import INDICES, Tuning, tuning_of
from .pictures import layer_figure, layers_figure, png, units_figure
from .sweep import (
    DIRECTIONS,
    FULL,
    Clips,
    Responses,
    conditions,
    respond,
    sweep,
    untrained,
)

DECIDING = ("direction_index", "texture_index")
_PICTURED = 12  # channels with a polar plot
_MOST = 100  # control networks of a kind


@dataclass(frozen=True)
class TuningSettings:
    """What a tuning run asks for.

    Attributes:
        network: which. layers: names; empty is every convolution of a C3D.
        channels: those with a polar plot; empty is the most direction-selective of each layer.
        controls: re-initialised networks, 2 or more to compare with, or 0. permuted: networks with
            the weights shuffled within each layer, as many; they decide nothing.
        device: "cpu" or "cuda[:N]".
    """

    network: NetworkChoice
    layers: tuple[str, ...] = ()
    channels: tuple[int, ...] = ()
    controls: int = 10
    permuted: int = 0
    device: str = "cpu"


def write_tuning(
    out: str | os.PathLike[str], settings: TuningSettings, progress: Progress | None = None
) -> dict[str, dict[str, Comparison]]:
    """Measure the tuning of layers and write it to the new folder ``out``.

    ``layers.png`` and ``tuning.json`` say what the control says; each layer has ``units.csv``,
    ``units.png`` (polar plots), ``layer.png`` and ``responses.npz``; then ``manifest.json``.

    Returns:
        Layer -> index -> how it compares with the re-initialised networks.

    Raises:
        ExportError: ``out`` is in the way. LayerError, VizError: settings that cannot be had; all
            are met before anything is measured.
    """
    folder = check_new(out)
    for name, value in (("controls", settings.controls), ("permuted", settings.permuted)):
        if value == 1 or not 0 <= value <= _MOST:
            raise VizError(f"{name} must be 0 or 2 to {_MOST} networks, got {value}")
    device = device_named(settings.device)
    model, spec = settings.network.load()
    layers = layers_to_measure(model, settings.layers)
    clips = Clips(spec.input)
    first = clips.tensor(conditions()[0])
    for layer, (values,) in respond(Reach(model, layers, first), first).items():
        wrong = [c for c in settings.channels if not 0 <= c < len(values)]
        if wrong:
            raise LayerError(f"{layer} has channels 0-{len(values) - 1}, got {wrong[0]}")
    networks = _networks(settings)
    if settings.controls:
        untrained(model, 0)  # a network that has no untrained copy is refused now
    told = Told(progress)
    facts = network_facts(model, spec)

    def run(name: str, seed: int | None) -> Arrays:
        make = permuted if name.startswith("permuted") else untrained
        net = model if seed is None else make(model, seed)
        if device.type != "cpu":
            net = copy.deepcopy(net).to(device)  # the network asked for stays put
        found = sweep(net, clips, layers, told.part(len(conditions())), name)
        return packed([found[layer] for layer in layers])

    pieces = {
        name: Piece(
            name, name, len(conditions()), (*facts, "tuning", name, seed, layers, settings.device),
            partial(run, name, seed),
        )
        for name, seed in networks
    }  # fmt: skip
    with kept_beside(folder) as keep:
        told.expect(list(pieces.values()), keep)
        measured = {
            name: dict(zip(layers, unpacked(keep(piece), Responses, len(layers)), strict=True))
            for name, piece in pieces.items()
        }
        return _write(folder, settings, spec, measured, networks)


def _write(
    folder: Path,
    settings: TuningSettings,
    spec: ModelSpec,
    measured: Mapping[str, Mapping[str, Responses]],
    networks: Sequence[tuple[str, int | None]],
) -> dict[str, dict[str, Comparison]]:
    """Read everything off the responses and fill the folder."""
    layers = list(measured["this network"])
    tunings = {
        n: {layer: tuning_of(r) for layer, r in rows.items()} for n, rows in measured.items()
    }
    groups = {
        kind: [rows for n, rows in tunings.items() if n.startswith(kind)]
        for kind in ("untrained", "permuted")
    }
    own = tunings["this network"]
    against = {
        kind: {
            layer: {
                name: compare(getattr(own[layer], name), [getattr(t[layer], name) for t in group])
                for name in INDICES
            }
            for layer in layers
        }
        for kind, group in groups.items()
        if group
    }
    decided = against.get("untrained", {})
    parameters = {**dataclasses.asdict(settings), "network": settings.network.to_json()}
    parameters |= {"directions": DIRECTIONS, **dataclasses.asdict(FULL)}
    with result_folder(folder, _words(settings), settings.network, spec, parameters) as (place, _):
        summary = {
            kind: {layer: {k: plain(row) for k, row in of.items()} for layer, of in rows.items()}
            for kind, rows in against.items()
        }
        write_json(place / "tuning.json", {"against": summary, "networks": dict(networks)})
        if decided:
            figure = layers_figure(decided, INDICES, "Tuning along the layers", spec.weights)
            write_bytes(place / "layers.png", png(figure))
        for layer, name in zip(layers, folder_names(layers), strict=True):
            make_folder(place / name)
            responses = measured["this network"][layer]
            controls = [rows[layer] for rows in groups["untrained"]]
            compared = {key: decided[layer][key] for key in DECIDING} if decided else {}
            write_layer(
                place / name, layer, responses, own[layer], controls, compared,
                settings.channels, spec.weights,
            )  # fmt: skip
    return decided


def write_layer(
    place: Path,
    layer: str,
    responses: Responses,
    tuning: Tuning,
    controls: Sequence[Tuning],
    comparisons: dict[str, Comparison],
    channels: Sequence[int],
    weights: str,
) -> None:
    """Table, arrays and pictures of one layer."""
    write_text(place / "units.csv", _table(tuning))
    write_npz(
        place / "responses.npz",
        {k: getattr(responses, k) for k in ("grating", "texture", "still", "sprite")},
    )
    order = np.argsort(-np.nan_to_num(tuning.direction_index, nan=-1.0), kind="stable")
    chosen = list(channels) or [int(c) for c in order[:_PICTURED]]
    head = f"{layer}: what its channels are tuned to"
    write_bytes(place / "units.png", png(units_figure(tuning, responses, chosen, head, weights)))
    if comparisons:
        figure = layer_figure(tuning, controls, comparisons, head, weights)
        write_bytes(place / "layer.png", png(figure))


def layers_to_measure(model: nn.Module, wanted: Sequence[str]) -> tuple[str, ...]:
    """Those that were named, each once; of a C3D, by default, its convolutions."""
    if wanted:
        return tuple(dict.fromkeys(wanted))
    if isinstance(model, C3D):
        return CONV_LAYERS
    raise LayerError(
        f"name the layers of {type(model).__name__} with --layer; c3d-viz layers lists them"
    )


def _networks(settings: TuningSettings) -> list[tuple[str, int | None]]:
    """(name, seed) of every network, the one asked for first."""
    base = 100_000 * settings.network.seed
    found: list[tuple[str, int | None]] = [("this network", None)]
    found += [(f"untrained {k}", 1000 + k + base) for k in range(settings.controls)]
    return found + [(f"permuted {k}", 2000 + k + base) for k in range(settings.permuted)]


def _words(settings: TuningSettings) -> list[str]:
    words = ["units", "tuning"]
    for layer in settings.layers:
        words += ["--layer", layer]
    for channel in settings.channels:
        words += ["--channel", str(channel)]
    words += ["--controls", str(settings.controls), "--permuted", str(settings.permuted)]
    return [*words, "--device", settings.device]


def plain(row: Comparison) -> dict[str, Any]:
    """As JSON has it: null for NaN."""
    values = dataclasses.asdict(row)
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}


def _table(tuning: Tuning) -> str:
    moved = ("sprite_direction", "sprite_speed")
    names = ("direction", "speed", "wavelength", "response", *INDICES, *moved)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["channel", "silent", *names])
    for channel, silent in enumerate(tuning.silent):
        cells = [f"{getattr(tuning, name)[channel]:z.6g}" for name in names]
        writer.writerow([channel, int(silent), *cells])
    return buffer.getvalue()
