"""One window of an export: compute on this thread, draw and encode on others.

Maps are made one by one and handed on at once, so that neither all maps nor all pictures of a
window are ever in memory; a short queue holds the computation back when drawing is slower.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from ..clips import preprocess
from ..engine import Pass, Trace, Unit, activation, check_unit, locate, top_units, trace
from ..methods import Attribution, attributions
from ..nets import ModelSpec
from .artefacts import ARTEFACTS, complete, write_unit
from .draw import (
    Window,
    patch_of,
    read_notes,
    target_of,
    write_activations,
    write_input,
    write_sheet,
)
from .plan import Plan
from .settings import ExportSettings
from .workers import Clock, Workers


class Steps(Protocol):
    """Who hears of finished steps, and how far the one in work is."""

    def __call__(self, what: str) -> None: ...

    def within(self, what: str) -> None: ...


@dataclass(frozen=True)
class Answers:
    """What a window's forward pass gives: the input it took, the trace, the units to send back."""

    x: Tensor
    traced: Trace
    units: dict[str, list[Unit]]

    def steps(self, settings: ExportSettings, plan: Plan) -> int:
        """Number of progress steps of the window."""
        return sum(
            1 + len(units) * len(plan.methods(layer, settings.methods))
            for layer, units in self.units.items()
        )


def answer(window: Window, clock: Clock) -> Answers:
    """The forward pass and the units that were asked for; nothing is written.

    Raises:
        LayerError: a channel or position does not exist.
    """
    settings = window.settings
    with clock("preprocess"):
        x = preprocess(window.clip, window.spec.input).to(settings.device)
    with clock("forward pass"):
        traced = trace(window.model, x, list(settings.layers))
        units = {layer: _units(traced, layer, settings) for layer in settings.layers}
    return Answers(x, traced, units)


def export_window(window: Window, answers: Answers, step: Steps, clock: Clock) -> dict[str, Any]:
    """Write one window and return its part of the manifest."""
    settings, traced = window.settings, answers.traced
    notes: dict[tuple[Unit, str], list[str]] = {}
    prefix = "" if window.name == "." else window.name + "/"
    seen = Pass(window.model, answers.x, traced)
    with Workers(step, clock) as workers:
        workers.submit("", write_input, window)
        for layer in settings.layers:
            answered = traced.activations[layer]
            values = answered.cpu().float()  # the same where it is so already
            size = 0 if values is answered else values.nbytes
            workers.submit(layer, write_activations, window, layer, values.numpy(), size=size)
            del values
        for method in settings.methods:
            notes |= _export_method(window, seen, answers.units, method, workers, step, clock)
    return {
        "start": window.clip.start,
        "frames": window.numbers,
        "fps": window.clip.fps,
        "notes": list(window.clip.notes),
        "folder": window.name,
        "input": prefix + "input.mp4",
        "predictions": _predictions(traced, window.spec),
        "layers": [
            _layer_entry(window, traced, layer, units, prefix, notes)
            for layer, units in answers.units.items()
        ],
    }


def _units(traced: Trace, layer: str, settings: ExportSettings) -> list[Unit]:
    if settings.channel is None:
        channels = traced.activations[layer].shape[0]
        return top_units(traced, layer, min(settings.top, channels))
    if isinstance(settings.at, str):  # the whole channel
        for channel in settings.channel:
            check_unit(traced.activations[layer].shape, Unit(layer, channel))
        return [Unit(layer, channel, ()) for channel in settings.channel]
    at = () if settings.at is not None and traced.activations[layer].ndim == 1 else settings.at
    return [locate(traced.activations[layer], Unit(layer, c, at)) for c in settings.channel]


def _export_method(
    window: Window,
    seen: Pass,
    asked: dict[str, list[Unit]],
    method: str,
    workers: Workers,
    step: Steps,
    clock: Clock,
) -> dict[tuple[Unit, str], list[str]]:
    """Maps of one method for every unit that still lacks a file, and the layers' sheets.

    Returns the notes of the maps that have any, by unit and method.
    """
    units = {
        layer: found
        for layer, found in asked.items()
        if (layer, method) not in window.plan.left_out
    }
    notes: dict[tuple[Unit, str], list[str]] = {}
    missing = {
        layer: [u for u in found if not complete(window, u, method)]
        for layer, found in units.items()
    }
    maps: Iterator[Attribution] = iter(())
    if any(missing.values()):
        wanted = [target_of(window, u) or u for found in missing.values() for u in found]
        precision = cast(Any, window.settings.precision)
        with clock("back-projection"):
            maps = attributions(
                seen,
                wanted,
                method,
                precision=precision,
                settings=window.settings.of_methods().get(method),
                progress=lambda done, total: step.within(f"{method}, pass {done + 1} of {total}"),
            )
    for layer, found in units.items():
        name = f"{layer} {method}"
        made: dict[Unit, Attribution] = {}
        for unit in found:
            if unit not in missing[layer]:
                notes[unit, method] = read_notes(window, unit, method)
                workers.skip(name)
                continue
            with clock("back-projection"):
                made[unit] = next(maps)
            notes[unit, method] = list(made[unit].notes)
            workers.submit(name, write_unit, window, made[unit], size=made[unit].values.nbytes)
        workers.submit("", write_sheet, window, found, method, made)
    return {key: lines for key, lines in notes.items() if lines}


def _predictions(traced: Trace, spec: ModelSpec) -> list[dict[str, object]]:
    """The five likeliest classes; none for random weights, whose guess means nothing."""
    if spec.classes is None or not spec.trained:
        return []
    chances = torch.softmax(traced.output[0].float(), dim=0)
    best = torch.sort(chances, descending=True, stable=True).indices[:5].tolist()
    return [{"class": spec.classes[i], "probability": round(float(chances[i]), 6)} for i in best]


def _layer_entry(
    window: Window,
    traced: Trace,
    layer: str,
    units: list[Unit],
    prefix: str,
    notes: dict[tuple[Unit, str], list[str]],
) -> dict[str, Any]:
    values, settings = traced.activations[layer], window.settings
    sees = None if values.ndim == 1 else window.plan.fields[layer]
    methods = window.plan.methods(layer, settings.methods)
    of_layer = {m: why for (name, m), why in window.plan.left_out.items() if name == layer}
    field = None if sees is None else {"size": list(sees.size), "step": list(sees.step)}
    folder = f"{prefix}{layer}"

    def unit_entry(unit: Unit) -> dict[str, Any]:
        files = {
            method: {a.key: f"{folder}/{method}/ch{unit.channel:04d}/{a.file}" for a in ARTEFACTS}
            for method in methods
        }
        whole = target_of(window, unit)
        answer = activation(traced, unit) if whole is None else float(whole.of(values[None]))
        classes = window.spec.classes if _is_output(values, traced.output) else None
        return {
            "channel": unit.channel,
            "name": None if classes is None else classes[unit.channel],
            "at": list(unit.at or ()),
            "activation": answer,
            "notes": {m: notes[unit, m] for m in methods if (unit, m) in notes},
            "files": files,
            **({"enlarged": True} if patch_of(window, unit) else {}),
        }

    return {
        "layer": layer,
        "shape": list(values.shape),
        "receptive_field": field,
        "activations": f"{folder}/activations.npz",
        "activation_sheet": f"{folder}/activations.png" if values.ndim == 4 else None,
        "sheets": {method: f"{folder}/{method}/sheet.png" for method in methods},
        "units": [unit_entry(unit) for unit in units],
        **({"left_out": of_layer} if of_layer else {}),
    }


def _is_output(values: Tensor, output: object) -> bool:
    """Whether a layer gives what the network gives, so that its channels are the classes."""
    return isinstance(output, Tensor) and values.ndim == 1 and torch.equal(values, output[0])
